"""The splits of published tables, read from what their authors distribute, to repeat those tables.

The lists of images are not part of this package: the images of one data set are credentialed. The user names the folder
with the authors' files; the numbers of images are checked.

The published splits have no validation part, and the works that use them choose their best epoch on the test images.
For each there is a second split with the same test images and a validation part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ggcam.data.case import Case, Split
from ggcam.data.images import IMAGE_SUFFIXES
from ggcam.data.prepare.config import PublishedSplitName
from ggcam.data.stratify import assign_strata, split_by_patient
from ggcam.errors import DataError, MissingFileError, join_limited
from ggcam.utils.documents import read_text

VALIDATION_FRACTION = 1 / 8
"""Part of the training patients that is for validation, as in a split of 70:10:20."""

_PARTS: tuple[Split, ...] = ("train", "test")
_LISTS: Mapping[Split, str] = {part: f"{part}_list.csv" for part in _PARTS}


@dataclass(frozen=True)
class PublishedSplit:
    """A published split.

    Attributes:
        counts: number of images of each part.
        source: who distributes it, and in which form.
        validation: whether a validation part is taken from the training images. Training images of patients who also
            have test images are then left out.
    """

    counts: Mapping[Split, int]
    source: str
    validation: bool = False


_EGD: Mapping[Split, int] = {"train": 976, "test": 107}
_EGD_SOURCE = "MIMIC-GAZE-JPG of GazeGNN (Wang et al., WACV 2024): train/<class>/<id>.jpg, test/<class>/<id>.jpg"
_SIIM: Mapping[Split, int] = {"train": 1000, "test": 250}
_SIIM_SOURCE = "train_list.csv and test_list.csv of EG-ViT (Ma et al., TMI 2023) and GD-ViG (MICCAI 2024)"

PUBLISHED_SPLITS: Mapping[PublishedSplitName, PublishedSplit] = {
    "egd-public": PublishedSplit(_EGD, _EGD_SOURCE),
    "egd-public-with-validation": PublishedSplit(_EGD, _EGD_SOURCE, validation=True),
    "siim-public": PublishedSplit(_SIIM, _SIIM_SOURCE),
    "siim-public-with-validation": PublishedSplit(_SIIM, _SIIM_SOURCE, validation=True),
}
"""Value of `--published-split` -> split."""


def split_as_published(
    cases: Sequence[Case], path: Path, name: PublishedSplitName, seed: int = 0
) -> tuple[dict[str, Split], dict[str, object]]:
    """Assign cases to the parts of a published split.

    Args:
        cases: cases of one source; those that the split does not list are left out.
        path: folder with the authors' files: image files in `train/` and `test/`, at any depth; or `train_list.csv` and
            `test_list.csv`, whose lines start with the path of an image.
        name: name of the split.
        seed: random seed of the validation part.

    Returns:
        Split of each case id, and a record of how it was made for dataset.toml.

    Raises:
        MissingFileError: the folder has neither form.
        DataError: the numbers of images are not the published ones, an image is in both parts, or the source lacks one
            or has several that fit it.
    """
    published = PUBLISHED_SPLITS[name]
    listed = _read_parts(path, published)
    keys = [(key, case) for case in cases for key in _keys(case.case_id)]
    times, own = Counter(key for key, _ in keys), dict(keys)
    if ambiguous := [each for part in _PARTS for each in sorted(listed[part]) if times[each] > 1]:
        raise DataError("several cases fit an image of the published split", where=path, got=join_limited(ambiguous))
    missing = [each for part in _PARTS for each in sorted(listed[part]) if each not in own]
    if missing:
        raise DataError(
            f"{len(missing):,} images of the published split are not among the cases",
            where=path,
            expected=f"ids such as {cases[0].case_id}",
            got=join_limited(missing),
            hint="prepare the whole data set that the split was made from",
        )
    splits: dict[str, Split] = {own[each].case_id: part for part in _PARTS for each in listed[part]}
    record: dict[str, object] = {"how": "published", "name": name, "source": published.source}
    if published.validation:
        splits, left_out = _with_validation([case for case in cases if case.case_id in splits], splits, seed)
        record |= {"seed": seed, "left_out_for_test_patients": left_out}
    return splits, record


def _with_validation(cases: Sequence[Case], splits: Mapping[str, Split], seed: int) -> tuple[dict[str, Split], int]:
    """Leave out training images of test patients, and move patients from training to validation."""
    test_patients = {case.patient_id for case in cases if splits[case.case_id] == "test"}
    train = [case for case in cases if splits[case.case_id] == "train" and case.patient_id not in test_patients]
    parts = split_by_patient(
        [case.patient_id for case in train],
        assign_strata([case.label for case in train]),
        (1 - VALIDATION_FRACTION, VALIDATION_FRACTION, 0.0),
        seed,
    )
    found: dict[str, Split] = {case_id: split for case_id, split in splits.items() if split == "test"}
    left_out = len(splits) - len(found) - len(train)
    found |= {case.case_id: part for case, part in zip(train, parts, strict=True)}
    return found, left_out


def _read_parts(path: Path, published: PublishedSplit) -> dict[Split, frozenset[str]]:
    """Read the ids of each part, and check their numbers."""
    if all((path / name).is_file() for name in _LISTS.values()):
        names = {part: _listed_files(path / name) for part, name in _LISTS.items()}
    elif all((path / part).is_dir() for part in _PARTS):
        names = {part: [file.name for file in (path / part).rglob("*") if _is_image(file)] for part in _PARTS}
    else:
        raise MissingFileError("the folder does not hold the published split", where=path, expected=published.source)
    found: dict[Split, frozenset[str]] = {part: frozenset(map(_published_key, names[part])) for part in _PARTS}
    for part, count in published.counts.items():
        if len(found[part]) != count:
            raise DataError(
                f"the number of {part} images is not the published one",
                where=path,
                expected=f"{count:,} images",
                got=f"{len(found[part]):,} images",
                hint="use the authors' files unchanged, or --split-file without --published-split",
            )
    if both := found["train"] & found["test"]:
        raise DataError("images are in both parts of the split", where=path, got=join_limited(sorted(both)))
    return found


def _listed_files(path: Path) -> list[str]:
    """Return the names of the files that the lines of a list start with."""
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [PurePosixPath(line.partition(",")[0].strip().replace("\\", "/")).name for line in lines if line]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError("an image is repeated in the list", where=path, got=join_limited(repeated))
    return names


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _published_key(file_name: str) -> str:
    """Return the id in the name of a file.

    The lists of SIIM-ACR name `<a>_<b>_<c>_<label>.jpg` the image whose UID ends with `.<a>.<b>.<c>`.
    """
    stem = PurePosixPath(file_name).stem if PurePosixPath(file_name).suffix.lower() in IMAGE_SUFFIXES else file_name
    parts = stem.split("_")
    is_end_of_uid = len(parts) == 4 and all(part.isdigit() for part in parts) and parts[3] in ("0", "1")
    return ".".join(parts[:3]) if is_end_of_uid else stem


def _keys(case_id: str) -> Iterable[str]:
    """Return what a published split may call a case: its id, or the last three numbers of its UID."""
    parts = case_id.split(".")
    return (case_id, ".".join(parts[-3:])) if len(parts) > 3 else (case_id,)
