"""The columns of the prepared folder's tables, and the names of its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float, Int

SCHEMA_VERSION = 2
"""Version of the prepared folder. Version 2 has masks of findings."""

READABLE_VERSIONS = (1, 2)
"""Versions that can be read."""

REGION_KINDS = ("box", "ellipse", "mask")
"""Kinds of regions in regions.parquet; for a mask, the row holds the box around it."""

MAX_REGION_MASKS = 16
"""Maximum number of masks of findings per case: the number of bits of a pixel."""

Labels = Int[np.ndarray, " n"] | Float[np.ndarray, "n classes"]
"""Class index of each case; in multi-label data 1, 0 or NaN (unknown) for each class."""


def _schema(nullable: tuple[str, ...] = (), **columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, name in nullable) for name, kind in columns.items()])


_CASE = _schema(case_id=pa.string(), patient_id=pa.string(), split=pa.string())
_IMAGE = _schema(
    image=pa.string(),
    raw_height_px=pa.int32(),
    raw_width_px=pa.int32(),
    scale_x=pa.float64(),
    shift_x_px=pa.float64(),
    scale_y=pa.float64(),
    shift_y_px=pa.float64(),
    has_gaze=pa.bool_(),
    flags=pa.string(),
    masks=pa.string(),
    nullable=("masks",),
)

MASK_COLUMN = "masks"
"""Column of cases.parquet with the path of a case's masks; null for a case without masks."""


def label_column(class_name: str) -> str:
    """Return the name of a class's column in a multi-label cases.parquet.

    Args:
        class_name: name of the class.

    Returns:
        Name of the column.
    """
    return f"label_{class_name}"


def label_columns(names: Sequence[str]) -> list[str]:
    """Select the columns that hold labels.

    Args:
        names: names of columns.

    Returns:
        `label`, or one name per class in multi-label data.
    """
    return [name for name in names if name == "label" or name.startswith("label_")]


def cases_schema(class_names: Sequence[str], multi_label: bool) -> pa.Schema:
    """Return the columns of cases.parquet, which has one row per case.

    The label is a class index in `label`; in multi-label data 1, 0 or null (unknown) in `label_<class name>`.
    `scale_*` and `shift_*` map the raw image to the frame; `flags` are joined by ';'. `masks` is null for a case that
    has none.

    Args:
        class_names: names of the classes, in the order of the labels.
        multi_label: whether a case may belong to several classes, or to none.

    Returns:
        Names and types of the columns.
    """
    columns = [label_column(name) for name in class_names] if multi_label else ["label"]
    kind = pa.int8() if multi_label else pa.int64()
    return pa.schema([*_CASE, *(pa.field(name, kind, multi_label) for name in columns), *_IMAGE])


CASES = cases_schema((), multi_label=False)
"""Columns of cases.parquet in single-label data."""

FIXATIONS = _schema(
    case_id=pa.string(),
    reading_id=pa.string(),
    x_px=pa.float64(),
    y_px=pa.float64(),
    start_s=pa.float64(),
    duration_s=pa.float64(),
    px_per_degree_x=pa.float64(),
    px_per_degree_y=pa.float64(),
    label=pa.string(),
    nullable=("label",),
)
"""Columns of fixations.parquet: one row per fixation, in order of time within a reading. NaN where a start or a
resolution is unknown."""

REGIONS = _schema(
    case_id=pa.string(),
    name=pa.string(),
    kind=pa.string(),
    x0_px=pa.float64(),
    y0_px=pa.float64(),
    x1_px=pa.float64(),
    y1_px=pa.float64(),
)
"""Columns of regions.parquet: one row per box, ellipse or mask."""

MENTIONS = _schema(
    case_id=pa.string(),
    reading_id=pa.string(),
    label=pa.string(),
    start_s=pa.float64(),
    end_s=pa.float64(),
    side=pa.string(),
    height=pa.string(),
)
"""Columns of mentions.parquet: one row per finding that a reader names, in order of time within a reading; see
:class:`ggcam.gaze.mentions.Mention`. A folder without dictations does not have this table."""


def image_name(case_id: str) -> str:
    """Return the path of a case's image, relative to the prepared folder.

    Args:
        case_id: id of the case.

    Returns:
        Relative path.
    """
    return f"images/{case_id}.png"


def mask_name(case_id: str) -> str:
    """Return the path of a case's masks, relative to the prepared folder.

    Args:
        case_id: id of the case.

    Returns:
        Relative path.
    """
    return f"masks/{case_id}.png"


def region_mask_name(case_id: str) -> str:
    """Return the path of a case's masks of findings, relative to the prepared folder.

    Args:
        case_id: id of the case.

    Returns:
        Relative path.
    """
    return f"region_masks/{case_id}.png"


def region_mask_bits(names: Sequence[str]) -> dict[str, int]:
    """Return the value of each mask in a prepared `region_masks/<case_id>.png`.

    Args:
        names: names of the case's rows of the kind "mask" in regions.parquet.

    Returns:
        Name -> bit, in alphabetical order.

    Example:
        >>> region_mask_bits(["Nodule", "Mass"])
        {'Mass': 1, 'Nodule': 2}
    """
    return {name: 1 << number for number, name in enumerate(sorted(names))}


def partial_folder(root: Path) -> Path:
    """Return the staging folder, in which a prepared folder grows until it is complete.

    Args:
        root: prepared folder.

    Returns:
        `<root>.partial`.
    """
    return root.with_name(f"{root.name}.partial")


def labels_in(table: pd.DataFrame, class_names: Sequence[str]) -> Labels:
    """Read the labels of a table with the label columns of cases.parquet.

    Args:
        table: table with the column `label`, or with `label_<class name>` for each class.
        class_names: names of the classes, in the order of the labels.

    Returns:
        Shape (n,), class index; in multi-label data (n, classes), 1, 0 or NaN (unknown).
    """
    if "label" in table:
        return table["label"].to_numpy(np.int64)
    return label_matrix(table, class_names, multi_label=True)


def label_matrix(cases: pd.DataFrame, class_names: Sequence[str], multi_label: bool) -> Float[np.ndarray, "n classes"]:
    """Read the labels as a matrix.

    Args:
        cases: table with the label columns of cases.parquet.
        class_names: names of the classes, in the order of the labels.
        multi_label: whether a case may belong to several classes, or to none.

    Returns:
        1 for a class of the case, 0 for any other, NaN for unknown.
    """
    if multi_label:
        return cases[[label_column(name) for name in class_names]].to_numpy(np.float64)
    return np.eye(len(class_names))[cases["label"].to_numpy(np.int64)]
