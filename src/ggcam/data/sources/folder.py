"""A folder of images: one folder a class, or a labels.csv; with or without a table of fixations."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from ggcam.data.case import Case, Source, Split
from ggcam.data.sources.image_files import check_present, images_below, is_image, read_sizes
from ggcam.data.sources.readings import GazeRows, group_readings
from ggcam.data.tables import Table, read_table
from ggcam.errors import DataError, MissingFileError, TableError, listed
from ggcam.gaze.fixations import Fixations

NAME = "folder"
NEEDS = "labels.csv with the columns image, label; or one folder of images a class"
SPLIT_NAMES: dict[str, Split | None] = {
    "train": "train",
    "valid": "valid",
    "validate": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
    "": None,
}
"""What a column `split` may say, and what it means."""


def recognises(root: Path) -> bool:
    """Whether the folder has a labels.csv, or a folder with an image in it."""
    return (root / "labels.csv").is_file() or any(
        is_image(path)
        for folder in root.iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
        for path in folder.iterdir()
    )


def read(root: Path, labels: Path | None = None, fixations: Path | None = None, skip_missing: bool = False) -> Source:
    """Read images whose class a table or their folder names.

    The class names are the labels, sorted: as words, or as numbers when all are whole numbers. A case's id is its
    path in `root` without the ending, with '_' for '/' and for whatever a file name should not have.

    Args:
        root: the folder of the images.
        labels: table with the columns image (path in `root`), label, and if wanted patient_id (by default each image
            is a patient of its own) and split (train, valid, test or empty); `root/labels.csv` by default. Without
            such a table each folder in `root` is a class.
        fixations: table with the columns image, x_px, y_px (continuous pixels from the image's top-left corner), and
            if wanted start_s, duration_s (1 by default: every fixation counts the same) and reader; by default
            `root/fixations.csv` or `root/fixations.parquet`, if there is one.
        skip_missing: leave out and count the listed images that are missing.

    Returns:
        The cases in the order of the table, or of the paths.

    Raises:
        MissingFileError: the folder, a table that was named, or listed images are not there.
        TableError: a table lacks a column, or holds a value that cannot be.
        DataError: no image, fewer than two classes, or two images that would share a case id.
    """
    if not root.is_dir():
        raise MissingFileError("there is no such folder", where=root)
    dropped: Counter[str] = Counter()
    if labels is not None or (root / "labels.csv").is_file():
        cases = _listed_cases(root, labels or root / "labels.csv", skip_missing, dropped)
    else:
        cases = _cases_by_folder(root, dropped)
    class_names = _class_names(cases["label"], labels or root)
    case_ids = _case_ids(cases["image"])
    patient_ids = cases["patient_id"] if "patient_id" in cases else np.full(len(cases), "")
    splits = (
        [SPLIT_NAMES[word.lower()] for word in cases["split"].tolist()] if "split" in cases else [None] * len(cases)
    )
    tables = (fixations,) if fixations else (root / "fixations.csv", root / "fixations.parquet")
    readings: list[dict[str, Fixations]] = [{} for _ in case_ids]
    for table in [table for table in tables if fixations or table.is_file()][:1]:
        readings = _read_gaze(table, root, cases["image"].tolist(), dropped)
        dropped["case without gaze (kept)"] = sum(not of_case for of_case in readings)
    found = tuple(
        Case(case_id, patient_id or case_id, class_names.index(label), root / image, of_case, split=split)
        for case_id, patient_id, label, image, of_case, split in zip(
            case_ids, patient_ids.tolist(), cases["label"], cases["image"].tolist(), readings, splits, strict=True
        )
    )
    return Source(NAME, class_names, found, {reason: count for reason, count in dropped.items() if count})


def _listed_cases(root: Path, path: Path, skip_missing: bool, dropped: Counter[str]) -> Table:
    """The distinct rows of the table whose image is there; `image` is a path in `root` with '/'."""
    table = _with_tidy_paths(read_table(path, ["image", "label"], ["patient_id", "split"]))
    for column in ("image", "label"):
        table.refuse(table[column] == "", f"a row has no {column}", column)
    places = [PurePosixPath(image) for image in table["image"].tolist()]
    outside = np.array([place.is_absolute() or ".." in place.parts for place in places], dtype=bool)
    table.refuse(outside, "an image lies elsewhere", "image", f"a path inside {root}")
    again = table.repeats()
    dropped["row that repeats an earlier one"] += int(again.sum())
    table = table.select(~again)
    table.refuse(table.repeats("image"), "an image stands there twice, with different values", "image")
    if "split" in table:
        known = np.isin(np.char.lower(table["split"]), list(SPLIT_NAMES))
        table.refuse(~known, "unknown split", "split", "train, valid, test or nothing")
    files = [root / image for image in table["image"].tolist()]
    fix = f"give paths inside {root} in the column image"
    table = table.select(check_present(files, skip_missing, dropped, fix))
    unlisted = set(images_below(root)) - set(table["image"].tolist())
    dropped[f"image that {path.name} does not list"] += len(unlisted)
    return table


def _cases_by_folder(root: Path, dropped: Counter[str]) -> Table:
    """The same columns, from `<class>/<image>`."""
    images = images_below(root)
    direct = [image for image in images if image.count("/") == 1]
    if not direct:
        raise DataError(
            "no images in class folders",
            where=root,
            expected=NEEDS,
            got=f"images elsewhere: {listed(images, most=2)}" if images else "no image at all",
            fix="name the folder that holds the class folders, or write a labels.csv" if images else None,
        )
    labels = [image.split("/")[0] for image in direct]
    folders = {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    dropped["image outside the class folders"] += len(images) - len(direct)
    dropped["folder without images of its own"] += len(folders - set(labels))
    return Table(root, {"image": np.array(direct), "label": np.array(labels)}, np.arange(len(direct)))


def _class_names(labels: np.ndarray, where: Path) -> tuple[str, ...]:
    names = sorted(set(labels.tolist()))
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        names.sort(key=int)
    if len(names) < 2:
        raise DataError("a classifier needs two classes or more", where=where, got=listed(names) or "none")
    return tuple(names)


def _case_ids(images: np.ndarray) -> list[str]:
    made: dict[str, str] = {}
    for image in images.tolist():
        case_id = re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(image).with_suffix("").as_posix())
        if case_id in made:
            raise DataError(
                f"two images would share the case id {case_id}",
                where=f"{made[case_id]}, {image}",
                fix="rename one, so that they differ in letters, digits, '.', '_' or '-' before the ending",
            )
        made[case_id] = image
    return list(made)


def _read_gaze(path: Path, root: Path, images: list[str], dropped: Counter[str]) -> list[dict[str, Fixations]]:
    """Reading id -> fixations for each of the images."""
    table = _with_tidy_paths(read_table(path, ["image", "x_px", "y_px"], ["start_s", "duration_s", "reader"]))
    position = {image: at for at, image in enumerate(images)}
    case = np.array([position.get(image, -1) for image in table["image"].tolist()], dtype=np.int64)
    if len(case) and (case < 0).all():
        raise TableError(
            "not one image of the fixations is among the cases",
            where=path,
            expected=f"paths such as {images[0]}",
            got=listed(dict.fromkeys(table["image"].tolist()), most=2),
        )
    # An unreadable image is told where its pixels are needed; here its size is missing, so its gaze cannot be kept.
    looked_at = np.unique(case[case >= 0])
    sizes = np.zeros((len(images), 2), dtype=np.int64)
    sizes[looked_at] = read_sizes([root / images[at] for at in looked_at], True, Counter(), fix="")
    unreadable = (case >= 0) & (sizes[case, 0] == 0)
    dropped["fixation on an image that is no case"] += int((case < 0).sum())
    dropped["fixation on an image that cannot be read"] += int(unreadable.sum())
    keep = (case >= 0) & ~unreadable
    table = table.select(keep)

    reader = table["reader"] if "reader" in table else np.full(len(table), "")
    rows = GazeRows.build(
        case=case[keep],
        x_px=table.numbers("x_px", blank=True),
        y_px=table.numbers("y_px", blank=True),
        start_s=table.numbers("start_s", blank=True) if "start_s" in table else np.nan,
        duration_s=table.numbers("duration_s", blank=True) if "duration_s" in table else 1.0,
        reading_id=np.where(reader == "", "1", reader),
    )
    return group_readings(rows, sizes, dropped, path)


def _with_tidy_paths(table: Table) -> Table:
    """The column image with '/' whatever the system it was written on, and without './'."""
    tidy = [PurePosixPath(image.replace("\\", "/")).as_posix() if image else "" for image in table["image"].tolist()]
    return replace(table, columns={**table.columns, "image": np.array(tidy, dtype=np.str_)})
