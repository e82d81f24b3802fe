"""The prepared folder: its tables, and how they are read and validated.

`dataset.toml`, `cases.parquet`, `fixations.parquet`, `regions.parquet`, `images/<case_id>.png`, `masks/<case_id>.png`,
`region_masks/<case_id>.png`; and `mentions.parquet` where there are dictations.
All positions are continuous pixels of the frame, with the origin at its top-left corner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float

from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.case import MASK_BITS, Frame, ImageKind, MaskName, Region
from ggcam.data.class_names import check_class_names
from ggcam.data.framing import FramingName
from ggcam.data.parquet_files import read_parquet
from ggcam.data.png import read_png
from ggcam.data.prepared_checks import check_cases, check_fixations, check_mentions, check_regions
from ggcam.data.prepared_schema import PreparedMeta
from ggcam.data.schema import (
    FIXATIONS,
    MASK_COLUMN,
    MENTIONS,
    READABLE_VERSIONS,
    REGIONS,
    Labels,
    cases_schema,
    image_name,
    label_matrix,
    labels_in,
    mask_name,
    partial_folder,
    region_mask_bits,
    region_mask_name,
)
from ggcam.data.view_config import AttentionKind
from ggcam.errors import ConfigError, ImageError, PreparedFolderError
from ggcam.gaze.fixations import Fixations
from ggcam.utils.aliases import canonical_name
from ggcam.utils.documents import read_toml
from ggcam.utils.foreign_paths import check_no_links_out
from ggcam.utils.structure import structure

_AGAIN = "prepare the data again with --overwrite"


@dataclass(frozen=True, eq=False)
class PreparedData:
    """A prepared folder with validated tables. Pixels are read from disk when they are needed.

    Attributes:
        root: path of the folder.
        class_names: name of each class, in the order of the labels.
        frame: size of every image.
        cases: table of the cases, one row per case; columns of :func:`ggcam.data.schema.cases_schema`.
        fixations: table of the fixations; columns of `FIXATIONS`.
        regions: table of the boxes, ellipses and masks; columns of `REGIONS`.
        meta: content of dataset.toml.
        mentions: table of the findings that readers named; columns of `MENTIONS`.
        attention: what guides the CAMs of a run on these data, never "auto"; see :func:`ggcam.data.views.apply_view`.
        decoded: case id -> pixels of the images, if they have been decoded; None reads each from its file.

    Example:
        >>> import ggcam
        >>> data = ggcam.load_prepared("DATA")
        >>> sorted(data.cases["split"].unique())
        ['test', 'train', 'valid']
        >>> data.read_image(data.cases["case_id"][0]).shape == data.image_shape
        True
    """

    root: Path
    class_names: tuple[str, ...]
    frame: Frame
    cases: pd.DataFrame
    fixations: pd.DataFrame
    regions: pd.DataFrame
    meta: Mapping[str, Any]
    mentions: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=MENTIONS.names))
    attention: AttentionKind = "gaze"
    decoded: Mapping[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def framing(self) -> FramingName:
        """How raw images were brought into the frame; folders of an earlier version only record the preset."""
        by_preset = "strided" if canonical_name(self.meta.get("preset", "")) == "original" else "fitted"
        return self.meta.get("framing", by_preset)

    @property
    def kind(self) -> ImageKind:
        """What the images show; folders of an earlier version hold chest X-rays."""
        return self.meta.get("kind", "chest")

    @property
    def channels(self) -> int:
        """Number of channels of the images: 1 for grey, 3 for RGB; folders of an earlier version are grey."""
        return self.meta.get("channels", 1)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of the array of an image: (height, width), or (height, width, 3) for RGB."""
        return self.frame.shape if self.channels == 1 else (*self.frame.shape, self.channels)

    @property
    def used_bits(self) -> int:
        """Bits that the values of the raw 16-bit PNG and TIFF files use; folders of an earlier version used all."""
        return self.meta.get("used_bits", ALL_BITS)

    @property
    def multi_label(self) -> bool:
        """Whether a case may belong to several classes, or to none."""
        return "label" not in self.cases

    @cached_property
    def label_matrix(self) -> Float[np.ndarray, "n classes"]:
        """Labels of all cases: 1 for a class of the case, 0 for any other, NaN for unknown."""
        return label_matrix(self.cases, self.class_names, self.multi_label)

    def labels_of(self, cases: pd.DataFrame) -> Labels:
        """Return the labels of a selection of cases.

        Args:
            cases: rows of :attr:`cases`.

        Returns:
            Shape (n,), class index; in multi-label data (n, classes), 1, 0 or NaN (unknown).
        """
        return labels_in(cases, self.class_names)

    @cached_property
    def gaze(self) -> Mapping[str, Fixations]:
        """Case id -> fixations of all its readings, in pixels of the frame; only cases with fixations."""
        return {str(case_id): fixations for case_id, fixations in self._fixations_by("case_id")}

    @cached_property
    def readings(self) -> Mapping[str, tuple[Fixations, ...]]:
        """Case id -> fixations of each of its readings, in pixels of the frame; only cases with fixations."""
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
        """Case id -> its boxes, ellipses and boxes around masks, in pixels of the frame; only cases with regions."""
        found: dict[str, list[Region]] = {}
        for case_id, *region in zip(*(self.regions[name].tolist() for name in REGIONS.names), strict=True):
            found.setdefault(case_id, []).append(Region(*region))
        return {case_id: tuple(regions) for case_id, regions in found.items()}

    def read_image(self, case_id: str) -> np.ndarray:
        """Read a case's image.

        Args:
            case_id: id of the case.

        Returns:
            Pixels, uint8 or uint16, of the shape :attr:`image_shape`.

        Raises:
            ImageError: the file is missing, damaged, or has another size or other channels than the data set.
        """
        if self.decoded is not None:
            return self.decoded[case_id]
        return self._read(self.root / image_name(case_id), self.image_shape)

    def read_masks(self, case_id: str) -> dict[MaskName, np.ndarray]:
        """Read a case's anatomical masks.

        Args:
            case_id: id of the case.

        Returns:
            Name -> mask, true inside, of the frame's size; empty where the source has no masks.

        Raises:
            ImageError: the file is missing or damaged, or has another size than the frame.
        """
        path = self.root / mask_name(case_id)
        if case_id not in self._with_masks if self._with_masks is not None else not path.is_file():
            return {}
        bits = self._read(path, self.frame.shape)
        return {name: inside for name, bit in MASK_BITS.items() if (inside := (bits & bit) > 0).any()}

    def read_region_masks(self, case_id: str) -> dict[str, np.ndarray]:
        """Read a case's masks of findings, the regions of the kind "mask".

        Args:
            case_id: id of the case.

        Returns:
            Name of the finding -> mask, true inside, of the frame's size; empty for a case without such masks.

        Raises:
            ImageError: the file is missing or damaged, or has another size than the frame.
        """
        names = [region.name for region in self.boxes.get(case_id, ()) if region.kind == "mask"]
        if not names:
            return {}
        bits = self.read_region_bits(case_id)
        return {name: (bits & bit) > 0 for name, bit in region_mask_bits(names).items()}

    def read_region_bits(self, case_id: str) -> np.ndarray:
        """Read the file of a case's masks of findings: one bit per mask, see :func:`region_mask_bits`.

        Args:
            case_id: id of a case with such masks.

        Returns:
            Bits, uint8 or uint16, of the frame's size.

        Raises:
            ImageError: the file is missing or damaged, or has another size than the frame.
        """
        return self._read(self.root / region_mask_name(case_id), self.frame.shape)

    @cached_property
    def _with_masks(self) -> frozenset[str] | None:
        """Ids of the cases that have masks; None in folders of earlier versions, whose tables do not tell."""
        if MASK_COLUMN not in self.cases:
            return None
        return frozenset(self.cases.loc[self.cases[MASK_COLUMN].notna(), "case_id"])

    def _read(self, path: Path, shape: tuple[int, ...]) -> np.ndarray:
        image = read_png(path)
        if image is None or image.shape != shape:
            raise ImageError(
                "the prepared image is missing or damaged",
                where=path,
                expected=f"{'one channel' if len(shape) == 2 else 'three channels'} of {self.frame}",
                got="no image" if image is None else f"an array of shape {image.shape}",
                hint=_AGAIN,
            )
        return image


def load_prepared(root: Path | str) -> PreparedData:
    """Load a prepared folder and validate its tables against each other and against the image files.

    Args:
        root: the folder that `ggcam prepare` made.

    Returns:
        The tables and settings; images are read when they are needed.

    Raises:
        PreparedFolderError: the folder does not exist, is incomplete or of another version, or images are missing.
        MissingFileError: a table is missing.
        TableError: a table lacks a column or has an invalid value; with the row, counted from 0.

    Example:
        >>> import ggcam
        >>> data = ggcam.load_prepared("DATA")
        >>> data.class_names
        ('Normal', 'CHF', 'pneumonia')
    """
    root = Path(root)
    meta = _read_meta(root)
    for folder in (root, *(root / name for name in ("images", "masks", "region_masks", "pixels"))):
        check_no_links_out(folder, root, PreparedFolderError)
    class_names, path = tuple(meta["class_names"]), root / "dataset.toml"
    check_class_names(class_names, path)
    try:
        frame = Frame(meta["frame"]["height_px"], meta["frame"]["width_px"])
    except ConfigError as error:
        raise PreparedFolderError("invalid frame", where=path, got=error.what, hint=_AGAIN) from None
    schema = cases_schema(class_names, meta.get("multi_label", False))
    cases = read_parquet(root / "cases.parquet", partial(_existing_columns, schema), hint=_AGAIN)
    fixations = read_parquet(root / "fixations.parquet", FIXATIONS, hint=_AGAIN)
    regions = read_parquet(root / "regions.parquet", REGIONS, hint=_AGAIN)
    check_cases(root / "cases.parquet", cases, class_names)
    check_fixations(root / "fixations.parquet", fixations, cases)
    check_regions(root / "regions.parquet", regions, cases)
    cases, fixations, regions = (
        table.replace_schema_metadata(None).to_pandas() for table in (cases, fixations, regions)
    )
    return PreparedData(root, class_names, frame, cases, fixations, regions, meta, _read_mentions(root, cases))


def _read_mentions(root: Path, cases: pd.DataFrame) -> pd.DataFrame:
    """Read mentions.parquet; an empty table where there is none."""
    path = root / "mentions.parquet"
    if not path.exists():
        return MENTIONS.empty_table().to_pandas()
    mentions = read_parquet(path, MENTIONS, hint=_AGAIN)
    check_mentions(path, mentions, cases["case_id"].to_numpy())
    return mentions.replace_schema_metadata(None).to_pandas()


def _existing_columns(schema: pa.Schema, names: list[str]) -> pa.Schema:
    """Leave out the column of masks, which folders of earlier versions do not have."""
    return schema if MASK_COLUMN in names else schema.remove(schema.get_field_index(MASK_COLUMN))


def _read_meta(root: Path) -> PreparedMeta:
    path = root / "dataset.toml"
    if not path.is_file():
        if partial_folder(root).is_dir() or root.name.endswith(".partial"):
            what, hint = (
                "the prepared folder is incomplete",
                "run the same `ggcam prepare` command again to continue it",
            )
        elif root.is_dir():
            what, hint = (
                "not a prepared folder: it has no dataset.toml",
                "create one with `ggcam prepare RAW DATA`",
            )
        else:
            what, hint = "the prepared folder does not exist", "create it with `ggcam prepare RAW DATA`"
        raise PreparedFolderError(what, where=root, hint=hint)
    meta = read_toml(path, PreparedFolderError, _AGAIN)
    if meta.get("schema_version") not in READABLE_VERSIONS:
        raise PreparedFolderError(
            "the prepared folder was written by another version",
            where=path,
            expected=f"schema_version = {' or '.join(map(str, READABLE_VERSIONS))}",
            got=meta.get("schema_version", "none"),
            hint="prepare the data again with this version of ggcam",
        )
    return structure(meta, PreparedMeta, path, error=PreparedFolderError, hint=_AGAIN)
