"""MIMIC-CXR (DICOM) and MIMIC-CXR-JPG as stores of images, which other data sets refer to by `dicom_id`.

`files/p<first 2 digits>/p<subject>/s<study>/<dicom_id>.dcm` or `.jpg`, and tables as `.csv.gz` or `.csv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from ggcam.data.case import Split
from ggcam.data.sources.labelled_images import SPLIT_NAMES
from ggcam.data.tables import read_table
from ggcam.errors import DataError, MissingFileError, join_limited

_SUFFIXES = (".dcm", ".jpg", ".jpeg", ".png")


def find_images(root: Path, paths: Sequence[PurePosixPath]) -> list[Path]:
    """Where each image is; where it should be if nowhere.

    Looked for at its own path below `root`, with or without the leading `files`; if some are not there, by its name
    anywhere below `root`, which may take a minute for the whole of MIMIC-CXR.

    Args:
        root: any folder above the images.
        paths: `files/p1x/p<subject>/s<study>/<dicom_id>.dcm` of each; the ending does not matter.

    Raises:
        MissingFileError: there is no such folder.
    """
    if not root.is_dir():
        raise MissingFileError("there is no such folder of images", where=root)
    found = [_at_its_path(root, path) for path in paths]
    lost = {path.stem for path, file in zip(paths, found, strict=True) if file is None}
    elsewhere: dict[str, Path] = {}
    for file in sorted(root.rglob("*")) if lost else ():
        if file.stem in lost and file.suffix.lower() in _SUFFIXES:
            elsewhere.setdefault(file.stem, file)
    return [file or elsewhere.get(path.stem, root / path) for path, file in zip(paths, found, strict=True)]


def _at_its_path(root: Path, path: PurePosixPath) -> Path | None:
    tail = path.relative_to("files") if path.parts[:1] == ("files",) else path
    places = (root / place.with_suffix(suffix) for suffix in _SUFFIXES for place in (path, tail))
    return next((place for place in places if place.is_file()), None)


def official_splits(root: Path) -> dict[str, Split]:
    """dicom_id -> split, from `mimic-cxr-2.0.0-split.csv.gz` in `root` or beside it; nothing where it is not.

    Raises:
        TableError: a column is missing, or a split is unknown.
    """
    path = _table(root, "split")
    if path is None:
        return {}
    table = read_table(path, ["dicom_id", "split"])
    table.refuse(~np.isin(table["split"], ("train", "validate", "test")), "unknown split", "split")
    pairs = zip(table["dicom_id"].tolist(), table["split"].tolist(), strict=True)
    return {dicom_id: split for dicom_id, word in pairs if (split := SPLIT_NAMES[word])}


def check_original_sizes(root: Path, dicom_ids: Sequence[str], sizes: Int[np.ndarray, "n 2"]) -> None:
    """Demand that images have the size that `mimic-cxr-2.0.0-metadata.csv.gz` says, where it is there.

    Raises:
        TableError: a column is missing, or a size is no number.
        DataError: images were resized, so that positions on the originals would mean other places.
    """
    path = _table(root, "metadata")
    if path is None:
        return
    table = read_table(path, ["dicom_id", "Rows", "Columns"])
    table = table.select(np.isin(table["dicom_id"], list(dicom_ids)))
    rows = zip(
        table["dicom_id"].tolist(), table.numbers("Rows").tolist(), table.numbers("Columns").tolist(), strict=True
    )
    known = {dicom_id: (int(height), int(width)) for dicom_id, height, width in rows}
    expected = np.array([known.get(each, tuple(size)) for each, size in zip(dicom_ids, sizes.tolist(), strict=True)])
    check_sizes(dicom_ids, sizes, expected.reshape(-1, 2), path)


def check_sizes(
    names: Sequence[str], sizes: Int[np.ndarray, "n 2"], expected: Int[np.ndarray, "n 2"], where: Path
) -> None:
    """Demand that images have the size in which they were looked at.

    Raises:
        DataError: names the first ones that have not.
    """
    wrong = np.flatnonzero((sizes != expected).any(axis=1))
    if len(wrong):
        raise DataError(
            f"{len(wrong):,} of {len(names):,} images have another size than the originals",
            where=where,
            expected=join_limited((f"{names[at]}: {'x'.join(map(str, expected[at]))}" for at in wrong.tolist()), 2),
            got=join_limited(("x".join(map(str, sizes[at])) for at in wrong.tolist()), 2),
            hint="use the images of MIMIC-CXR or MIMIC-CXR-JPG as they are",
        )


def _table(root: Path, kind: str) -> Path | None:
    folders = (root, root.parent) if root.name == "files" else (root,)
    found = [path for folder in folders for path in sorted(folder.glob(f"mimic-cxr-*-{kind}.csv*"))]
    return next((path for path in found if path.name.endswith((".csv", ".csv.gz"))), None)
