"""NIH ChestX-ray14: 112,120 chest X-rays with 14 findings, boxes of 880 images, and the official split.

Wang et al., "ChestX-ray8: hospital-scale chest X-ray database and benchmarks", CVPR 2017.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from ggcam.data.case import Case, Region, Source, Split
from ggcam.data.sources.image_files import check_present, images_by_id, read_sizes
from ggcam.data.sources.label_sets import NO_FINDING, multi_labels, sort_classes, split_labels
from ggcam.data.sources.nih_tables import read_box_list, read_entries
from ggcam.data.sources.official_split import split_off_validation
from ggcam.data.sources.regions import RegionRows, group_regions, name_like_classes
from ggcam.data.sources.resized import scale_to_images
from ggcam.data.tables import Table
from ggcam.errors import ConfigError, DataError, join_limited
from ggcam.utils.documents import read_text

NAME = "nih"
EXPECTED_FILES = "Data_Entry_2017*.csv, and images_*/images, or a folder named with --images"
BOX_LIST = "BBox_List_2017.csv"
TRAIN_LIST, TEST_LIST = "train_val_list.txt", "test_list.txt"
_IMAGE, _FINDINGS = "Image Index", "Finding Labels"
SIDE_PX = 1024
"""Height and width of the images as published, to which the boxes refer."""


def can_read(root: Path) -> bool:
    """Return whether a folder has the table of entries.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    return bool(list(root.glob("Data_Entry_2017*.csv")))


def read(
    root: Path,
    images: Path | None = None,
    labels: Path | None = None,
    boxed_only: bool = False,
    skip_missing: bool = False,
) -> Source:
    """Read the images of ChestX-ray14 with their findings, the boxes of the list, and the official split.

    The images may be resized copies of the published ones of 1024x1024 pixels. Of the official training patients, one
    eighth is for validation (--split source). The view, PA or AP, is a flag of the case.

    Args:
        root: folder with Data_Entry_2017*.csv, BBox_List_2017.csv, train_val_list.txt, test_list.txt; the last three
            may be missing.
        images: folder with the images at any depth. Default: RAW.
        labels: table of entries. Default: the only Data_Entry_2017*.csv in RAW.
        boxed_only: read only images with boxes, and images without any finding.
        skip_missing: leave out cases whose image is missing or unreadable, and count them.

    Returns:
        The cases in the order of the table; with 14 labels each, which are all negative for "No Finding".

    Raises:
        ConfigError: there are several tables of entries.
        MissingFileError: a file or images are missing.
        TableError: a table has an invalid value.
        ImageError: images cannot be read.
        DataError: an image with boxes has another aspect ratio than the published ones.
    """
    dropped: Counter[str] = Counter()
    entries = read_entries(labels or _find_entries(root))
    for column in (_IMAGE, _FINDINGS, "Patient ID"):
        entries.refuse(entries[column] == "", f"a row has no {column}", column)
    entries.refuse(entries.repeats(_IMAGE), "an image is listed twice", _IMAGE)
    findings = {each for text in entries[_FINDINGS].tolist() for each in split_labels(text)}
    class_names = sort_classes({each for each in findings if each.lower() != NO_FINDING}, entries.path)
    boxes = read_box_list(root / BOX_LIST) if boxed_only or (root / BOX_LIST).is_file() else None
    if boxed_only and boxes is not None:
        entries = _select_boxed(entries, boxes, dropped)
    folder = images or root
    by_id = images_by_id(folder, dropped)
    files = [by_id.get(Path(name).stem) or folder / name for name in entries[_IMAGE].tolist()]
    present = check_present(files, skip_missing, dropped, "pass the folder above images_* with --images")
    files = [file for file, keep in zip(files, present, strict=True) if keep]
    entries = entries.select(present)
    if not files:
        raise DataError("none of the images in the table exists", where=folder)
    names, patients = entries[_IMAGE].tolist(), entries["Patient ID"].tolist()
    regions = [()] * len(files) if boxes is None else _regions(boxes, names, files, class_names, dropped)
    cases = tuple(
        Case(Path(name).stem, patient, label, file, regions=of_case, split=split, flags=(view,) if view else ())
        for name, patient, label, file, of_case, split, view in zip(
            names,
            patients,
            multi_labels([split_labels(text) for text in entries[_FINDINGS].tolist()], class_names),
            files,
            regions,
            split_off_validation(patients, _official_split(root, names, dropped)),
            entries["View Position"].tolist(),
            strict=True,
        )
    )
    return Source(NAME, class_names, cases, dict(+dropped), kind="chest")


def _select_boxed(entries: Table, boxes: Table, dropped: Counter[str]) -> Table:
    """Select the images with boxes, and those without any finding."""
    boxed = np.isin(entries[_IMAGE], boxes["Image Index"])
    healthy = np.char.lower(entries[_FINDINGS]) == NO_FINDING
    dropped["image with a finding but without boxes"] += int((~boxed & ~healthy).sum())
    return entries.select(boxed | healthy)


def _find_entries(root: Path) -> Path:
    tables = sorted(root.glob("Data_Entry_2017*.csv"))
    if len(tables) > 1:
        raise ConfigError(
            "there are several tables of entries", where=root, got=join_limited(tables), hint="name one with --labels"
        )
    return tables[0] if tables else root / "Data_Entry_2017.csv"


def _regions(
    boxes: Table, names: list[str], files: list[Path], class_names: tuple[str, ...], dropped: Counter[str]
) -> list[tuple[Region, ...]]:
    """Return the boxes of each image, scaled if the image is a resized copy."""
    index_of = {image: index for index, image in enumerate(names)}
    case = np.array([index_of.get(image, -1) for image in boxes["Image Index"].tolist()], dtype=np.int64)
    dropped["region of an image that is not a case"] += int((case < 0).sum())
    boxes, case = boxes.select(case >= 0), case[case >= 0]
    sizes = np.full((len(files), 2), SIDE_PX, dtype=np.int64)
    boxed = np.unique(case)
    sizes[boxed] = read_sizes([files[at] for at in boxed.tolist()], True, Counter(), hint="")
    readable = sizes[case, 0] > 0  # an unreadable image is reported later, when its pixels are read
    boxes, case = boxes.select(readable), case[readable]
    x, y, width, height = (boxes.numbers(column) for column in ("x", "y", "w", "h"))
    stated = np.full((len(case), 2), SIDE_PX)
    scale = np.tile(scale_to_images(stated, sizes[case], [files[at] for at in case.tolist()])[:, ::-1], 2)
    rows = RegionRows(
        case,
        np.array(name_like_classes(boxes["Finding Label"].tolist(), class_names, dropped), dtype=np.str_),
        np.full(len(case), "box"),
        np.stack([x, y, x + width, y + height], axis=1) * scale,
        [f"{boxes.path}:{row}" for row in boxes.row.tolist()],
    )
    return group_regions(rows, sizes, dropped, boxes.path)


def _official_split(root: Path, names: list[str], dropped: Counter[str]) -> list[Split | None]:
    """Return the split by the two lists of images; None for all if a list is missing."""
    if not all((root / name).is_file() for name in (TRAIN_LIST, TEST_LIST)):
        return [None] * len(names)
    lists = {name: set(read_text(root / name).split()) for name in (TRAIN_LIST, TEST_LIST)}
    if shared := lists[TRAIN_LIST] & lists[TEST_LIST]:
        raise DataError("an image is in both lists", where=f"{root / TRAIN_LIST}, {TEST_LIST}", got=min(shared))
    splits: list[Split | None] = [
        "train" if name in lists[TRAIN_LIST] else "test" if name in lists[TEST_LIST] else None for name in names
    ]
    dropped["image in neither list of the official split (kept)"] += splits.count(None)
    return splits
