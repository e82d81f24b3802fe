"""Labels of the three phases of REFLACX, mapped to one set.

Phase 1 used other labels than phases 2 and 3. They are mapped as follows:

    Atelectasis, Consolidation, Enlarged cardiac silhouette, Groundglass opacity, Pneumothorax, Pulmonary edema,
    Support devices                       the same
    Emphysema                             High lung volume / emphysema
    Fibrosis                              Interstitial lung disease
    Fracture                              Acute fracture
    Mass, Nodule                          Lung nodule or mass (the higher certainty)
    Pleural effusion, Pleural thickening  Pleural abnormality (the higher certainty)
    Wide mediastinum                      Abnormal mediastinal contour
    Airway wall thickening, Quality issue, Other    left out

Enlarged hilum and Hiatal hernia do not exist in phase 1 and are unknown there. Other is free text and left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from ggcam.data.tables import Table

CLASS_NAMES = (
    "Abnormal mediastinal contour",
    "Acute fracture",
    "Atelectasis",
    "Consolidation",
    "Enlarged cardiac silhouette",
    "Enlarged hilum",
    "Groundglass opacity",
    "Hiatal hernia",
    "High lung volume / emphysema",
    "Interstitial lung disease",
    "Lung nodule or mass",
    "Pleural abnormality",
    "Pneumothorax",
    "Pulmonary edema",
    "Support devices",
)
"""The labels of phases 2 and 3, without Other."""

_SAME = {name: (name,) for name in CLASS_NAMES}
_PHASE_1: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in CLASS_NAMES if name not in ("Enlarged hilum", "Hiatal hernia")},
    "Abnormal mediastinal contour": ("Wide mediastinum",),
    "Acute fracture": ("Fracture",),
    "High lung volume / emphysema": ("Emphysema",),
    "Interstitial lung disease": ("Fibrosis",),
    "Lung nodule or mass": ("Mass", "Nodule"),
    "Pleural abnormality": ("Pleural effusion", "Pleural thickening"),
}


def columns_by_class(phase: int) -> Mapping[str, tuple[str, ...]]:
    """Return the columns of a phase that belong to each class.

    Args:
        phase: 1, 2 or 3.

    Returns:
        Class name -> columns. A class that does not exist in the phase is missing.
    """
    return _PHASE_1 if phase == 1 else _SAME


def read_certainties(table: Table, phase: int) -> Float[np.ndarray, "n classes"]:
    """Read the certainty of each class in each record of a metadata table.

    Booleans, as in Support devices, count as 0 and 5.

    Args:
        table: the metadata of a phase.
        phase: 1, 2 or 3.

    Returns:
        0 (absent) to 5; NaN for a class that does not exist in the phase.

    Raises:
        TableError: a value is not a certainty; with its row.
    """
    columns = columns_by_class(phase)
    certainties = np.full((len(table), len(CLASS_NAMES)), np.nan)
    for index, name in enumerate(CLASS_NAMES):
        if name in columns:
            certainties[:, index] = np.max([_certainty(table, column) for column in columns[name]], axis=0)
    return certainties


def read_booleans(table: Table, column: str) -> Bool[np.ndarray, " n"]:
    """Read a column of True and False.

    Args:
        table: the table.
        column: name of the column.

    Returns:
        The values, shape (n,).

    Raises:
        TableError: a value is neither; with its row.
    """
    words = np.char.lower(table[column])
    table.refuse(~np.isin(words, ("true", "false")), f"{column} is neither True nor False", column)
    return words == "true"


def _certainty(table: Table, column: str) -> Float[np.ndarray, " n"]:
    words = np.char.lower(table[column])
    digits = np.select([words == "true", words == "false"], ["5", "0"], words)
    numbers = Table(table.path, {column: digits}, table.row).numbers(column)
    table.refuse(~np.isin(numbers, range(6)), f"{column} is not a certainty", column, "0 to 5, or True or False")
    return numbers
