"""Assignment of cases to training, validation and test: by patient, position, file, test list or source."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ggcam.data.case import Case, Split
from ggcam.data.find_images import image_stem
from ggcam.data.original.preprocessing import split_by_position
from ggcam.data.prepare.config import FRACTIONS, PublishedSplitName
from ggcam.data.published_splits import split_as_published
from ggcam.data.split_words import read_splits
from ggcam.data.stratify import assign_strata, check_fractions, split_by_patient
from ggcam.data.tables import column_names, read_table
from ggcam.errors import ConfigError, DataError, TableError, join_limited

log = logging.getLogger(__name__)

_ID_COLUMNS = ("id", "case_id", "dicom_id")


def read_split_file(path: Path) -> dict[str, Split]:
    """Read a split file, a CSV or Parquet table with the columns `id` (or `case_id`, `dicom_id`) and `split`.

    Args:
        path: the table; see :data:`~ggcam.data.split_words.SPLIT_WORDS` for the values of `split`.

    Returns:
        Split of each case id.

    Raises:
        MissingFileError: the file does not exist.
        TableError: a column is missing, a split is unknown, or an id is empty or repeated; the message names the row.
    """
    table = read_table(path, ["split"], _ID_COLUMNS)
    id_column = next((name for name in _ID_COLUMNS if name in table), None)
    if id_column is None:
        raise TableError(
            "the split file has no column of ids", where=path, expected=f"one of {join_limited(_ID_COLUMNS)}"
        )
    table.refuse(table[id_column] == "", "the id is empty", id_column)
    table.refuse(table.repeats(id_column), "the id is repeated", id_column)
    pairs = zip(table[id_column].tolist(), read_splits(table), strict=True)
    return {case_id: split for case_id, split in pairs if split}


def read_test_list(path: Path) -> frozenset[str] | None:
    """Read the ids of a published test set, a table with one column, with or without a header.

    Args:
        path: the table; a header is `id`, `case_id` or `dicom_id`. Extensions of image files are removed from the ids.

    Returns:
        The ids; None if the table has several columns.

    Raises:
        MissingFileError: the file does not exist.
        TableError: the file is not a table, or an id is empty or repeated.
    """
    header = column_names(path)
    if len(header) != 1:
        return None
    table = read_table(path, header)
    names = table[header[0]].tolist()
    table.refuse(table[header[0]] == "", "the id is empty", header[0])
    ids = [_without_ending(name) for name in (names if header[0] in _ID_COLUMNS else [header[0], *names])]
    if repeated := [name for name, count in Counter(ids).items() if count > 1]:
        raise TableError("an id is repeated", where=path, got=join_limited(repeated))
    return frozenset(ids)


def _without_ending(name: str) -> str:
    """Return the name of an image file without folder and ending; other ids unchanged."""
    return name if image_stem(name) == name else Path(name).stem


def assign_splits(
    cases: Sequence[Case],
    how: Literal["patient", "position", "source"] | Path = "patient",
    fractions: tuple[float, float, float] = FRACTIONS,
    seed: int = 0,
    fraction: float = 1.0,
    published: PublishedSplitName | None = None,
) -> tuple[dict[str, Split], dict[str, object]]:
    """Assign cases to training, validation and test.

    Args:
        cases: cases of one source.
        how: "patient" splits by patient, stratified by class; "position" splits by the order of the cases; "source"
            keeps the cases' own splits; a path reads them from a split file. A list of ids without splits becomes the
            test split, and the other cases are split by patient into train and valid.
        fractions: fractions of train, valid and test.
        seed: random seed.
        fraction: with "position", fraction of each split to keep; the other cases are left out.
        published: name of the published split that the path `how` holds; cases that it does not list are left out.

    Returns:
        Split of each case id, and a record of how it was made for dataset.toml.

    Raises:
        ConfigError: the fractions are invalid, or there are too few patients.
        DataError: a case has no split, or the split file is invalid.
    """
    splits: dict[str, Split]
    record: dict[str, object]
    if how == "patient":
        splits = _split_by_patient(cases, fractions, seed)
        record = {"how": "patient", "seed": seed, "fractions": fractions}
    elif how == "position":
        check_fractions(fractions)
        ids, labels = zip(*((case.case_id, case.class_index) for case in cases), strict=True)
        splits = split_by_position(ids, labels, fractions, fraction, seed)
        record = {"how": "position", "seed": seed, "fractions": fractions, "fraction": fraction}
        cases = [case for case in cases if case.case_id in splits]
    elif how == "source":
        splits = {case.case_id: case.split for case in cases if case.split}
        record = {"how": "source"}
    elif published is not None:
        splits, record = split_as_published(cases, how, published, seed)
        cases = [case for case in cases if case.case_id in splits]
    elif (test_ids := read_test_list(how)) is not None:
        check_fractions(fractions)
        splits = _split_by_test_list(cases, test_ids, fractions, seed, how)
        record = {"how": "test list", "seed": seed, "fractions": fractions}
        record["ids_not_in_source"] = len(test_ids - splits.keys())
    else:
        splits = read_split_file(how)
        record = {"how": "file", "ids_not_in_source": len(splits.keys() - {case.case_id for case in cases})}

    if missing := [case.case_id for case in cases if case.case_id not in splits]:
        raise DataError(
            f"{len(missing):,} of {len(cases):,} cases have no split",
            where="--split source" if how == "source" else how,
            got=join_limited(missing, 10),
            hint="add the missing splits, or leave the option out to split by patient",
        )
    splits = {case.case_id: splits[case.case_id] for case in cases}
    return splits, {**record, "patients_in_several_splits": _count_shared_patients(cases, splits)}


def _split_by_patient(cases: Sequence[Case], fractions: tuple[float, float, float], seed: int) -> dict[str, Split]:
    patients = [case.patient_id for case in cases]
    splits = split_by_patient(patients, assign_strata([case.label for case in cases]), fractions, seed)
    return {case.case_id: split for case, split in zip(cases, splits, strict=True)}


def _split_by_test_list(
    cases: Sequence[Case], test_ids: frozenset[str], fractions: tuple[float, float, float], seed: int, path: Path
) -> dict[str, Split]:
    """Put the listed cases into test, and split the others by patient into train and valid."""
    splits: dict[str, Split] = {case.case_id: "test" for case in cases if case.case_id in test_ids}
    others = [case for case in cases if case.case_id not in test_ids]
    if not splits or not others:
        raise DataError(
            f"the test list contains {'all' if splits else 'none'} of the cases",
            where=path,
            expected=f"some of the ids, such as {cases[0].case_id}",
            got=join_limited(sorted(test_ids), 2),
        )
    rest = fractions[0] + fractions[1]
    if rest <= 0:
        raise ConfigError(
            "the fractions leave nothing for train and valid", where="--split-fractions", got=join_limited(fractions)
        )
    return splits | _split_by_patient(others, (fractions[0] / rest, fractions[1] / rest, 0.0), seed)


def _count_shared_patients(cases: Sequence[Case], splits: dict[str, Split]) -> int:
    """Count the patients with cases in several splits, and warn about them."""
    patient_splits = {(case.patient_id, splits[case.case_id]) for case in cases}
    counts = Counter(patient for patient, _ in patient_splits)
    if shared := sorted(patient for patient, count in counts.items() if count > 1):
        log.warning("%d patients are in several splits, which inflates metrics: %s", len(shared), join_limited(shared))
    return len(shared)
