"""The prepared folder: its tables, how they are written, and how they are read back and checked.

`dataset.toml`, `cases.parquet`, `fixations.parquet`, `regions.parquet`, `images/<case_id>.png`, `masks/<case_id>.png`.
All positions are continuous pixels of the prepared frame, with the origin at its top-left corner.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from ggcam.data.case import MASK_BITS, Frame, MaskName, Region
from ggcam.data.framing import FramingName
from ggcam.data.png import read_png
from ggcam.data.prepared_checks import check_cases, check_fixations, check_regions
from ggcam.errors import ConfigError, ImageError, MissingFileError, PreparedFolderError, TableError, join_limited
from ggcam.gaze.fixations import Fixations
from ggcam.utils import toml

SCHEMA_VERSION = 1

Labels = Int[np.ndarray, " n"] | Float[np.ndarray, "n classes"]
"""Class index of each case; or 1, 0 or NaN (unknown) for each class, where a case may belong to several or none."""


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
)


def label_column(class_name: str) -> str:
    """Column of a class in a multi-label cases.parquet."""
    return f"label_{class_name}"


def label_columns(names: Sequence[str]) -> list[str]:
    """Those of the columns that hold labels: `label`, or one a class."""
    return [name for name in names if name == "label" or name.startswith("label_")]


def cases_schema(class_names: Sequence[str], multi_label: bool) -> pa.Schema:
    """Columns of cases.parquet: one row a case.

    The label is a class index in `label`; or, where a case may belong to several classes, 1, 0 or null (unknown) in
    `label_<class name>`. `scale_*` and `shift_*` carry the raw image into the frame; `flags` are joined by ';'.
    """
    columns = [label_column(name) for name in class_names] if multi_label else ["label"]
    kind = pa.int8() if multi_label else pa.int64()
    return pa.schema([*_CASE, *(pa.field(name, kind, multi_label) for name in columns), *_IMAGE])


CASES = cases_schema((), multi_label=False)
"""The columns where every case has one label."""

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
"""One row a fixation, in order of time within a reading. NaN where a start or a resolution is unknown."""

REGIONS = _schema(
    case_id=pa.string(),
    name=pa.string(),
    kind=pa.string(),
    x0_px=pa.float64(),
    y0_px=pa.float64(),
    x1_px=pa.float64(),
    y1_px=pa.float64(),
)
"""One row a named box or ellipse."""


def image_name(case_id: str) -> str:
    """Path of a case's image, relative to the prepared folder."""
    return f"images/{case_id}.png"


def mask_name(case_id: str) -> str:
    """Path of a case's masks, relative to the prepared folder."""
    return f"masks/{case_id}.png"


def partial_folder(root: Path) -> Path:
    """Where the prepared folder `root` is made before it is whole."""
    return root.with_name(f"{root.name}.partial")


@dataclass(frozen=True, eq=False)
class PreparedData:
    """A prepared folder whose tables are read and checked. Pixels stay on disk until somebody asks for them.

    Attributes:
        root: the folder.
        class_names: name of each label.
        frame: size of every image.
        cases: columns of :func:`cases_schema`.
        fixations: columns of `FIXATIONS`.
        regions: columns of `REGIONS`.
        meta: all of dataset.toml.
    """

    root: Path
    class_names: tuple[str, ...]
    frame: Frame
    cases: pd.DataFrame
    fixations: pd.DataFrame
    regions: pd.DataFrame
    meta: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def framing(self) -> FramingName:
        """How raw images came into the frame; a folder of an earlier version tells it by its preset."""
        return self.meta.get("framing", "strided" if self.meta.get("preset") == "original" else "fitted")

    @property
    def multi_label(self) -> bool:
        """Whether a case may belong to several classes, or to none."""
        return "label" not in self.cases

    @cached_property
    def label_matrix(self) -> Float[np.ndarray, "n classes"]:
        """1 where a case belongs to a class, 0 where not, NaN where nobody knows."""
        return label_matrix(self.cases, self.class_names, self.multi_label)

    def labels_of(self, cases: pd.DataFrame) -> Labels:
        """The labels of some of the cases."""
        return labels_in(cases, self.class_names)

    @cached_property
    def gaze(self) -> Mapping[str, Fixations]:
        """Case id -> fixations of all its readings, in pixels of the frame; a case without any has none here either."""
        return {str(case_id): fixations for case_id, fixations in self._fixations_by("case_id")}

    @cached_property
    def readings(self) -> Mapping[str, tuple[Fixations, ...]]:
        """Case id -> fixations of each of its readings, one by one; a case without any has none here either."""
        found: dict[str, tuple[Fixations, ...]] = {}
        for (case_id, _), fixations in self._fixations_by(["case_id", "reading_id"]):
            found[str(case_id)] = (*found.get(str(case_id), ()), fixations)
        return found

    def _fixations_by(self, key: str | list[str]) -> Iterator[tuple[Any, Fixations]]:
        columns = {name: self.fixations[name].to_numpy(np.float64) for name in FIXATIONS.names[2:8]}
        columns["label"] = self.fixations["label"].fillna("").to_numpy(np.str_)
        for value, chosen in self.fixations.groupby(key, sort=False).indices.items():
            yield value, Fixations(**{name: column[chosen] for name, column in columns.items()})

    @cached_property
    def boxes(self) -> Mapping[str, tuple[Region, ...]]:
        """Case id -> its boxes and ellipses, in pixels of the frame; a case without any has none here either."""
        found: dict[str, list[Region]] = {}
        for case_id, *region in zip(*(self.regions[name] for name in REGIONS.names), strict=True):
            found.setdefault(case_id, []).append(Region(*region))
        return {case_id: tuple(regions) for case_id, regions in found.items()}

    def read_image(self, case_id: str) -> np.ndarray:
        """Pixels of a case's image, uint8 or uint16 of the frame's size.

        Raises:
            ImageError: the file is damaged or of another size than the frame.
        """
        return self._read(self.root / image_name(case_id))

    def read_masks(self, case_id: str) -> dict[MaskName, np.ndarray]:
        """Anatomical masks of a case, bool of the frame's size; none where the source had none.

        Raises:
            ImageError: the file is damaged or of another size than the frame.
        """
        path = self.root / mask_name(case_id)
        if not path.is_file():
            return {}
        bits = self._read(path)
        return {name: inside for name, bit in MASK_BITS.items() if (inside := (bits & bit) > 0).any()}

    def _read(self, path: Path) -> np.ndarray:
        image = read_png(path)
        if image is None or image.shape != self.frame.shape:
            raise ImageError(
                "a prepared image is damaged",
                where=path,
                expected=f"one channel of {self.frame}",
                got="no image" if image is None else f"an array of shape {image.shape}",
                hint="prepare the data again with --overwrite",
            )
        return image


def write_tables(folder: Path, tables: Mapping[str, pa.Table], meta: Mapping[str, object]) -> None:
    """Write the tables, then dataset.toml: a folder that has it is whole."""
    for name, table in tables.items():
        pq.write_table(table, folder / name)
    (folder / "dataset.toml").write_text(toml.dumps(meta), encoding="utf-8")


def load_prepared(root: Path) -> PreparedData:
    """Read a prepared folder and check that its tables are whole and agree with each other and with the files.

    Raises:
        PreparedFolderError: the folder is missing, half-written, of another version, or images are missing.
        MissingFileError: a table is missing.
        TableError: a table lacks a column, or holds what it must not; with the row, counted from 0.
    """
    root = Path(root)
    meta = _read_meta(root)
    try:
        class_names = tuple(str(name) for name in meta["class_names"])
        frame = Frame(int(meta["frame"]["height_px"]), int(meta["frame"]["width_px"]))
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise PreparedFolderError(
            "dataset.toml lacks class_names or a frame, or they are damaged",
            where=root / "dataset.toml",
            got=error,
            hint="prepare the data again",
        ) from None
    schema = cases_schema(class_names, bool(meta.get("multi_label", False)))
    cases = _read_table(root / "cases.parquet", schema)
    fixations, regions = (
        _read_table(root / "fixations.parquet", FIXATIONS),
        _read_table(root / "regions.parquet", REGIONS),
    )
    check_cases(root / "cases.parquet", cases, class_names)
    check_fixations(root / "fixations.parquet", fixations, cases)
    check_regions(root / "regions.parquet", regions, cases)
    return PreparedData(root, class_names, frame, cases.to_pandas(), fixations.to_pandas(), regions.to_pandas(), meta)


def _read_meta(root: Path) -> dict[str, Any]:
    path = root / "dataset.toml"
    if not path.is_file():
        if partial_folder(root).is_dir() or root.name.endswith(".partial"):
            what, hint = (
                "the prepared folder is half-written",
                "run the same `ggcam prepare` again: it goes on from there",
            )
        elif root.is_dir():
            what, hint = (
                "this is not a prepared folder: it has no dataset.toml",
                "make one with `ggcam prepare SOURCE DATA`",
            )
        else:
            what, hint = "the prepared folder does not exist", "make it with `ggcam prepare SOURCE DATA`"
        raise PreparedFolderError(what, where=root, hint=hint)
    try:
        meta = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PreparedFolderError("dataset.toml is damaged", where=path, got=error, hint="prepare again") from None
    if meta.get("schema_version") != SCHEMA_VERSION:
        raise PreparedFolderError(
            "the prepared folder is of another version",
            where=path,
            expected=f"schema_version = {SCHEMA_VERSION}",
            got=meta.get("schema_version", "none"),
            hint="prepare the data again with this version of ggcam",
        )
    return meta


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    if not path.is_file():
        raise MissingFileError("a table of the prepared folder is missing", where=path, hint="prepare the data again")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise TableError("not a Parquet table", where=path, got=str(error).splitlines()[0]) from None
    if missing := [name for name in schema.names if name not in table.column_names]:
        raise TableError(
            "columns are missing",
            where=path,
            expected=join_limited(schema.names, 20),
            got=f"no {join_limited(missing)}",
        )
    for field in schema:
        column = table.column(field.name)
        try:
            kind_fits = column.cast(field.type) is not None
        except pa.ArrowException:
            kind_fits = False
        if not kind_fits or (column.null_count and not field.nullable):
            raise TableError(
                f"column {field.name} holds what it must not",
                where=path,
                expected=f"{field.type}{'' if field.nullable else ', no nulls'}",
                got=f"{column.type}, {column.null_count} nulls",
            )
    return table.select(schema.names).cast(schema)


def labels_in(table: pd.DataFrame, class_names: Sequence[str]) -> Labels:
    """The labels in a table with the label columns of cases.parquet, of one class a case or of several."""
    if "label" in table:
        return table["label"].to_numpy(np.int64)
    return label_matrix(table, class_names, multi_label=True)


def label_matrix(cases: pd.DataFrame, class_names: Sequence[str], multi_label: bool) -> Float[np.ndarray, "n classes"]:
    """1 where a case belongs to a class, 0 where not, NaN where nobody knows; from the columns of cases.parquet."""
    if multi_label:
        return cases[[label_column(name) for name in class_names]].to_numpy(np.float64)
    return np.eye(len(class_names))[cases["label"].to_numpy(np.int64)]
