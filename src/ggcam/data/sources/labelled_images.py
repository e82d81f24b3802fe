"""Images labelled by a table (labels.csv) or by their folders, with one label or several each."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Shaped

from ggcam.data.case import Case, Label, Source, Split
from ggcam.data.find_images import image_stem, is_image
from ggcam.data.sources.image_files import check_present, images_below
from ggcam.data.sources.label_sets import label_images, split_labels
from ggcam.data.sources.regions import CaseRegions
from ggcam.data.split_words import read_splits
from ggcam.data.tables import MISSING, Table, column_names, read_table
from ggcam.data.view_position import known_view
from ggcam.errors import ConfigError, DataError, MissingFileError, join_limited
from ggcam.gaze.fixations import Fixations

LABEL_PREFIX = "label_"
"""Prefix of the columns of a multi-label table: one per class, with 1, 0 or nothing (unknown)."""

Uncertain = Literal["unknown", "positive", "negative"]
"""Meaning of the label -1, with which CheXpert marks an uncertain mention."""

MAX_ID_BYTES = 180
"""Longer case ids are shortened, since file names have at most 255 bytes."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """The images of a folder with their labels.

    Attributes:
        root: the folder.
        images: path of each image relative to the folder, with '/'.
        case_ids: made from the paths: without suffix, with '_' for '/' and other characters than letters, digits, '.',
            '_' and '-'; where two would be the same, both end in a hash of the path.
        patient_ids: the case id for an image without a known patient.
        labels: label of each image, as in :class:`Case`.
        splits: split of each image; None if unknown.
        class_names: name of each class.
        views: view of each X-ray; None if unknown.
    """

    root: Path
    images: tuple[str, ...]
    case_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    labels: tuple[Label, ...]
    splits: tuple[Split | None, ...]
    class_names: tuple[str, ...]
    views: tuple[str | None, ...] = ()

    @property
    def files(self) -> list[Path]:
        """Path of each image."""
        return [self.root / image for image in self.images]

    def to_source(
        self,
        name: str,
        readings: Sequence[Mapping[str, Fixations]],
        dropped: Counter[str],
        regions: Sequence[CaseRegions] | None = None,
    ) -> Source:
        """Return the images as cases.

        Args:
            name: name of the source.
            readings: readings of each image: reading id -> fixations.
            dropped: reason -> count.
            regions: regions and masks of each image; None for none.

        Returns:
            A source with one case per image.
        """
        found = [CaseRegions() for _ in self.images] if regions is None else regions
        cases = tuple(
            Case(
                case_id,
                patient_id,
                label,
                file,
                readings=of_case,
                masks=each.anatomy,
                regions=each.regions,
                region_masks=each.masks,
                split=split,
                flags=(view,) if view else (),
            )
            for case_id, patient_id, label, file, of_case, each, split, view in zip(
                self.case_ids,
                self.patient_ids,
                self.labels,
                self.files,
                readings,
                found,
                self.splits,
                self.views or [None] * len(self.images),
                strict=True,
            )
        )
        return Source(name, self.class_names, cases, dict(+dropped))


def list_labelled_images(
    root: Path,
    labels: Path | None,
    skip_missing: bool,
    dropped: Counter[str],
    uncertain: Uncertain | None = None,
    masks: Path | None = None,
) -> LabelledImages:
    """List the images of a folder with their labels.

    The class names are the distinct labels, sorted; as numbers if all are whole numbers. Images with several labels
    need one column `label_<class>` per class instead, with 1, 0 or nothing; the classes then have the order of the
    columns. Or they need one column `labels`, in which the labels are joined by '|'; if an image has several, "No
    Finding" means that no class is present.

    Args:
        root: folder with the images.
        labels: table with the columns image (path relative to `root`) and label (or labels, or `label_<class>`), and
            optionally patient_id, split (train, valid, test or empty) and view (PA, AP, LL, ...). None stands for
            `root/labels.csv`; without such a table, each folder in `root` is a class.
        skip_missing: leave out listed images that are missing or have no label, and count them.
        dropped: reason -> count; updated.
        uncertain: meaning of -1 in the columns `label_<class>`; None refuses it.
        masks: folder of masks, which are not images of cases.

    Returns:
        The images in the order of the table, or of their paths.

    Raises:
        MissingFileError: the folder, the given table, or listed images do not exist.
        TableError: the table lacks a column, or has an invalid value.
        DataError: there are no images, fewer than two classes, or two images whose paths differ only in the suffix.
        ConfigError: `uncertain` is given, but no column `label_<class>`.
    """
    if not root.is_dir():
        raise MissingFileError("the folder does not exist", where=root)
    if labels is not None or (root / "labels.csv").is_file():
        path = labels or root / "labels.csv"
        label_columns = [name for name in column_names(path) if name.startswith(LABEL_PREFIX)]
        table = _rows_of_table(root, path, label_columns, masks, skip_missing, dropped)
    else:
        label_columns, table = [], _rows_of_class_folders(root, masks, dropped)
    if uncertain and not label_columns:
        raise ConfigError(
            "--uncertain has no meaning without columns label_<class>", where=labels or root, hint="leave it out"
        )
    if label_columns:
        class_names = tuple(name.removeprefix(LABEL_PREFIX) for name in label_columns)
        found: tuple[Label, ...] = _multi_labels(table, label_columns, uncertain)
    else:
        joined = "labels" in table
        names = [split_labels(text) if joined else (text,) for text in table["label"].tolist()]
        class_names, found = label_images(names, labels or root)
    case_ids = make_case_ids(table["image"])
    patients = table["patient_id"].tolist() if "patient_id" in table else [""] * len(table)
    return LabelledImages(
        root=root,
        images=tuple(table["image"].tolist()),
        case_ids=tuple(case_ids),
        patient_ids=tuple(patient or case_id for patient, case_id in zip(patients, case_ids, strict=True)),
        labels=found,
        splits=tuple(read_splits(table, allow_blank=True) if "split" in table else [None] * len(table)),
        class_names=class_names,
        views=tuple(known_view([view]) for view in table["view"].tolist()) if "view" in table else (),
    )


def has_labelled_images(root: Path) -> bool:
    """Return whether a folder has a labels.csv, or a folder with an image in it.

    Args:
        root: the folder.

    Returns:
        True if :func:`list_labelled_images` can be expected to read it.
    """
    return (root / "labels.csv").is_file() or any(
        is_image(path)
        for folder in root.iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
        for path in folder.iterdir()
    )


def normalise_paths(table: Table, column: str = "image") -> Table:
    """Return a table with '/' in a column of paths, whatever the system that wrote it, and without './'.

    Args:
        table: a table.
        column: name of the column.

    Returns:
        The same table with the other paths.
    """
    return replace(table, columns={**table.columns, column: posix_paths(table[column])})


def posix_paths(names: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Return paths with '/', whatever the system that wrote them, and without './'.

    Args:
        names: paths; "" for none.

    Returns:
        The same paths.
    """
    paths = [PurePosixPath(name.replace("\\", "/")).as_posix() if name else "" for name in names.tolist()]
    return np.array(paths, dtype=np.str_)


def _rows_of_table(
    root: Path, path: Path, label_columns: list[str], masks: Path | None, skip_missing: bool, dropped: Counter[str]
) -> Table:
    """Read the distinct rows whose image exists; joined labels are in both columns, label and labels."""
    joined = not label_columns and "label" not in (names := column_names(path)) and "labels" in names
    table = read_table(
        path, ["image", *(label_columns or ["labels" if joined else "label"])], ["patient_id", "split", "view"]
    )
    if joined:
        table = replace(table, columns={**table.columns, "label": table["labels"]})
    table = normalise_paths(table)
    missing = {name: np.where(np.isin(values, MISSING), "", values) for name, values in table.columns.items()}
    table.refuse(missing["image"] == "", "a row has no image", "image")
    if not label_columns:
        without_label = missing["label"] == ""
        if not skip_missing:
            hint = "write its label, remove the row, or leave such rows out with --skip-missing"
            table.refuse(without_label, "a row has no label", "label", hint=hint)
        dropped["row without a label"] += int(without_label.sum())
        table, missing = table.select(~without_label), {name: each[~without_label] for name, each in missing.items()}
    table = replace(table, columns=missing)
    paths = [PurePosixPath(image) for image in table["image"].tolist()]
    outside = np.array([each.is_absolute() or ".." in each.parts for each in paths], dtype=bool)
    table.refuse(outside, "an image is outside the folder", "image", f"a path relative to {root}")
    duplicate = table.repeats()
    dropped["duplicate row"] += int(duplicate.sum())
    table = table.select(~duplicate)
    table.refuse(table.repeats("image"), "an image is listed twice with different values", "image")
    if "split" in table:
        read_splits(table, allow_blank=True)  # refuses unknown words before rows without an image are dropped
    files = [root / image for image in table["image"].tolist()]
    hint = f"write paths relative to {root} in the column image"
    table = table.select(check_present(files, skip_missing, dropped, hint))
    unlisted = set(images_below(root, masks, dropped)) - set(table["image"].tolist())
    dropped[f"image that {path.name} does not list"] += len(unlisted)
    return table


def _rows_of_class_folders(root: Path, masks: Path | None, dropped: Counter[str]) -> Table:
    """Make the columns image and label from `<class>/<image>`."""
    images = images_below(root, masks, dropped)
    in_class_folder = [image for image in images if image.count("/") == 1]
    if not in_class_folder:
        raise DataError(
            "no images in class folders",
            where=root,
            expected="<class>/<image>, or a labels.csv",
            got=f"images elsewhere: {join_limited(images, limit=2)}" if images else "no images",
            hint="pass the folder that contains the class folders, or write a labels.csv" if images else None,
        )
    labels = [image.split("/")[0] for image in in_class_folder]
    folders = {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    folders -= {masks.name} if masks and masks.parent == root else set()
    dropped["image outside the class folders"] += len(images) - len(in_class_folder)
    dropped["folder without images directly in it"] += len(folders - set(labels))
    return Table(root, {"image": np.array(in_class_folder), "label": np.array(labels)}, np.arange(len(labels)))


def make_case_ids(images: Shaped[np.ndarray, " n"]) -> list[str]:
    """Make a case id of each path, which keeps the letters of all alphabets.

    Args:
        images: paths relative to their folder, with '/'.

    Returns:
        One id per path; see :class:`LabelledImages`.

    Raises:
        DataError: two paths differ only in the suffix.
    """
    names = [image_stem(image) for image in images.tolist()]
    image_by_name: dict[str, str] = {}
    for name, image in zip(names, images.tolist(), strict=True):
        if other := image_by_name.get(name):
            raise DataError(
                f"two images have the same name {name}",
                where=f"{other}, {image}",
                hint="rename one, so that they differ before the suffix",
            )
        image_by_name[name] = image
    ids = [re.sub(r"[^\w.-]", "_", unicodedata.normalize("NFC", name)).lstrip(".") or "_" for name in names]
    # File systems may ignore case.
    counts = Counter(case_id.casefold() for case_id in ids)
    return [
        case_id
        if counts[case_id.casefold()] == 1 and len(case_id.encode()) <= MAX_ID_BYTES
        else f"{_shortened(case_id)}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        for case_id, name in zip(ids, names, strict=True)
    ]


def _shortened(case_id: str) -> str:
    return case_id.encode()[:MAX_ID_BYTES].decode(errors="ignore")


def _multi_labels(table: Table, columns: list[str], uncertain: Uncertain | None) -> tuple[tuple[int | None, ...], ...]:
    if len(columns) < 2:
        raise DataError("multi-label data need at least two columns", where=table.path, got=join_limited(columns))
    values = []
    for column in columns:
        numbers = table.numbers(column, allow_blank=True)
        if uncertain:
            meaning = {"unknown": np.nan, "positive": 1.0, "negative": 0.0}[uncertain]
            numbers = np.where(numbers == -1, meaning, numbers)
        valid = np.isin(numbers, (0, 1)) | np.isnan(numbers)
        hint = "say what -1 means: --uncertain unknown, positive or negative" if (numbers[~valid] == -1).all() else None
        table.refuse(~valid, f"{column} is not 1, 0 or empty", column, hint=hint)
        values.append([None if np.isnan(number) else int(number) for number in numbers.tolist()])
    return tuple(zip(*values, strict=True))
