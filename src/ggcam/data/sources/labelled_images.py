"""Images whose classes a table names, or their folders: one label each, or several."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from ggcam.data.case import Case, Label, Source, Split
from ggcam.data.sources.image_files import check_present, images_below, is_image
from ggcam.data.tables import Table, column_names, read_table
from ggcam.errors import DataError, MissingFileError, join_limited
from ggcam.gaze.fixations import Fixations

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

LABEL_PREFIX = "label_"
"""A table with columns of this beginning is a multi-label one: 1, 0 or nothing (unknown) in a column for each class."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Some images of one folder, and what is known of them.

    Attributes:
        root: the folder.
        images: path of each in `root`, with '/'.
        case_ids: made from the paths: without the ending, '_' for '/' and for whatever a file name should not have.
        patient_ids: the case id where nobody says.
        labels: of each, as :class:`Case` has them.
        splits: of each.
        class_names: of the labels.
    """

    root: Path
    images: tuple[str, ...]
    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    labels: tuple[Label, ...]
    splits: tuple[Split | None, ...]
    class_names: tuple[str, ...]

    @property
    def files(self) -> list[Path]:
        """Where each image is."""
        return [self.root / image for image in self.images]

    def source(self, name: str, readings: Sequence[Mapping[str, Fixations]], dropped: Counter[str]) -> Source:
        """The images as cases, each with its readings."""
        cases = tuple(
            Case(case_id, patient_id, label, file, of_case, split=split)
            for case_id, patient_id, label, file, of_case, split in zip(
                self.case_ids, self.patient_ids, self.labels, self.files, readings, self.splits, strict=True
            )
        )
        return Source(name, self.class_names, cases, {reason: count for reason, count in dropped.items() if count})


def list_labelled_images(root: Path, labels: Path | None, skip_missing: bool, dropped: Counter[str]) -> LabelledImages:
    """List the images of a folder with their labels.

    The class names are the labels, sorted: as words, or as numbers when all are whole numbers. Several labels an image
    need a column `label_<class>` for each class instead, with 1, 0 or nothing; the classes are in the columns' order.

    Args:
        root: the folder of the images.
        labels: table with the columns image (path in `root`), label (or `label_<class>`), and if wanted patient_id and
            split (train, valid, test or empty); `root/labels.csv` by default. Without such a table each folder in
            `root` is a class.
        skip_missing: leave out and count the listed images that are missing.
        dropped: reason -> count, added to.

    Raises:
        MissingFileError: the folder, the table that was named, or listed images are not there.
        TableError: the table lacks a column, or holds a value that cannot be.
        DataError: no image, fewer than two classes, or two images that would share a case id.
    """
    if not root.is_dir():
        raise MissingFileError("there is no such folder", where=root)
    if labels is not None or (root / "labels.csv").is_file():
        path = labels or root / "labels.csv"
        several = [name for name in column_names(path) if name.startswith(LABEL_PREFIX)]
        table = _listed_cases(root, path, several, skip_missing, dropped)
    else:
        several, table = [], _cases_by_folder(root, dropped)
    if several:
        class_names = tuple(name.removeprefix(LABEL_PREFIX) for name in several)
        found: tuple[Label, ...] = _several_labels(table, several)
    else:
        class_names = _class_names(table["label"], labels or root)
        found = tuple(class_names.index(label) for label in table["label"].tolist())
    case_ids = _case_ids(table["image"])
    patients = table["patient_id"].tolist() if "patient_id" in table else [""] * len(table)
    splits = table["split"].tolist() if "split" in table else [""] * len(table)
    return LabelledImages(
        root=root,
        images=tuple(table["image"].tolist()),
        case_ids=tuple(case_ids),
        patient_ids=tuple(patient or case_id for patient, case_id in zip(patients, case_ids, strict=True)),
        labels=found,
        splits=tuple(SPLIT_NAMES[word.lower()] for word in splits),
        class_names=class_names,
    )


def has_labelled_images(root: Path) -> bool:
    """Whether the folder has a labels.csv, or a folder with an image in it."""
    return (root / "labels.csv").is_file() or any(
        is_image(path)
        for folder in root.iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
        for path in folder.iterdir()
    )


def _listed_cases(root: Path, path: Path, several: list[str], skip_missing: bool, dropped: Counter[str]) -> Table:
    """The distinct rows of the table whose image is there; `image` is a path in `root` with '/'."""
    label_columns = several or ["label"]
    table = normalise_paths(read_table(path, ["image", *label_columns], ["patient_id", "split"]))
    for column in ("image",) if several else ("image", "label"):
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
    hint = f"give paths inside {root} in the column image"
    table = table.select(check_present(files, skip_missing, dropped, hint))
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
            expected="<class>/<image>, or a labels.csv",
            got=f"images elsewhere: {join_limited(images, most=2)}" if images else "no image at all",
            hint="name the folder that holds the class folders, or write a labels.csv" if images else None,
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
        raise DataError("a classifier needs two classes or more", where=where, got=join_limited(names) or "none")
    return tuple(names)


def _case_ids(images: np.ndarray) -> list[str]:
    made: dict[str, str] = {}
    for image in images.tolist():
        case_id = re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(image).with_suffix("").as_posix())
        if case_id in made:
            raise DataError(
                f"two images would share the case id {case_id}",
                where=f"{made[case_id]}, {image}",
                hint="rename one, so that they differ in letters, digits, '.', '_' or '-' before the ending",
            )
        made[case_id] = image
    return list(made)


def _several_labels(table: Table, columns: list[str]) -> tuple[tuple[int | None, ...], ...]:
    if len(columns) < 2:
        raise DataError("several labels need two columns or more", where=table.path, got=join_limited(columns))
    values = []
    for column in columns:
        numbers = table.numbers(column, blank=True)
        table.refuse(~(np.isin(numbers, (0, 1)) | np.isnan(numbers)), f"{column} is not 1, 0 or empty", column)
        values.append([None if np.isnan(number) else int(number) for number in numbers.tolist()])
    return tuple(zip(*values, strict=True))


def normalise_paths(table: Table, column: str = "image") -> Table:
    """That column with '/' whatever the system it was written on, and without './'."""
    tidy = [PurePosixPath(image.replace("\\", "/")).as_posix() if image else "" for image in table[column].tolist()]
    return replace(table, columns={**table.columns, column: np.array(tidy, dtype=np.str_)})
