"""Validation of a prepared folder's tables: against each other, the class names, and the image files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ggcam.data.case import SPLITS
from ggcam.data.schema import MASK_COLUMN, MAX_REGION_MASKS, REGION_KINDS, region_mask_name
from ggcam.errors import PreparedFolderError, TableError, join_limited
from ggcam.gaze.mentions import HEIGHTS, SIDES

_LARGEST = 1e7
_POSITION = f"a number from {-_LARGEST:g} to {_LARGEST:g}"


def check_cases(path: Path, cases: pa.Table, class_names: Sequence[str]) -> None:
    """Check ids, splits, labels and images.

    Args:
        path: path of cases.parquet.
        cases: its content.
        class_names: names of the classes, in the order of the labels.

    Raises:
        TableError: a row has an invalid value; rows are counted from 0.
        PreparedFolderError: images are missing.
    """
    ids, splits, images = _columns(cases, "case_id", "split", "image")
    if not len(ids):
        raise TableError("the prepared folder has no cases", where=path)
    first = np.zeros(len(ids), dtype=bool)
    first[np.unique(ids, return_index=True)[1]] = True
    _raise_if_any(path, ~first, ids, "case_id is repeated")
    _raise_if_any(path, _not_in(splits, SPLITS), splits, "unknown split", join_limited(SPLITS))
    _check_labels(path, cases, class_names)
    misplaced = np.array([image != f"images/{case_id}.png" for case_id, image in zip(ids, images, strict=True)])
    _raise_if_any(path, misplaced, images, "unexpected image path", "images/<case_id>.png")
    _check_sizes(path, cases)
    _check_files(path.parent, "images", images)
    if MASK_COLUMN in cases.column_names:
        listed = [name for name in cases.column(MASK_COLUMN).to_pylist() if name is not None]
        own = {f"masks/{case_id}.png" for case_id in ids}
        if strange := [name for name in listed if name not in own]:
            raise TableError("unexpected path of masks", where=path, expected="masks/<case_id>.png", got=strange[0])
        _check_files(path.parent, "masks", listed)


def _check_sizes(path: Path, cases: pa.Table) -> None:
    for name in ("raw_height_px", "raw_width_px"):
        (values,) = _columns(cases, name)
        _raise_if_any(path, values < 1, values, f"{name} is not a size", "1 or more")
    for name in ("scale_x", "scale_y"):
        (values,) = _columns(cases, name)
        _raise_if_any(path, ~_plausible(values) | (values == 0), values, f"{name} is not a scale", "a number except 0")
    for name in ("shift_x_px", "shift_y_px"):
        (values,) = _columns(cases, name)
        _raise_if_any(path, ~_plausible(values), values, f"{name} is not a position", _POSITION)


def _check_labels(path: Path, cases: pa.Table, class_names: Sequence[str]) -> None:
    if "label" in cases.column_names:
        (labels,) = _columns(cases, "label")
        known = f"0 to {len(class_names) - 1}: {join_limited(class_names)}"
        _raise_if_any(path, (labels < 0) | (labels >= len(class_names)), labels, "label is not a class", known)
    for name in (name for name in cases.column_names if name.startswith("label_")):
        (values,) = _columns(cases, name)
        _raise_if_any(path, ~(np.isin(values, (0, 1)) | np.isnan(values)), values, f"{name} is not 0, 1 or null")


def _check_files(root: Path, folder: str, names: Sequence[str] | np.ndarray) -> None:
    # One listing instead of one query per case, which is slow on network disks.
    existing = {f"{folder}/{file.name}" for file in (root / folder).iterdir()} if (root / folder).is_dir() else set()
    if missing := [name for name in names if name not in existing]:
        raise PreparedFolderError(
            f"{len(missing):,} of {len(names):,} {folder} are missing",
            where=root,
            got=f"no {join_limited(missing)}",
            hint="prepare the data again with --overwrite",
        )


def check_fixations(path: Path, fixations: pa.Table, cases: pa.Table) -> None:
    """Check that each fixation has a case, a position and a duration, and that each case with gaze has a fixation.

    Args:
        path: path of fixations.parquet.
        fixations: its content.
        cases: content of cases.parquet.

    Raises:
        TableError: a row has an invalid value; rows are counted from 0.
    """
    ids, x_px, y_px, duration_s = _columns(fixations, "case_id", "x_px", "y_px", "duration_s")
    case_ids, has_gaze = _columns(cases, "case_id", "has_gaze")
    _raise_if_any(path, _not_in(ids, case_ids), ids, "case_id is missing from cases.parquet")
    for name, values in (("x_px", x_px), ("y_px", y_px)):
        _raise_if_any(path, ~_plausible(values), values, f"{name} is not a position", _POSITION)
    invalid = ~((duration_s >= 0) & _plausible(duration_s))
    _raise_if_any(path, invalid, duration_s, "duration_s is not a duration", "a number of seconds, 0 or more")
    (start_s,) = _columns(fixations, "start_s")
    _raise_if_any(path, np.isinf(start_s), start_s, "start_s is not a time", "a finite number, or NaN if unknown")
    for name in ("px_per_degree_x", "px_per_degree_y"):
        (values,) = _columns(fixations, name)
        invalid = ~(np.isnan(values) | ((values > 0) & _plausible(values)))
        _raise_if_any(path, invalid, values, f"{name} is not a resolution", "a number above 0, or NaN if unknown")
    without = has_gaze & _not_in(case_ids, ids)
    _raise_if_any(
        path.with_name("cases.parquet"),
        without,
        case_ids,
        "has_gaze is true, but fixations.parquet has no fixation of the case",
    )


def check_regions(path: Path, regions: pa.Table, cases: pa.Table) -> None:
    """Check that each region has a case and a known kind, and that the files of masks are there.

    Args:
        path: path of regions.parquet.
        regions: its content.
        cases: content of cases.parquet.

    Raises:
        TableError: a row has an invalid value; rows are counted from 0.
        PreparedFolderError: files of masks are missing.
    """
    ids, kinds, names = _columns(regions, "case_id", "kind", "name")
    _raise_if_any(path, _not_in(ids, _columns(cases, "case_id")[0]), ids, "case_id is missing from cases.parquet")
    _raise_if_any(path, _not_in(kinds, REGION_KINDS), kinds, "unknown kind of region", ", ".join(REGION_KINDS))
    _check_region_masks(path, ids, kinds, names)
    for axis in ("x", "y"):
        low, high = _columns(regions, f"{axis}0_px", f"{axis}1_px")
        for name, values in ((f"{axis}0_px", low), (f"{axis}1_px", high)):
            _raise_if_any(path, ~_plausible(values), values, f"{name} is not a position", _POSITION)
        _raise_if_any(path, low > high, low, f"{axis}0_px is above {axis}1_px")


def check_mentions(path: Path, mentions: pa.Table, case_ids: Sequence[str] | np.ndarray) -> None:
    """Check that each mention has a case, a time, a side and a height.

    Args:
        path: path of mentions.parquet.
        mentions: its content.
        case_ids: ids of the cases.

    Raises:
        TableError: a row has an invalid value; rows are counted from 0.
    """
    ids, start_s, end_s = _columns(mentions, "case_id", "start_s", "end_s")
    _raise_if_any(path, _not_in(ids, case_ids), ids, "case_id is missing from cases.parquet")
    for name, values in (("start_s", start_s), ("end_s", end_s)):
        _raise_if_any(path, ~_plausible(values), values, f"{name} is not a time", "a number of seconds")
    _raise_if_any(path, start_s > end_s, start_s, "start_s is above end_s")
    for name, known in (("side", SIDES), ("height", HEIGHTS)):
        (values,) = _columns(mentions, name)
        _raise_if_any(path, _not_in(values, known), values, f"unknown {name}", join_limited(map(repr, known)))


def _check_region_masks(path: Path, ids: np.ndarray, kinds: np.ndarray, names: np.ndarray) -> None:
    masks = pd.DataFrame({"case_id": ids, "name": names}).loc[kinds == "mask"]
    repeated, too_many = np.zeros((2, len(ids)), dtype=bool)
    repeated[masks.index[masks.duplicated()]] = True
    too_many[masks.index[masks.groupby("case_id").cumcount() >= MAX_REGION_MASKS]] = True
    _raise_if_any(path, repeated, names, "a case has two masks of one name", "one mask per name")
    _raise_if_any(path, too_many, ids, "a case has too many masks", f"at most {MAX_REGION_MASKS}")
    _check_files(
        path.parent, "region_masks", [region_mask_name(case_id) for case_id in dict.fromkeys(masks["case_id"])]
    )


def _plausible(values: np.ndarray) -> np.ndarray:
    """Return which numbers are finite and so small that sums and squares of them are, in single precision, too."""
    return np.abs(values) <= _LARGEST


def _columns(table: pa.Table, *names: str) -> list[np.ndarray]:
    return [table.column(name).to_numpy() for name in names]


def _not_in(values: np.ndarray, known: Sequence[str] | np.ndarray) -> np.ndarray:
    allowed = set(known)
    return np.array([value not in allowed for value in values], dtype=bool)


def _raise_if_any(path: Path, invalid: np.ndarray, column: np.ndarray, what: str, expected: str | None = None) -> None:
    """Raise an error if any row is invalid, with the index and value of the first one and the number of the others."""
    rows = np.flatnonzero(invalid)
    if len(rows):
        more = f" and {len(rows) - 1:,} more rows" if len(rows) > 1 else ""
        value = column[rows[0]]
        raise TableError(
            what, where=f"{path}:{rows[0]}{more}", expected=expected, got=repr(getattr(value, "item", lambda: value)())
        )
