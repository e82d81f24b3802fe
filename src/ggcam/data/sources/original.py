"""Data of the original GG-CAM: its raw pickles, or the `.pt` files that it trains on.

Raw: `data_summary.csv` (a first column of whole numbers, ID, Y and optionally patient_id), and for row 7
`D_0007/{cxr,gaze_dot,seg_left_lung,seg_right_lung,seg_mediastanum}.pk`.
Prepared: `Down<d>_Blur<b>/{Train,Valid,Test}/<ID>.pt`, see :mod:`ggcam.data.original.pt_files`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from ggcam.data.case import Case, MaskName, Source, Split
from ggcam.data.original.preprocessing import GAZE_MAP_FLAG
from ggcam.data.original.pt_files import CELL_PX, SPLIT_FOLDERS, read_original
from ggcam.data.sources.image_files import count_unreadable
from ggcam.data.tables import Table, column_names, read_table
from ggcam.errors import ConfigError, DataError, ImageError, MissingFileError, TableError, join_limited
from ggcam.gaze.fixations import Fixations
from ggcam.utils.foreign_paths import file_exists
from ggcam.utils.parallel import thread_count
from ggcam.utils.safe_pickle import load_array

log = logging.getLogger(__name__)

NAME = "original"
EXPECTED_FILES = "data_summary.csv and D_0000/*.pk; or Down<d>_Blur<b>/{Train,Valid,Test}/*.pt"
CLASS_NAMES = ("Normal", "CHF", "pneumonia")
READING_ID = "1"

MASK_FILES: Mapping[MaskName, str] = {
    "left_lung": "seg_left_lung.pk",
    "right_lung": "seg_right_lung.pk",
    "mediastinum": "seg_mediastanum.pk",
}
"""The original spells it "mediastanum"."""

LUNGS_MERGED = "lungs_merged"
"""Flag of cases whose left and right lung mask are the same mask of both lungs."""

_FOLDER = re.compile(r"Down\d+_Blur(\d+)")
_DEFAULT_BLUR = 500
"""The blur that the original trains with."""

Result = TypeVar("Result")


def can_read(root: Path) -> bool:
    """Return whether a folder has the raw layout, or is or contains a folder of the prepared layout.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    return (root / "data_summary.csv").is_file() or bool(_prepared_folders(root))


def read(root: Path, sampling_rate_hz: float = 60.0, blur: int | None = None, skip_missing: bool = False) -> Source:
    """Read either layout.

    Raw: `gaze_dot.pk` has the number of gaze samples on each pixel. Each pixel with samples becomes a fixation at its
    centre with a duration of count / sampling rate and an unknown start. Without patient_id, each image counts as one
    patient.

    Prepared: the only gaze is a blurred map with a maximum of 1. Each cell above 0 becomes a fixation at its centre,
    whose duration is the value of the cell: a weight, not a time. Drawn with a `sigma_px` of one or two pixels, they
    reproduce the map. Such cases have the flags `gaze_map=<folder>` and `lungs_merged`, and their own split.

    Args:
        root: folder with data_summary.csv; or a folder Down<d>_Blur<b>, or one that contains such folders.
        sampling_rate_hz: (raw layout) gaze samples per second. It scales all durations alike, so normalised maps do not
            depend on it. 60 is an assumption: the 1.5 million samples of EGD-CXR then last 23 s per image.
        blur: (prepared layout) which folder to read if there are several. Default: 500, as the original trains with.
        skip_missing: leave out cases whose files are missing or unreadable, and count them.

    Returns:
        The cases in the order of the table; or by split and file name.

    Raises:
        ConfigError: the rate is not positive, or there is no folder with this blur.
        MissingFileError: files are missing.
        TableError: the table lacks a column, or has an invalid value.
        ImageError: a gaze pickle or a `.pt` file is malicious, damaged or malformed.
        DataError: an ID is in several splits.
    """
    if not sampling_rate_hz > 0:
        raise ConfigError("the sampling rate must be above 0 Hz", where="--sampling-rate-hz", got=sampling_rate_hz)
    dropped: Counter[str] = Counter()
    if (root / "data_summary.csv").is_file():
        if blur is not None:
            raise ConfigError("the raw layout has no blurred maps to choose from", where="--blur")
        cases = _raw_cases(root, sampling_rate_hz, skip_missing, dropped)
    else:
        cases = _prepared_cases(_choose_folder(root, blur), skip_missing, dropped)
    if not cases:
        raise DataError("no case is left", where=root, got=dict(dropped) or "no files")
    dropped["case without gaze (kept)"] = sum(not len(case.fixations) for case in cases)
    return Source(NAME, CLASS_NAMES, tuple(cases), dict(+dropped), kind="chest")


# --- the raw layout


def _raw_cases(root: Path, sampling_rate_hz: float, skip_missing: bool, dropped: Counter[str]) -> list[Case]:
    path = root / "data_summary.csv"
    index, table = _read_summary(path)
    folders = [root / f"D_{number:04d}" for number in index]
    unlisted = {folder.name for folder in root.glob("D_*") if folder.is_dir()} - {folder.name for folder in folders}
    dropped[f"folder that {path.name} does not list"] += len(unlisted)
    if "patient_id" not in table:
        log.warning("%s has no column patient_id: each image counts as one patient", path)
    counts = [folder / "gaze_dot.pk" for folder in _complete_folders(folders, skip_missing, dropped)]
    readings = _read_in_threads(lambda file: _read_counts(file, sampling_rate_hz), counts, skip_missing, dropped)
    patients = table["patient_id"] if "patient_id" in table else table["ID"]
    cases = []
    for folder, case_id, patient_id, label in zip(
        folders, table["ID"].tolist(), patients.tolist(), table["Y"].tolist(), strict=True
    ):
        if folder / "gaze_dot.pk" in readings:
            fixations, size, negative = readings[folder / "gaze_dot.pk"]
            dropped["pixel with a negative number of gaze samples"] += negative
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


def _complete_folders(folders: Sequence[Path], skip_missing: bool, dropped: Counter[str]) -> list[Path]:
    """Return the folders with all five pickles; count the others or raise an error."""
    names = ("cxr.pk", "gaze_dot.pk", *MASK_FILES.values())
    missing = {folder: [folder / name for name in names if not file_exists(folder / name)] for folder in folders}
    missing_files = [file for files in missing.values() for file in files]
    n_incomplete = sum(map(bool, missing.values()))
    if missing_files and not skip_missing:
        raise MissingFileError(
            f"{n_incomplete:,} of {len(folders):,} cases lack files",
            where=join_limited(missing_files, limit=3),
            hint="add them; or leave these cases out with --skip-missing",
        )
    dropped["case whose files are missing"] += n_incomplete
    return [folder for folder, files in missing.items() if not files]


def _read_summary(path: Path) -> tuple[list[int], Table]:
    """Read the number of each row's folder, and the columns ID, Y and, if present, patient_id."""
    first = column_names(path)[0]
    if first in ("Y", "ID"):
        raise TableError(
            "the first column must number the folders D_0000, D_0001, ...",
            where=path,
            expected="an index column before Y and ID",
            got=f"{first} is the first column",
        )
    table = read_table(path, [first, "Y", "ID"], ["patient_id"])
    for column in (first, "Y"):
        whole = [re.fullmatch(r"\d+", text) is not None for text in table[column].tolist()]
        what = "the index must be a whole number, 0 or more" if column == first else "unknown label"
        expected = None if column == first else f"0 to 2: {join_limited(CLASS_NAMES)}"
        table.refuse(~np.array(whole, dtype=bool), what, column, expected)
    table.refuse(table["Y"].astype(int) > 2, "unknown label", "Y", f"0 to 2: {join_limited(CLASS_NAMES)}")
    for column in ("ID", "patient_id") if "patient_id" in table else ("ID",):
        table.refuse(table[column] == "", f"a row has no {column}", column)
    for column in (first, "ID"):
        table.refuse(table.repeats(column), f"{'an ID' if column == 'ID' else 'an index'} is listed twice", column)
    return [int(text) for text in table[first].tolist()], table


def _read_counts(path: Path, sampling_rate_hz: float) -> tuple[Fixations, tuple[int, int], int]:
    """Fixations, the image's (height, width), and the number of negative counts, which are left out.

    A negative count was above 127 and overflowed when it was stored in a byte.
    """
    counts = load_array(path)
    if counts.ndim != 2:
        raise ImageError(
            "gaze_dot is not an image", where=path, expected="2 dimensions, like cxr", got=f"shape {counts.shape}"
        )
    if not np.isfinite(counts).all():
        raise ImageError("a number of gaze samples is not finite", where=path)
    rows, columns = np.nonzero(counts > 0)
    fixations = Fixations.build(columns + 0.5, rows + 0.5, counts[rows, columns] / sampling_rate_hz)
    height, width = counts.shape
    return fixations, (height, width), int((counts < 0).sum())


# --- the prepared layout


def _prepared_folders(root: Path) -> list[Path]:
    """Of the folder itself and those in it, the ones with the original's name that contain a split."""
    candidates = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    return [
        path
        for path in candidates
        if _FOLDER.fullmatch(path.resolve().name) and any((path / name).is_dir() for name in SPLIT_FOLDERS.values())
    ]


def _choose_folder(root: Path, blur: int | None) -> Path:
    found = {
        path: int(match[1]) for path in _prepared_folders(root) if (match := _FOLDER.fullmatch(path.resolve().name))
    }
    if not found:
        raise MissingFileError(
            "the folder has neither layout of the original GG-CAM", where=root, expected=EXPECTED_FILES
        )
    wanted = blur if blur is not None else _DEFAULT_BLUR if len(found) > 1 else next(iter(found.values()))
    chosen = [path for path, each in found.items() if each == wanted]
    if len(chosen) != 1:
        raise ConfigError(
            f"{len(chosen) or 'no'} folders have the blur {wanted}",
            where="--blur",
            expected=f"one of {join_limited(sorted(set(found.values())))}",
            got=join_limited(path.name for path in found),
            hint="pass the folder itself as RAW" if chosen else None,
        )
    return chosen[0]


def _prepared_cases(folder: Path, skip_missing: bool, dropped: Counter[str]) -> list[Case]:
    files: dict[Path, Split] = {}
    for split, name in SPLIT_FOLDERS.items():
        inside = sorted((folder / name).iterdir()) if (folder / name).is_dir() else []
        of_split = [path for path in inside if path.suffix == ".pt"]
        dropped["file that is not a .pt file"] += len(inside) - len(of_split)
        files |= dict.fromkeys(of_split, split)
    counts = Counter(path.stem for path in files)
    if duplicates := [case_id for case_id, count in counts.items() if count > 1]:
        raise DataError(
            "IDs are in several splits", where=folder, got=join_limited(duplicates), hint="keep one file per ID"
        )
    flags = (f"{GAZE_MAP_FLAG}{folder.resolve().name}", LUNGS_MERGED)
    found = _read_in_threads(lambda path: _read_case(path, files[path], flags), list(files), skip_missing, dropped)
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


def _read_in_threads(
    read_one: Callable[[Path], Result], paths: Sequence[Path], skip: bool, dropped: Counter[str]
) -> dict[Path, Result]:
    """Return the result of `read_one` for each readable file; count the unreadable ones or raise an error."""

    def attempt(path: Path) -> Result | ImageError:
        try:
            return read_one(path)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(thread_count()) as pool:
        outcomes = list(zip(paths, pool.map(attempt, paths), strict=True))
    broken = [outcome for _, outcome in outcomes if isinstance(outcome, ImageError)]
    dropped["case whose files cannot be read"] += count_unreadable(broken, len(paths), "cases", skip)
    return {path: outcome for path, outcome in outcomes if not isinstance(outcome, ImageError)}
