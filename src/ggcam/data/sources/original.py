"""The original GG-CAM's own data: its raw layout of pickles, and the `.pt` files that its Data Processing made of it.

Raw: `data_summary.csv` (a first column of whole numbers, ID, Y and, if wanted, patient_id), and for row 7
`D_0007/{cxr,gaze_dot,seg_left_lung,seg_right_lung,seg_mediastanum}.pk`.
Prepared: `Down<d>_Blur<b>/{Train,Valid,Test}/<ID>.pt`, see :mod:`ggcam.data.original.pt_files`.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from ggcam.data.case import Case, MaskName, Source, Split
from ggcam.data.original.preprocessing import GAZE_MAP
from ggcam.data.original.pt_files import CELL_PX, SPLIT_FOLDERS, read_original
from ggcam.data.sources.image_files import count_unreadable
from ggcam.data.tables import Table, column_names, read_table
from ggcam.errors import ConfigError, DataError, ImageError, MissingFileError, TableError, join_limited
from ggcam.gaze.fixations import Fixations
from ggcam.utils.safe_pickle import load_array

log = logging.getLogger(__name__)

NAME = "original"
EXPECTED_FILES = "data_summary.csv and D_0000/*.pk; or Down<d>_Blur<b>/{Train,Valid,Test}/*.pt, as the original GG-CAM has them"
CLASS_NAMES = ("Normal", "CHF", "pneumonia")
READING_ID = "1"

MASK_FILES: Mapping[MaskName, str] = {
    "left_lung": "seg_left_lung.pk",
    "right_lung": "seg_right_lung.pk",
    "mediastinum": "seg_mediastanum.pk",
}
"""The original spells it "mediastanum"."""

LUNGS_AS_ONE = "lungs_not_told_apart"
"""Flag of cases whose two lung masks are the same mask of both lungs."""

_FOLDER = re.compile(r"Down\d+_Blur(\d+)")
_USED_BLUR = 500

Result = TypeVar("Result")


def can_read(root: Path) -> bool:
    """Whether the folder holds the raw layout, or is or holds a folder of the prepared one."""
    return (root / "data_summary.csv").is_file() or bool(_prepared_folders(root))


def read(root: Path, sampling_rate_hz: float = 60.0, blur: int | None = None, skip_missing: bool = False) -> Source:
    """Read either layout.

    Raw: `gaze_dot.pk` counts the gaze samples on each pixel. Each pixel with any becomes a fixation at its centre that
    lasts count / sampling rate; when it was is unknown. Without patient_id each image is a patient of its own.

    Prepared: all that is left of the gaze is a blurred map, its maximum 1. Each cell above 0 becomes a fixation at its
    centre, whose duration is the cell's value: a weight, and no time. Drawn with a `sigma_px` of a pixel or two they
    give the map again. Such cases carry the flags `gaze_map=<folder>` and `lungs_not_told_apart`, and their own split.

    Args:
        root: the folder of data_summary.csv; or a folder Down<d>_Blur<b>, or one that holds such folders.
        sampling_rate_hz: (raw) gaze samples a second. It scales all durations alike, so no normalised map depends on
            it. 60 is an assumption: EGD-CXR's 1.5 million samples then last 23 s an image.
        blur: (prepared) which folder to read where there are several; 500 by default, as the original's training.
        skip_missing: leave out and count the cases whose files are missing or cannot be read.

    Returns:
        The cases in the order of the table; or of splits, and file names in each.

    Raises:
        ConfigError: a rate that is not positive, or no folder of that blur.
        MissingFileError: files are not there.
        TableError: the table lacks a column, or holds a value that cannot be.
        ImageError: a gaze pickle or a `.pt` file is hostile, damaged or not of its form.
        DataError: an ID is in several splits.
    """
    if not sampling_rate_hz > 0:
        raise ConfigError("the sampling rate must be above 0 Hz", where="--sampling-rate-hz", got=sampling_rate_hz)
    dropped: Counter[str] = Counter()
    if (root / "data_summary.csv").is_file():
        if blur is not None:
            raise ConfigError("the raw pickles hold no blurred maps to choose from", where="--blur")
        cases = _raw_cases(root, sampling_rate_hz, skip_missing, dropped)
    else:
        cases = _prepared_cases(_choose(root, blur), skip_missing, dropped)
    if not cases:
        raise DataError("not one case is left", where=root, got=dict(dropped) or "no files")
    dropped["case without gaze (kept)"] = sum(not len(case.fixations) for case in cases)
    return Source(NAME, CLASS_NAMES, tuple(cases), {reason: count for reason, count in dropped.items() if count})


# --- the raw layout


def _raw_cases(root: Path, sampling_rate_hz: float, skip_missing: bool, dropped: Counter[str]) -> list[Case]:
    path = root / "data_summary.csv"
    index, table = _read_summary(path)
    folders = [root / f"D_{number:04d}" for number in index]
    unlisted = {folder.name for folder in root.glob("D_*") if folder.is_dir()} - {folder.name for folder in folders}
    dropped[f"folder that {path.name} does not list"] += len(unlisted)
    if "patient_id" not in table:
        log.warning("%s has no column patient_id: each image counts as a patient of its own", path)
    counts = [folder / "gaze_dot.pk" for folder in _complete(folders, skip_missing, dropped)]
    readings = _each(lambda file: _read_counts(file, sampling_rate_hz), counts, skip_missing, dropped)
    patients = table["patient_id"] if "patient_id" in table else table["ID"]
    cases = []
    for folder, case_id, patient_id, label in zip(
        folders, table["ID"].tolist(), patients.tolist(), table["Y"].tolist(), strict=True
    ):
        if folder / "gaze_dot.pk" in readings:
            fixations, size, negative = readings[folder / "gaze_dot.pk"]
            dropped["pixel with a negative count of gaze samples"] += negative
            cases.append(
                Case(
                    case_id=case_id,
                    patient_id=patient_id,
                    label=int(label),
                    image=folder / "cxr.pk",
                    readings={READING_ID: fixations} if len(fixations) else {},
                    masks={name: folder / file for name, file in MASK_FILES.items()},
                    raw_size=size,
                )
            )
    return cases


def _complete(folders: Sequence[Path], skip_missing: bool, dropped: Counter[str]) -> list[Path]:
    """The folders that hold all five pickles; the others are counted, or told."""
    names = ("cxr.pk", "gaze_dot.pk", *MASK_FILES.values())
    missing = {folder: [folder / name for name in names if not (folder / name).is_file()] for folder in folders}
    lacking = [file for files in missing.values() for file in files]
    cases = sum(map(bool, missing.values()))
    if lacking and not skip_missing:
        raise MissingFileError(
            f"{cases:,} of {len(folders):,} cases lack files",
            where=join_limited(lacking, most=3),
            hint="put them there; or leave these cases out with --skip-missing",
        )
    dropped["case whose files are missing"] += cases
    return [folder for folder, files in missing.items() if not files]


def _read_summary(path: Path) -> tuple[list[int], Table]:
    """The number in each row's folder name, and the columns ID, Y (checked) and perhaps patient_id."""
    first = column_names(path)[0]
    if first in ("Y", "ID"):
        raise TableError(
            "the first column must number the folders D_0000, D_0001, ...",
            where=path,
            expected="an index before Y and ID",
            got=f"{first} comes first",
        )
    table = read_table(path, [first, "Y", "ID"], ["patient_id"])
    for column in (first, "Y"):
        whole = [re.fullmatch(r"\d+", text) is not None for text in table[column].tolist()]
        what = "the index must be a whole number of 0 or more" if column == first else "unknown label"
        expected = None if column == first else f"0 to 2: {join_limited(CLASS_NAMES)}"
        table.refuse(~np.array(whole, dtype=bool), what, column, expected)
    table.refuse(table["Y"].astype(int) > 2, "unknown label", "Y", f"0 to 2: {join_limited(CLASS_NAMES)}")
    for column in ("ID", "patient_id") if "patient_id" in table else ("ID",):
        table.refuse(table[column] == "", f"a row has no {column}", column)
    for column in (first, "ID"):
        table.refuse(table.repeats(column), f"{'an ID' if column == 'ID' else 'an index'} comes twice", column)
    return [int(text) for text in table[first].tolist()], table


def _read_counts(path: Path, sampling_rate_hz: float) -> tuple[Fixations, tuple[int, int], int]:
    """Fixations, the image's (height, width), and the number of negative counts, which are left out.

    A negative count is one above 127 that overflowed when it was stored in a byte.
    """
    counts = load_array(path)
    if counts.ndim != 2:
        raise ImageError(
            "gaze_dot is no image", where=path, expected="2 dimensions, as cxr", got=f"shape {counts.shape}"
        )
    if not np.isfinite(counts).all():
        raise ImageError("a count of gaze samples is not finite", where=path)
    rows, columns = np.nonzero(counts > 0)
    fixations = Fixations.build(columns + 0.5, rows + 0.5, counts[rows, columns] / sampling_rate_hz)
    height, width = counts.shape
    return fixations, (height, width), int((counts < 0).sum())


# --- the prepared layout


def _prepared_folders(root: Path) -> list[Path]:
    """The folder itself or those in it that are named as the original does, and hold a split."""
    candidates = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    return [
        path
        for path in candidates
        if _FOLDER.fullmatch(path.resolve().name) and any((path / name).is_dir() for name in SPLIT_FOLDERS.values())
    ]


def _choose(root: Path, blur: int | None) -> Path:
    found = {
        path: int(match[1]) for path in _prepared_folders(root) if (match := _FOLDER.fullmatch(path.resolve().name))
    }
    if not found:
        raise MissingFileError("the folder holds none of the original's layouts", where=root, expected=EXPECTED_FILES)
    wanted = blur if blur is not None else _USED_BLUR if len(found) > 1 else next(iter(found.values()))
    chosen = [path for path, each in found.items() if each == wanted]
    if len(chosen) != 1:
        raise ConfigError(
            f"{len(chosen) or 'no'} folders have a blur of {wanted}",
            where="--blur",
            expected=f"one of {join_limited(sorted(set(found.values())))}",
            got=join_limited(path.name for path in found),
            hint="name the folder itself as RAW" if chosen else None,
        )
    return chosen[0]


def _prepared_cases(folder: Path, skip_missing: bool, dropped: Counter[str]) -> list[Case]:
    files: dict[Path, Split] = {}
    for split, name in SPLIT_FOLDERS.items():
        inside = sorted((folder / name).iterdir()) if (folder / name).is_dir() else []
        of_split = [path for path in inside if path.suffix == ".pt"]
        dropped["file that is no .pt"] += len(inside) - len(of_split)
        files |= dict.fromkeys(of_split, split)
    counts = Counter(path.stem for path in files)
    if twice := [case_id for case_id, count in counts.items() if count > 1]:
        raise DataError(
            "an ID is in several splits", where=folder, got=join_limited(twice), hint="keep one file of each"
        )
    flags = (f"{GAZE_MAP}{folder.resolve().name}", LUNGS_AS_ONE)
    found = _each(lambda path: _read_case(path, files[path], flags), list(files), skip_missing, dropped)
    return list(found.values())


def _read_case(path: Path, split: Split, flags: tuple[str, ...]) -> Case:
    content = read_original(path)
    if not 0 <= content.label < len(CLASS_NAMES):
        raise ImageError(
            "unknown label", where=path, expected=f"Y of 0 to 2: {join_limited(CLASS_NAMES)}", got=content.label
        )
    rows, columns = np.nonzero(content.gaze)
    fixations = Fixations.build(
        (columns + 0.5) * CELL_PX, (rows + 0.5) * CELL_PX, content.gaze[rows, columns].astype(np.float64)
    )
    masks: dict[MaskName, Path] = {}
    if content.lung.any():
        masks |= {"left_lung": path, "right_lung": path}
    if content.heart.any():
        masks |= {"mediastinum": path}
    return Case(
        case_id=path.stem,
        patient_id=path.stem,
        label=content.label,
        image=path,
        readings={READING_ID: fixations} if len(fixations) else {},
        masks=masks,
        split=split,
        flags=flags,
    )


def _each(
    read_one: Callable[[Path], Result], paths: Sequence[Path], skip: bool, dropped: Counter[str]
) -> dict[Path, Result]:
    """What `read_one` makes of each file, by several threads; those that cannot be read are counted, or told."""

    def attempt(path: Path) -> Result | ImageError:
        try:
            return read_one(path)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        outcomes = list(zip(paths, pool.map(attempt, paths), strict=True))
    broken = [outcome for _, outcome in outcomes if isinstance(outcome, ImageError)]
    dropped["case whose files cannot be read"] += count_unreadable(broken, len(paths), "cases", skip)
    return {path: outcome for path, outcome in outcomes if not isinstance(outcome, ImageError)}
