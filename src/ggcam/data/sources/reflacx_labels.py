"""The label sets of REFLACX's phases, brought to one.

Phase 1 was read with other labels than phases 2 and 3. What became of them:

    Atelectasis, Consolidation, Enlarged cardiac silhouette, Groundglass opacity, Pneumothorax, Pulmonary edema,
    Support devices                       the same
    Emphysema                             High lung volume / emphysema
    Fibrosis                              Interstitial lung disease
    Fracture                              Acute fracture
    Mass, Nodule                          Lung nodule or mass (the higher certainty)
    Pleural effusion, Pleural thickening  Pleural abnormality (the higher certainty)
    Wide mediastinum                      Abnormal mediastinal contour
    Airway wall thickening, Quality issue, Other    left out

Enlarged hilum and Hiatal hernia were not asked for in phase 1 and are unknown there. Other is free text, left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

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
"""The labels of phases 2 and 3, but for Other."""

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
    """Class -> the phase's columns that speak of it; a class that the phase did not ask for is not there."""
    return _PHASE_1 if phase == 1 else _SAME


def read_certainties(table: Table, phase: int) -> Float[np.ndarray, "n classes"]:
    """Certainty of each class in each record of a metadata table: 0 (absent) to 5; NaN where it was not asked for.

    Booleans, as Support devices has them, count as 0 and 5.

    Raises:
        TableError: a value is none of these; with its row.
    """
    asked = columns_by_class(phase)
    found = np.full((len(table), len(CLASS_NAMES)), np.nan)
    for at, name in enumerate(CLASS_NAMES):
        if name in asked:
            found[:, at] = np.max([_certainty(table, column) for column in asked[name]], axis=0)
    return found


def flags(table: Table, column: str) -> np.ndarray:
    """A column of True and False, shape (n,) of bool.

    Raises:
        TableError: a value is neither; with its row.
    """
    words = np.char.lower(table[column])
    table.refuse(~np.isin(words, ("true", "false")), f"{column} is neither True nor False", column)
    return words == "true"


def _certainty(table: Table, column: str) -> Float[np.ndarray, " n"]:
    words = np.char.lower(table[column])
    spoken = np.select([words == "true", words == "false"], ["5", "0"], words)
    numbers = Table(table.path, {column: spoken}, table.row).numbers(column)
    table.refuse(~np.isin(numbers, range(6)), f"{column} is no certainty", column, "0 to 5, or True or False")
    return numbers
