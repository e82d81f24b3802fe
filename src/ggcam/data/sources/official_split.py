"""Published splits into training and test: a part of the training patients becomes the validation split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ggcam.data.case import Split

VALIDATION_PARTS = 8
"""One of this many training patients is for validation, as in a split of 70:10:20."""


def split_off_validation(patient_ids: Sequence[str], splits: Sequence[Split | None]) -> list[Split | None]:
    """Move one eighth of the training patients to the validation split.

    The choice depends on the patient's id alone, so it is the same for every part of a data set.

    Args:
        patient_ids: patient of each image.
        splits: published split of each image, without "valid"; None if unknown.

    Returns:
        The split of each image.
    """
    return [
        "valid" if split == "train" and _number(patient) % VALIDATION_PARTS == 0 else split
        for patient, split in zip(patient_ids, splits, strict=True)
    ]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
