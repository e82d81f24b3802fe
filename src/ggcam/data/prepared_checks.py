"""Checks of a prepared folder's tables: against each other, against the class names, and against the image files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ggcam.data.case import SPLITS
from ggcam.errors import PreparedFolderError, TableError, join_limited


def check_cases(path: Path, cases: pa.Table, class_names: Sequence[str]) -> None:
    """Check ids, splits, labels and images.

    Raises:
        TableError: a row holds what it must not; rows are counted from 0.
        PreparedFolderError: images are missing.
    """
    ids, splits, images = _columns(cases, "case_id", "split", "image")
    if not len(ids):
        raise TableError("the prepared folder has no case", where=path)
    first = np.zeros(len(ids), dtype=bool)
    first[np.unique(ids, return_index=True)[1]] = True
    _refuse(path, ~first, ids, "a case_id comes twice")
    _refuse(path, _not_among(splits, SPLITS), splits, "unknown split", join_limited(SPLITS))
    _check_labels(path, cases, class_names)
    elsewhere = np.array([image != f"images/{case_id}.png" for case_id, image in zip(ids, images, strict=True)])
    _refuse(path, elsewhere, images, "an image in the wrong place", "images/<case_id>.png")
    _check_files(path.parent, images)


def _check_labels(path: Path, cases: pa.Table, class_names: Sequence[str]) -> None:
    if "label" in cases.column_names:
        (labels,) = _columns(cases, "label")
        known = f"0 to {len(class_names) - 1}: {join_limited(class_names)}"
        _refuse(path, (labels < 0) | (labels >= len(class_names)), labels, "a label without a class", known)
    for name in (name for name in cases.column_names if name.startswith("label_")):
        (values,) = _columns(cases, name)
        _refuse(path, ~(np.isin(values, (0, 1)) | np.isnan(values)), values, f"{name} is neither 0, 1 nor null")


def _check_files(root: Path, images: np.ndarray) -> None:
    # One listing, not a question a case: that takes long on network disks.
    there = {f"images/{file.name}" for file in (root / "images").iterdir()} if (root / "images").is_dir() else set()
    if missing := [name for name in images if name not in there]:
        raise PreparedFolderError(
            f"{len(missing):,} of {len(images):,} images are missing",
            where=root,
            got=f"no {join_limited(missing)}",
            hint="prepare the data again with --overwrite",
        )


def check_fixations(path: Path, fixations: pa.Table, cases: pa.Table) -> None:
    """Check that each fixation has a case, a position and a duration, and each case with gaze a fixation.

    Raises:
        TableError: a row holds what it must not; rows are counted from 0.
    """
    ids, x_px, y_px, duration_s = _columns(fixations, "case_id", "x_px", "y_px", "duration_s")
    case_ids, has_gaze = _columns(cases, "case_id", "has_gaze")
    _refuse(path, _not_among(ids, case_ids), ids, "a case_id that cases.parquet lacks")
    _refuse(path, ~np.isfinite(x_px), x_px, "x_px is not finite")
    _refuse(path, ~np.isfinite(y_px), y_px, "y_px is not finite")
    _refuse(path, ~(duration_s >= 0), duration_s, "duration_s is negative or unknown")
    without = has_gaze & _not_among(case_ids, ids)
    _refuse(path.with_name("cases.parquet"), without, case_ids, "has_gaze, but fixations.parquet has none of the case")


def check_regions(path: Path, regions: pa.Table, cases: pa.Table) -> None:
    """Check that each region has a case and a known kind.

    Raises:
        TableError: a row holds what it must not; rows are counted from 0.
    """
    ids, kinds = _columns(regions, "case_id", "kind")
    _refuse(path, _not_among(ids, _columns(cases, "case_id")[0]), ids, "a case_id that cases.parquet lacks")
    _refuse(path, _not_among(kinds, ("box", "ellipse")), kinds, "unknown kind of region", "box, ellipse")


def _columns(table: pa.Table, *names: str) -> list[np.ndarray]:
    return [table.column(name).to_numpy() for name in names]


def _not_among(values: np.ndarray, known: Sequence[str] | np.ndarray) -> np.ndarray:
    admitted = set(known)
    return np.array([value not in admitted for value in values], dtype=bool)


def _refuse(path: Path, wrong: np.ndarray, column: np.ndarray, what: str, expected: str | None = None) -> None:
    """Raise if any row is wrong, with the first one's place and value, and the number of the others."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        more = f" and {len(rows) - 1:,} more rows" if len(rows) > 1 else ""
        value = column[rows[0]]
        raise TableError(
            what, where=f"{path}:{rows[0]}{more}", expected=expected, got=repr(getattr(value, "item", lambda: value)())
        )
