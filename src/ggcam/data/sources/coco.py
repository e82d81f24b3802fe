"""COCO JSON: images with boxes, polygons and run-length masks of objects."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np

from ggcam.data.case import Source, Split
from ggcam.data.sources.coco_annotations import read_coco
from ggcam.data.sources.image_files import check_present, images_below
from ggcam.data.sources.label_sets import label_images
from ggcam.data.sources.labelled_images import LabelledImages, make_case_ids
from ggcam.data.sources.region_files import regions_of_annotations
from ggcam.data.split_words import SPLIT_WORDS
from ggcam.errors import DataError, MissingFileError
from ggcam.utils.foreign_paths import file_exists

NAME = "coco"
_PATTERNS = ("annotations.json", "_annotations.coco.json", "instances_*.json")
_FOLDERS = ("", "annotations/", "*/")
EXPECTED_FILES = "annotations.json, _annotations.coco.json or instances_*.json, in the folder or in one below it"


def can_read(root: Path) -> bool:
    """Return whether a folder has a file of annotations with one of the usual names.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    return bool(_annotation_files(root))


def read(root: Path, images: Path | None = None, annotations: Path | None = None, skip_missing: bool = False) -> Source:
    """Read the images that files of annotations list; the categories of its objects are the labels of an image.

    If every image has exactly one category, it is its class; otherwise an image may have any number of labels. Polygons
    and run lengths become masks; objects without them are boxes. Several files, such as those of a training and a test
    set, are joined; words such as train, val and test in the name of a file or its folder give the split
    (--split source).

    Args:
        root: folder with the annotations.
        images: folder with the images at any depth. Default: RAW.
        annotations: JSON file with images, annotations and categories. Default: all files in RAW, and in the folders in
            it, that are called annotations.json, _annotations.coco.json or instances_*.json.
        skip_missing: leave out listed images that are missing, and count them.

    Returns:
        The cases in the order of the files. Each image counts as a patient.

    Raises:
        MissingFileError: there are no annotations, or images are missing.
        TableError: a file of annotations is invalid; with the position.
        DataError: an image has another size than its annotations, is listed twice, or there are fewer than two
            categories.
    """
    files = [annotations] if annotations else _annotation_files(root)
    if not files:
        raise MissingFileError("there are no annotations", where=root, expected=EXPECTED_FILES)
    folder = images or root
    if not folder.is_dir():
        raise MissingFileError("the folder of images does not exist", where=folder)
    dropped: Counter[str] = Counter()
    cocos = [read_coco(path, dropped) for path in files]
    listed = [(coco, image.file_name) for coco in cocos for image in coco.images]
    by_name = _unique_names(folder)
    paths = [_find_image(folder, coco.path.parent, file_name, by_name) for coco, file_name in listed]
    hint = "pass the folder of the images with --images"
    present = check_present([folder / path for path in paths], skip_missing, dropped, hint)
    if not present.any():
        raise DataError("none of the images in the annotations exists", where=folder)
    # Case of each image of each file; -1 for a missing image.
    case = np.where(present, present.cumsum() - 1, -1)
    case_of = list(zip(cocos, np.split(case, np.cumsum([len(coco.images) for coco in cocos])[:-1]), strict=True))
    names: list[dict[str, None]] = [{} for _ in range(int(present.sum()))]
    for coco, cases in case_of:
        for annotation in coco.annotations:
            if cases[annotation.image] >= 0:
                names[cases[annotation.image]][annotation.name] = None
    used = {name for of_image in names for name in of_image}
    dropped["category without an object"] += len({name for coco in cocos for name in coco.categories} - used)
    class_names, labels = label_images([tuple(of_image) for of_image in names], files[0])
    found = tuple(path for path, keep in zip(paths, present, strict=True) if keep)
    ids = tuple(make_case_ids(np.array(found, dtype=np.str_)))
    splits: tuple[Split | None, ...] = tuple(
        _split(coco.path, root) for (coco, _), keep in zip(listed, present, strict=True) if keep
    )
    labelled = LabelledImages(folder, found, ids, ids, labels, splits, class_names)
    regions = regions_of_annotations(case_of, labelled, dropped)
    return labelled.to_source(NAME, [{} for _ in found], dropped, regions)


def _annotation_files(root: Path) -> list[Path]:
    return sorted({path for folder in _FOLDERS for name in _PATTERNS for path in root.glob(folder + name)})


def _unique_names(folder: Path) -> dict[str, str]:
    """Map file names that occur once in a folder to their paths."""
    paths = images_below(folder)
    counts = Counter(PurePosixPath(path).name for path in paths)
    return {PurePosixPath(path).name: path for path in paths if counts[PurePosixPath(path).name] == 1}


def _find_image(folder: Path, beside: Path, file_name: str, by_name: dict[str, str]) -> str:
    """Return the path of an image relative to its folder: as it is written, beside its annotations, or by its name."""
    name = PurePosixPath(file_name)
    safe = not name.is_absolute() and ".." not in name.parts
    if safe and beside.is_relative_to(folder) and file_exists(beside / name):
        return (beside.relative_to(folder) / name).as_posix()
    if safe and file_exists(folder / name):
        return name.as_posix()
    return by_name.get(name.name, name.name)


def _split(path: Path, root: Path) -> Split | None:
    """Return the split that the name of a file, or of its folder below the raw one, tells."""
    folder = path.parent.name if path.parent != root else ""
    words = re.split(r"[^a-z]+", f"{path.stem} {folder}".lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)
