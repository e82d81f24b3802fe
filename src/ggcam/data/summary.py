"""Numbers of cases by split and class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ggcam.data.attention import attended_cases
from ggcam.data.case import SPLITS
from ggcam.data.prepared import PreparedData

MAX_COLUMNS = 6
"""Maximum number of classes that the summary shows as columns; more classes become rows."""


def count_cases(
    splits: np.ndarray, labels: Float[np.ndarray, "n classes"], class_names: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Count the cases of each class in each split.

    Args:
        splits: split of each case.
        labels: 1 for a class of the case, 0 for any other, NaN for unknown.
        class_names: names of the classes, in the order of the labels.

    Returns:
        Split -> class name -> number of cases.
    """
    return {
        split: dict(zip(class_names, map(int, (labels[splits == split] == 1).sum(axis=0)), strict=True))
        for split in SPLITS
    }


def summary_table(prepared: PreparedData) -> list[tuple[str, ...]]:
    """Summarise the cases per split and class as rows of text: a header, the splits that have cases, and the totals.

    With more than `MAX_COLUMNS` classes the table is transposed, because a terminal is not that wide.

    Args:
        prepared: the prepared folder.

    Returns:
        Rows of cells; cases with marked findings are counted if there are any.
    """
    splits, patients, has_gaze = (prepared.cases[name].to_numpy() for name in ("split", "patient_id", "has_gaze"))
    counts = count_cases(splits, prepared.label_matrix, prepared.class_names)
    has_regions = attended_cases(replace(prepared, attention="regions"))
    counted = ("cases", "patients", "with gaze", *(("with regions",) if has_regions.any() else ()))
    rows: list[tuple[str, ...]] = [("split", *prepared.class_names, *counted)]
    for split in (*SPLITS, "all"):
        chosen = (splits == split) | (split == "all")
        if chosen.any():
            per_class = [
                sum(counts[name][each] for name in counts if split in (name, "all")) for each in prepared.class_names
            ]
            numbers = [*per_class, chosen.sum(), len(set(patients[chosen])), has_gaze[chosen].sum()]
            numbers += [has_regions[chosen].sum()] if has_regions.any() else []
            rows.append((split, *(f"{number:,}" for number in numbers)))
    return list(zip(*rows, strict=True)) if len(prepared.class_names) > MAX_COLUMNS else rows
