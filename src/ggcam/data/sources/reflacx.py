"""REFLACX 1.0.0: 3,032 readings of 2,616 chest X-rays by five radiologists, with gaze and ellipses.

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
from ggcam.data.sources.dictation import Vocabulary, read_vocabulary
from ggcam.data.sources.fixation_rows import FixationRows, count_without_gaze, group_readings
from ggcam.data.sources.image_files import read_sizes
from ggcam.data.sources.reflacx_labels import CLASS_NAMES, columns_by_class, read_booleans, read_certainties
from ggcam.data.split_words import read_splits
from ggcam.data.tables import read_table
from ggcam.errors import ConfigError, MissingFileError, TableError, join_limited
from ggcam.gaze.mentions import Mention
from ggcam.utils.foreign_paths import file_exists

NAME = "reflacx"
EXPECTED_FILES = "main_data/metadata_phase_1.csv, _2 or _3, as in the REFLACX download"

Readings = Literal["merged", "separate"]


@dataclass(frozen=True, eq=False)
class _Record:
    """One row of the metadata: one reading of one image."""

    reading_id: str
    phase: int
    dicom_id: str
    patient_id: str
    path: PurePosixPath
    split: Split | None
    size: tuple[int, int]
    gaze_discarded: bool
    certainties: Float[np.ndarray, " classes"]


def can_read(root: Path) -> bool:
    """Return whether a folder, or one up to two levels below it, has the metadata of a phase.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    return bool(_find_metadata(root))


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
    """Read images with labels made from certainties, gaze, ellipses and chest boxes.

    The source is multi-label: a case belongs to each class whose certainty is at least `min_certainty` (the authors
    count 3, "possibly", as present). The labels of the phases are mapped to one set; see
    :mod:`ggcam.data.sources.reflacx_labels`.

    A fixation is kept if it is on the image, has a duration, and is on the displayed part of the image or within half a
    degree of it: otherwise the reader looked at buttons or at the black background. Its pixels per degree are those at
    the current zoom.

    Args:
        root: folder of main_data, or any folder up to two levels above the metadata.
        images: any folder above the images of MIMIC-CXR or MIMIC-CXR-JPG. Default: RAW.
        phases: which of the phases 1, 2 and 3 to read.
        readings: "merged" makes one case of all readings of an image; it belongs to a class if at least half of the
            readings that rate the class say so. "separate" makes one case per reading; the cases of one image belong
            to one patient and therefore to the same split.
        min_certainty: minimum certainty, 1 to 5, of a class that is present and of an ellipse that is kept.
        dictation_window_s: label each fixation with the finding that the dictation names during it or within this many
            seconds after it. Default: off; training weighs the fixations by the dictation, see `label_gaze` there.
        vocabulary: TOML file of finding = ["phrase", ...], the phrases that name each finding. Default: built in.
        skip_missing: leave out cases whose image is missing and readings whose files are missing, and count them.

    Returns:
        The cases in the order of the metadata; `split` is that of MIMIC-CXR-JPG.

    Raises:
        ConfigError: an option is out of range.
        MissingFileError: files or images are missing.
        TableError: a table lacks a column, or has an invalid value.
        ImageError: images cannot be read.
        DataError: images were resized, or most fixations lie off their images.
    """
    _check_options(phases, min_certainty)
    phrases = read_vocabulary(vocabulary, NAME)
    dropped: Counter[str] = Counter()
    tables = {phase: path for phase, path in _find_metadata(root).items() if phase in phases}
    if not tables:
        raise MissingFileError("there is no metadata of these phases", where=root, expected=EXPECTED_FILES)
    records = [record for phase, path in tables.items() for record in _read_records(path, phase)]
    folder = next(iter(tables.values())).parent
    _check_records(records, folder)
    groups = _group_records(records, readings)
    first_records = [group[0] for group in groups.values()]
    files = mimic_cxr.find_images(images or root, [record.path for record in first_records])
    sizes = read_sizes(files, skip_missing, dropped, hint=mimic_cxr.IMAGES_HINT)
    usable = np.flatnonzero(sizes[:, 0]).tolist()
    if not usable:
        raise TableError("no record makes a case", where=root, got=dict(dropped))
    expected = np.array([first_records[at].size for at in usable])
    mimic_cxr.check_sizes([first_records[at].dicom_id for at in usable], sizes[usable], expected, folder)

    kept = [list(groups.values())[at] for at in usable]
    rows, mentions = _read_gaze(kept, folder, skip_missing, dropped, phrases, dictation_window_s)
    gaze = group_readings(rows, sizes[usable], dropped, folder)
    count_without_gaze(gaze, dropped)
    case_ids = list(groups)
    cases = tuple(
        Case(
            case_id=case_ids[at],
            patient_id=group[0].patient_id,
            label=_label(group, min_certainty),
            image=files[at],
            readings=of_case,
            regions=reflacx_readings.read_regions(
                [(folder / record.reading_id, record.phase) for record in group], min_certainty, dropped
            ),
            split=group[0].split,
            mentions={reading_id: named for reading_id in of_case if (named := mentions[reading_id])},
        )
        for at, group, of_case in zip(usable, kept, gaze, strict=True)
    )
    return Source(NAME, CLASS_NAMES, cases, dict(+dropped), kind="chest")


def _find_metadata(root: Path) -> dict[int, Path]:
    """Phase -> table, from the first folder that has any; a download may nest the folders."""
    for depth in ("", "*/", "*/*/"):
        found = sorted(root.glob(f"{depth}metadata_phase_[123].csv"))
        if found:
            return {int(path.stem[-1]): path for path in found if path.parent == found[0].parent}
    return {}


def _check_options(phases: Sequence[int], min_certainty: int) -> None:
    if not phases or not set(phases) <= {1, 2, 3}:
        raise ConfigError(
            "unknown phase", where="--phases", expected="any of 1, 2 and 3", got=join_limited(phases) or "none"
        )
    if not 1 <= min_certainty <= 5:
        raise ConfigError("a certainty is a number from 1 to 5", where="--min-certainty", got=min_certainty)


def _read_records(path: Path, phase: int) -> list[_Record]:
    labels = sorted({column for columns in columns_by_class(phase).values() for column in columns})
    fixed = ["id", "split", "eye_tracking_data_discarded", "image", "dicom_id", "subject_id"]
    table = read_table(path, [*fixed, "image_size_x", "image_size_y", *labels])
    for column in ("id", "dicom_id"):
        invalid = [re.fullmatch(r"[A-Za-z0-9_-]+", text) is None for text in table[column].tolist()]
        table.refuse(np.array(invalid, dtype=bool), f"{column} may contain only A-Z a-z 0-9 _ -", column)
    table.refuse(table.repeats("id"), "a reading is listed twice", "id")
    table.refuse(table["subject_id"] == "", "a record has no subject_id", "subject_id")
    paths = [_mimic_path(text) for text in table["image"].tolist()]
    invalid = [
        image.stem != dicom_id or ".." in image.parts
        for image, dicom_id in zip(paths, table["dicom_id"].tolist(), strict=True)
    ]
    table.refuse(np.array(invalid, dtype=bool), "image must be .../files/.../<dicom_id>.dcm", "image")
    columns = {
        "reading_id": table["id"].tolist(),
        "dicom_id": table["dicom_id"].tolist(),
        "patient_id": table["subject_id"].tolist(),
        "path": paths,
        "split": read_splits(table),
        "size": zip(
            table.numbers("image_size_y").astype(int).tolist(),
            table.numbers("image_size_x").astype(int).tolist(),
            strict=True,
        ),
        "gaze_discarded": read_booleans(table, "eye_tracking_data_discarded").tolist(),
        "certainties": read_certainties(table, phase),
    }
    return [
        _Record(phase=phase, **dict(zip(columns, values, strict=True)))
        for values in zip(*columns.values(), strict=True)
    ]


def _mimic_path(text: str) -> PurePosixPath:
    """Return the path from the last `files/` on: the column has the path on the authors' machine."""
    parts = PurePosixPath(text.replace("\\", "/")).parts
    begin = len(parts) - 1 - parts[::-1].index("files") if "files" in parts else 0
    return PurePosixPath(*parts[begin:]) if parts else PurePosixPath(".")


def _check_records(records: Sequence[_Record], where: Path) -> None:
    """Raise an error if a reading is listed twice, or the readings of an image disagree about it."""
    counts = Counter(record.reading_id for record in records)
    if duplicates := [reading_id for reading_id, count in counts.items() if count > 1]:
        raise TableError("readings are listed in two phases", where=where, got=join_limited(duplicates))
    facts_of: dict[str, tuple[object, ...]] = {}
    for record in records:
        facts = (record.patient_id, record.split, record.size)
        if facts_of.setdefault(record.dicom_id, facts) != facts:
            raise TableError(
                "two readings of an image disagree about its subject, split or size",
                where=f"{where}: {record.reading_id}",
                expected=facts_of[record.dicom_id],
                got=facts,
            )


def _group_records(records: Sequence[_Record], readings: Readings) -> dict[str, list[_Record]]:
    """Case id -> its records."""
    groups: dict[str, list[_Record]] = {}
    for record in records:
        groups.setdefault(record.dicom_id if readings == "merged" else record.reading_id, []).append(record)
    return groups


def _label(group: Sequence[_Record], min_certainty: int) -> tuple[int | None, ...]:
    """1 for each class that at least half of the readings that rate it call present; None if none rates it."""
    certainties = np.stack([record.certainties for record in group])
    votes = [column[~np.isnan(column)] >= min_certainty for column in certainties.T]
    return tuple(int(2 * vote.sum() >= len(vote)) if len(vote) else None for vote in votes)


def _read_gaze(
    groups: Sequence[Sequence[_Record]],
    folder: Path,
    skip_missing: bool,
    dropped: Counter[str],
    phrases: Vocabulary,
    window_s: float | None,
) -> tuple[FixationRows, dict[str, tuple[Mention, ...]]]:
    """Read the fixations, and the mentions of each reading."""
    with_gaze = [(case, record) for case, group in enumerate(groups) for record in group if not record.gaze_discarded]
    n_discarded = sum(map(len, groups)) - len(with_gaze)
    dropped["reading whose gaze the authors discarded (regions kept)"] += n_discarded
    missing = {
        record.reading_id for _, record in with_gaze if not file_exists(folder / record.reading_id / "fixations.csv")
    }
    if missing and not skip_missing:
        raise MissingFileError(
            f"{len(missing):,} of {len(with_gaze):,} readings have no fixations.csv",
            where=folder,
            got=join_limited(sorted(missing)),
            hint="complete the download; or leave them out with --skip-missing",
        )
    dropped["reading without fixations.csv"] += len(missing)
    mentions: dict[str, tuple[Mention, ...]] = {}
    rows: list[FixationRows] = []
    for case, record in with_gaze:
        if record.reading_id not in missing:
            reading = folder / record.reading_id
            named = reflacx_readings.read_mentions(reading, dropped, phrases, required=window_s is not None)
            rows.append(reflacx_readings.read_fixations(reading, case, dropped, named, window_s))
            mentions[record.reading_id] = named
    return FixationRows.concatenate(rows), mentions
