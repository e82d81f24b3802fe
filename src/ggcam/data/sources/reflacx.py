"""REFLACX 1.0.0: 3,032 readings of 2,616 chest X-rays of MIMIC-CXR by five radiologists, with gaze and ellipses.

The layout is that of the download from PhysioNet, with the images of MIMIC-CXR (DICOM) or MIMIC-CXR-JPG.
Bigolin Lanfredi et al., "REFLACX, a dataset of reports and eye-tracking data for localization of abnormalities in chest
x-rays", Scientific Data 9, 350 (2022).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Float

from ggcam.data.case import Case, Source, Split
from ggcam.data.sources import mimic_cxr, reflacx_readings
from ggcam.data.sources.dictation import read_vocabulary
from ggcam.data.sources.image_files import read_sizes
from ggcam.data.sources.labelled_images import SPLIT_NAMES
from ggcam.data.sources.fixation_rows import FixationRows, group_readings
from ggcam.data.sources.reflacx_labels import CLASS_NAMES, read_certainties, columns_by_class, flags
from ggcam.data.tables import read_table
from ggcam.errors import ConfigError, MissingFileError, TableError, join_limited

NAME = "reflacx"
EXPECTED_FILES = "main_data/metadata_phase_1.csv, _2 or _3, as in the REFLACX download"

Readings = Literal["merged", "separate"]


@dataclass(frozen=True, eq=False)
class _Record:
    """One line of the metadata: one reading of one image."""

    reading_id: str
    phase: int
    dicom_id: str
    patient_id: str
    path: PurePosixPath
    split: Split | None
    size: tuple[int, int]
    discarded: bool
    certainty: Float[np.ndarray, " classes"]


def can_read(root: Path) -> bool:
    """Whether there is metadata of a phase in the folder, or up to two levels below it."""
    return bool(_metadata(root))


def read(
    root: Path,
    images: Path | None = None,
    phases: tuple[int, ...] = (1, 2, 3),
    readings: Readings = "merged",
    min_certainty: int = 3,
    dictation_window_s: float | None = None,
    vocabulary: Path | None = None,
    skip_missing: bool = False,
) -> Source:
    """Read images with certainties turned into labels, gaze, ellipses and the box of the chest.

    A multi-label source: a case belongs to each class whose certainty is at least `min_certainty` (the authors count 3,
    "possibly", as present). The phases' labels are brought to one set; see :mod:`ggcam.data.sources.reflacx_labels`.

    A fixation is kept when it is on the image, lasts for any time and lies on the part of the image that was shown or
    within half a degree of it: the rest of the time the eye was on buttons or on black. Its pixels per degree are those
    at the zoom in force.

    Args:
        root: the folder of main_data, or any folder up to two levels above the metadata.
        images: any folder above the images of MIMIC-CXR or MIMIC-CXR-JPG; `root` by default.
        phases: which of the three to read.
        readings: "merged" makes one case of all readings of an image, each with its own reading_id; it belongs to a
            class when at least half of the readings that speak of it say so. "separate" makes a case of each reading;
            those of one image are of one patient, and so never fall into different splits.
        min_certainty: 1 to 5, from which on a class is present; and below which an ellipse is left out.
        dictation_window_s: label each fixation with the finding that is named while it lasts or within so many seconds
            after it; None does not.
        vocabulary: TOML file of `finding = ["phrase", ...]`, in place of the one that comes along.
        skip_missing: leave out and count cases whose image, and readings whose files, are missing.

    Returns:
        The cases in the order of the metadata; `split` is that of MIMIC-CXR-JPG.

    Raises:
        ConfigError: options that cannot be.
        MissingFileError, TableError, ImageError: files that are not there, or hold what they must not.
        DataError: images were resized, or most fixations lie off them.
    """
    _check_options(phases, min_certainty)
    words = None if dictation_window_s is None else read_vocabulary(vocabulary, NAME)
    dropped: Counter[str] = Counter()
    tables = {phase: path for phase, path in _metadata(root).items() if phase in phases}
    if not tables:
        raise MissingFileError("there is no metadata of these phases", where=root, expected=EXPECTED_FILES)
    records = [record for phase, path in tables.items() for record in _read_records(path, phase)]
    _check_records(records, next(iter(tables.values())).parent)
    groups = _grouped(records, readings)
    firsts = [group[0] for group in groups.values()]
    files = mimic_cxr.find_images(images or root, [record.path for record in firsts])
    sizes = read_sizes(files, skip_missing, dropped, hint="say with --images where the files/ of MIMIC-CXR lies")
    usable = np.flatnonzero(sizes[:, 0]).tolist()
    if not usable:
        raise TableError("not one record makes a case", where=root, got=dict(dropped))
    expected = np.array([firsts[at].size for at in usable])
    folder = next(iter(tables.values())).parent
    mimic_cxr.check_sizes([firsts[at].dicom_id for at in usable], sizes[usable], expected, folder)

    kept = [list(groups.values())[at] for at in usable]
    rows = _read_gaze(kept, folder, skip_missing, dropped, words, dictation_window_s or 0.0)
    gaze = group_readings(rows, sizes[usable], dropped, folder)
    dropped["case without gaze (kept)"] = sum(not of_case for of_case in gaze)
    names = list(groups)
    cases = tuple(
        Case(
            case_id=names[at],
            patient_id=group[0].patient_id,
            label=_label(group, min_certainty),
            image=files[at],
            readings=of_case,
            regions=reflacx_readings.regions([(folder / r.reading_id, r.phase) for r in group], min_certainty, dropped),
            split=group[0].split,
        )
        for at, group, of_case in zip(usable, kept, gaze, strict=True)
    )
    return Source(NAME, CLASS_NAMES, cases, {reason: count for reason, count in dropped.items() if count})


def _metadata(root: Path) -> dict[int, Path]:
    """Phase -> table, from the first folder that has any; folders may be nested by the download."""
    for depth in ("", "*/", "*/*/"):
        found = sorted(root.glob(f"{depth}metadata_phase_[123].csv"))
        if found:
            return {int(path.stem[-1]): path for path in found if path.parent == found[0].parent}
    return {}


def _check_options(phases: Sequence[int], min_certainty: int) -> None:
    if not phases or not set(phases) <= {1, 2, 3}:
        raise ConfigError("there are the phases 1, 2 and 3", where="--phases", got=join_limited(phases) or "none")
    if not 1 <= min_certainty <= 5:
        raise ConfigError("a certainty is 1 to 5", where="--min-certainty", got=min_certainty)


def _read_records(path: Path, phase: int) -> list[_Record]:
    labels = sorted({column for columns in columns_by_class(phase).values() for column in columns})
    fixed = ["id", "split", "eye_tracking_data_discarded", "image", "dicom_id", "subject_id"]
    table = read_table(path, [*fixed, "image_size_x", "image_size_y", *labels])
    for column in ("id", "dicom_id"):
        odd = [re.fullmatch(r"[A-Za-z0-9_-]+", word) is None for word in table[column].tolist()]
        table.refuse(np.array(odd, dtype=bool), f"{column} must be of A-Z a-z 0-9 _ - alone", column)
    table.refuse(table.repeats("id"), "a reading stands there twice", "id")
    table.refuse(table["subject_id"] == "", "a record has no subject_id", "subject_id")
    table.refuse(
        ~np.isin(table["split"], ("train", "validate", "test")), "unknown split", "split", "train, validate, test"
    )
    paths = [_path_in_mimic(text) for text in table["image"].tolist()]
    strays = [
        place.stem != name or ".." in place.parts for place, name in zip(paths, table["dicom_id"].tolist(), strict=True)
    ]
    table.refuse(np.array(strays, dtype=bool), "image must be .../files/.../<dicom_id>.dcm", "image")
    heights, widths = table.numbers("image_size_y").tolist(), table.numbers("image_size_x").tolist()
    return [
        _Record(
            reading_id, phase, dicom_id, patient_id, place, SPLIT_NAMES[split], (int(height), int(width)), gone, sure
        )
        for reading_id, dicom_id, patient_id, place, split, height, width, gone, sure in zip(
            *(table[name].tolist() for name in ("id", "dicom_id", "subject_id")),
            paths,
            table["split"].tolist(),
            heights,
            widths,
            flags(table, "eye_tracking_data_discarded").tolist(),
            read_certainties(table, phase),
            strict=True,
        )
    ]


def _path_in_mimic(text: str) -> PurePosixPath:
    """From the last `files/` on: the column holds where the authors had the image."""
    parts = PurePosixPath(text.replace("\\", "/")).parts
    begin = len(parts) - 1 - parts[::-1].index("files") if "files" in parts else 0
    return PurePosixPath(*parts[begin:]) if parts else PurePosixPath(".")


def _check_records(records: Sequence[_Record], where: Path) -> None:
    """Each reading once, and the readings of one image agree on whose it is."""
    twice = [name for name, count in Counter(record.reading_id for record in records).items() if count > 1]
    if twice:
        raise TableError("readings stand in two phases", where=where, got=join_limited(twice))
    said: dict[str, tuple[object, ...]] = {}
    for record in records:
        facts = (record.patient_id, record.split, record.size)
        if said.setdefault(record.dicom_id, facts) != facts:
            raise TableError(
                "two readings of one image disagree on subject, split or size",
                where=f"{where}: {record.reading_id}",
                expected=said[record.dicom_id],
                got=facts,
            )


def _grouped(records: Sequence[_Record], readings: Readings) -> dict[str, list[_Record]]:
    """Case id -> its records."""
    groups: dict[str, list[_Record]] = {}
    for record in records:
        groups.setdefault(record.dicom_id if readings == "merged" else record.reading_id, []).append(record)
    return groups


def _label(group: Sequence[_Record], min_certainty: int) -> tuple[int | None, ...]:
    """1 for each class that at least half of the readings which speak of it call present."""
    said = np.stack([record.certainty for record in group])
    votes = [column[~np.isnan(column)] >= min_certainty for column in said.T]
    return tuple(int(2 * vote.sum() >= len(vote)) if len(vote) else None for vote in votes)


def _read_gaze(
    groups: Sequence[Sequence[_Record]],
    folder: Path,
    skip_missing: bool,
    dropped: Counter[str],
    words: reflacx_readings.Vocabulary | None,
    window_s: float,
) -> FixationRows:
    wanted = [(at, record) for at, group in enumerate(groups) for record in group if not record.discarded]
    dropped["reading whose gaze was discarded by the authors (boxes kept)"] += sum(map(len, groups)) - len(wanted)
    missing = [
        record.reading_id for _, record in wanted if not (folder / record.reading_id / "fixations.csv").is_file()
    ]
    if missing and not skip_missing:
        raise MissingFileError(
            f"{len(missing):,} of {len(wanted):,} readings have no fixations.csv",
            where=folder,
            got=join_limited(missing),
            hint="complete the download; or leave them out with --skip-missing",
        )
    dropped["reading without fixations.csv"] += len(missing)
    return FixationRows.concatenate(
        [
            reflacx_readings.gaze(folder / record.reading_id, at, dropped, words, window_s)
            for at, record in wanted
            if record.reading_id not in missing
        ]
    )
