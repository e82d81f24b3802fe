"""MIMIC-CXR (DICOM) and MIMIC-CXR-JPG, to whose images other data sets refer by `dicom_id`.

The images are `files/p<first 2 digits>/p<subject>/s<study>/<dicom_id>.dcm` or `.jpg`, the tables `.csv.gz` or `.csv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from ggcam.data.case import Split
from ggcam.data.split_words import read_splits
from ggcam.data.tables import read_table
from ggcam.errors import DataError, MissingFileError, join_limited
from ggcam.utils.foreign_paths import file_exists

IMAGES_HINT = "pass the folder above files/ of MIMIC-CXR with --images"
"""How to fix missing images."""

_SUFFIXES = (".dcm", ".jpg", ".jpeg", ".png")


def find_images(root: Path, paths: Sequence[PurePosixPath]) -> list[Path]:
    """Find images.

    Each is looked for at its own path below `root`, with or without the leading `files`. Only if some are missing, all
    of `root` is searched by file name, which may take a minute for the whole of MIMIC-CXR.

    Args:
        root: any folder above the images.
        paths: `files/p1x/p<subject>/s<study>/<dicom_id>.dcm` of each image; the suffix is ignored.

    Returns:
        Where each image is; for a missing image, where it should be.

    Raises:
        MissingFileError: the folder does not exist.
    """
    if not root.is_dir():
        raise MissingFileError("the folder of images does not exist", where=root)
    found = [_at_own_path(root, path) for path in paths]
    missing = {path.stem for path, file in zip(paths, found, strict=True) if file is None}
    elsewhere: dict[str, Path] = {}
    for file in sorted(root.rglob("*")) if missing else ():
        if file.stem in missing and file.suffix.lower() in _SUFFIXES:
            elsewhere.setdefault(file.stem, file)
    return [file or elsewhere.get(path.stem, root / path) for path, file in zip(paths, found, strict=True)]


def _at_own_path(root: Path, path: PurePosixPath) -> Path | None:
    without_files = path.relative_to("files") if path.parts[:1] == ("files",) else path
    candidates = (root / each.with_suffix(suffix) for suffix in _SUFFIXES for each in (path, without_files))
    return next((candidate for candidate in candidates if file_exists(candidate)), None)


def official_splits(root: Path) -> dict[str, Split]:
    """Read the official split from `mimic-cxr-2.0.0-split.csv.gz` in a folder or beside it.

    Args:
        root: folder of MIMIC-CXR-JPG, or its folder `files`.

    Returns:
        dicom_id -> split; empty if there is no such table.

    Raises:
        TableError: a column is missing, or a split is unknown.
    """
    path = _find_table(root, "split")
    if path is None:
        return {}
    table = read_table(path, ["dicom_id", "split"])
    pairs = zip(table["dicom_id"].tolist(), read_splits(table), strict=True)
    return {dicom_id: split for dicom_id, split in pairs if split}


def check_original_sizes(root: Path, dicom_ids: Sequence[str], sizes: Int[np.ndarray, "n 2"]) -> None:
    """Check the sizes of images against `mimic-cxr-2.0.0-metadata.csv.gz`, if it exists.

    Args:
        root: folder of MIMIC-CXR-JPG, or its folder `files`.
        dicom_ids: id of each image.
        sizes: height and width of each image in pixels.

    Raises:
        TableError: a column is missing, or a size is not a number.
        DataError: images were resized, so that positions in pixels of the originals do not fit them.
    """
    path = _find_table(root, "metadata")
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
    """Raise an error if images do not have the size of the originals.

    Args:
        names: name of each image, for the message.
        sizes: height and width of each image in pixels.
        expected: the same of the originals.
        where: table with the sizes of the originals, for the message.

    Raises:
        DataError: sizes differ; the message has the first images and their number.
    """
    different = np.flatnonzero((sizes != expected).any(axis=1)).tolist()
    if different:
        raise DataError(
            f"{len(different):,} of {len(names):,} images do not have the size of the originals",
            where=where,
            expected=join_limited((f"{names[at]}: {'x'.join(map(str, expected[at]))}" for at in different), 2),
            got=join_limited(("x".join(map(str, sizes[at])) for at in different), 2),
            hint="use the images of MIMIC-CXR or MIMIC-CXR-JPG, not resized ones",
        )


def _find_table(root: Path, kind: str) -> Path | None:
    folders = (root, root.parent) if root.name == "files" else (root,)
    found = [path for folder in folders for path in sorted(folder.glob(f"mimic-cxr-*-{kind}.csv*"))]
    return next((path for path in found if path.name.endswith((".csv", ".csv.gz"))), None)
