"""Which cases are for training, validation and test: dealt out by patient, or as a file, list or source says."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from ggcam.data.case import SPLITS, Case, Split
from ggcam.data.images import IMAGE_SUFFIXES
from ggcam.data.original.preprocessing import split_by_position
from ggcam.data.prepare.config import FRACTIONS
from ggcam.data.stratify import check_fractions, split_by_patient, strata
from ggcam.data.tables import column_names, read_table
from ggcam.errors import ConfigError, DataError, TableError, join_limited

log = logging.getLogger(__name__)

_SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validate": "valid",
    "validation": "valid",
    "test": "test",
}
_ID_COLUMNS = ("id", "case_id", "dicom_id")


def read_split_file(path: Path) -> dict[str, Split]:
    """Read a table (CSV or Parquet) of an id and a split: columns `id` (or `case_id`, `dicom_id`) and `split`.

    "val", "validate" and "validation" mean "valid"; upper case and blanks around a word do not matter.

    Raises:
        MissingFileError: there is no such file.
        TableError: a column is missing, a split is unknown, or an id is empty or comes twice; with the row.
    """
    table = read_table(path, ["split"], _ID_COLUMNS)
    id_column = next((name for name in _ID_COLUMNS if name in table), None)
    if id_column is None:
        raise TableError(
            "the split file has no column of ids", where=path, expected=f"one of {join_limited(_ID_COLUMNS)}"
        )
    ids, words = table[id_column], np.char.lower(table["split"])
    table.refuse(ids == "", "the id is empty", id_column)
    table.refuse(table.repeats(id_column), "an id comes twice", id_column)
    table.refuse(~np.isin(words, list(_SPLIT_WORDS)), "unknown split", "split", expected=join_limited(SPLITS))
    return {str(case_id): _SPLIT_WORDS[str(word)] for case_id, word in zip(ids, words, strict=True)}


def read_test_list(path: Path) -> frozenset[str] | None:
    """Read the ids of a published test set: one column, with or without a header (`id`, `case_id`, `dicom_id`).

    Endings of image files are taken off.

    Returns:
        None if the table has more columns than one.

    Raises:
        MissingFileError: there is no such file.
        TableError: the file is no table, an id is empty or comes twice.
    """
    header = column_names(path)
    if len(header) != 1:
        return None
    table = read_table(path, header)
    ids = table[header[0]].tolist()
    table.refuse(table[header[0]] == "", "the id is empty", header[0])
    found = [_bare(name) for name in (ids if header[0] in _ID_COLUMNS else [header[0], *ids])]
    if twice := [name for name, count in Counter(found).items() if count > 1]:
        raise TableError("an id comes twice", where=path, got=join_limited(twice))
    return frozenset(found)


def _bare(name: str) -> str:
    return Path(name).stem if Path(name).suffix.lower() in IMAGE_SUFFIXES else name


def _from_test_list(
    cases: Sequence[Case], test: frozenset[str], fractions: tuple[float, float, float], seed: int, where: Path
) -> dict[str, Split]:
    """The listed cases are for the test; the others are dealt out by patient to train and valid."""
    known: dict[str, Split] = {case.case_id: "test" for case in cases if case.case_id in test}
    others = [case for case in cases if case.case_id not in test]
    if not known or not others:
        raise DataError(
            "a test list names some of the cases, and this one names " + ("all" if known else "none"),
            where=where,
            expected=f"ids such as {cases[0].case_id}",
            got=join_limited(sorted(test), 2),
        )
    rest = fractions[0] + fractions[1]
    if rest <= 0:
        raise ConfigError(
            "no share is left for train and valid", where="--split-fractions", got=join_limited(fractions)
        )
    shares = (fractions[0] / rest, fractions[1] / rest, 0.0)
    dealt = _dealt(others, shares, seed)
    for case, split in zip(others, dealt, strict=True):
        known[case.case_id] = _SPLIT_WORDS[split]
    return known


def assign_splits(
    cases: Sequence[Case],
    how: Literal["patient", "position", "source"] | Path = "patient",
    fractions: tuple[float, float, float] = FRACTIONS,
    seed: int = 0,
    fraction: float = 1.0,
) -> tuple[dict[str, Split], dict[str, object]]:
    """Split of each case id that is taken, and a record of how it came about, for dataset.toml.

    Args:
        cases: of one source.
        how: "patient" deals the patients out, "position" takes the cases in their order and leaves out those beyond
            the fraction, "source" takes the cases' own splits, a path those of that file; of a bare list of ids it
            makes the test split, and deals out the other patients to train and valid.
        fractions: see :func:`ggcam.data.stratify.split_by_patient`.
        seed: see :func:`ggcam.data.stratify.split_by_patient`.
        fraction: see :func:`ggcam.data.original.preprocessing.split_by_position`.

    Raises:
        ConfigError: fractions that cannot be, or too few patients.
        DataError: a case without a split, or a broken split file.
    """
    known: dict[str, Split]
    record: dict[str, object]
    if how == "patient":
        dealt = _dealt(cases, fractions, seed)
        known = {case.case_id: _SPLIT_WORDS[split] for case, split in zip(cases, dealt, strict=True)}
        record = {"how": "patient", "seed": seed, "fractions": fractions}
    elif how == "position":
        check_fractions(fractions)
        ids, labels = zip(*((case.case_id, case.class_index) for case in cases), strict=True)
        known = split_by_position(ids, labels, fractions, fraction, seed)
        record = {"how": "position", "seed": seed, "fractions": fractions, "fraction": fraction}
        cases = [case for case in cases if case.case_id in known]
    elif how == "source":
        known = {case.case_id: case.split for case in cases if case.split}
        record = {"how": "source"}
    elif (test := read_test_list(how)) is not None:
        check_fractions(fractions)
        known = _from_test_list(cases, test, fractions, seed, how)
        record = {"how": "test list", "seed": seed, "fractions": fractions}
        record["ids_not_in_source"] = len(test - known.keys())
    else:
        known = read_split_file(how)
        record = {"how": "file", "ids_not_in_source": len(known.keys() - {case.case_id for case in cases})}

    if without := [case.case_id for case in cases if case.case_id not in known]:
        raise DataError(
            f"{len(without):,} of {len(cases):,} cases have no split",
            where="--split source" if how == "source" else how,
            got=join_limited(without, 10),
            hint="give each case's split, or leave the option out to split by patient",
        )
    splits: dict[str, Split] = {case.case_id: known[case.case_id] for case in cases}
    in_split = {(case.patient_id, splits[case.case_id]) for case in cases}
    counts = Counter(patient for patient, _ in in_split)
    if astray := sorted(patient for patient, count in counts.items() if count > 1):
        log.warning("%d patients are in several splits, which flatters results: %s", len(astray), join_limited(astray))
    return splits, {**record, "patients_in_several_splits": len(astray)}


def _dealt(cases: Sequence[Case], fractions: tuple[float, float, float], seed: int) -> np.ndarray:
    patients = [case.patient_id for case in cases]
    return split_by_patient(patients, strata([case.label for case in cases]), fractions, seed)
