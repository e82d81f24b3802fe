"""EGD-CXR 1.0.0: 1,083 chest X-rays of three classes, with one radiologist's gaze and dictation.

The layout is that of the download from PhysioNet, with the images of MIMIC-CXR (DICOM) or MIMIC-CXR-JPG.
Karargyris et al., "Creation and validation of a chest X-ray dataset with eye-tracking and report dictation for AI
development", Scientific Data 8, 92 (2021).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from ggcam.data.case import Case, MaskName, Region, Source
from ggcam.data.sources import mimic_cxr
from ggcam.data.sources.dictation import read_vocabulary
from ggcam.data.sources.egd_gaze import CaseIds, label_by_transcripts, read_fixations, read_samples
from ggcam.data.sources.egd_screen import PAD_COLUMNS, EgdScreen
from ggcam.data.sources.fixation_rows import count_without_gaze, group_readings
from ggcam.data.sources.image_files import read_sizes
from ggcam.data.tables import Table, read_table
from ggcam.errors import ConfigError, TableError
from ggcam.gaze.events import FixationDetection, Method
from ggcam.utils.foreign_paths import file_exists

NAME = "egd_cxr"
EXPECTED_FILES = "master_sheet.csv and fixations.csv, as in the EGD-CXR download"
CLASS_NAMES = ("Normal", "CHF", "pneumonia")
ID_LENGTH = 44
"""Shorter ids in the gaze table belong to calibration images: a dot on an empty screen."""

MASK_FILES: Mapping[MaskName, tuple[str, ...]] = {
    "left_lung": ("left_lung.png",),
    "right_lung": ("right_lung.png",),
    "mediastinum": ("mediastanum.png", "mediastinum.png"),
}
"""The download spells it "mediastanum"."""

TRANSCRIPTS = "audio_segmentation_transcripts"
"""Folder with the masks and the transcript of each case."""

_BOX_COLUMNS = ("bbox_name", "x1", "y1", "x2", "y2")
_FINDING_COLUMNS = ("name", "x0_px", "y0_px", "x1_px", "y1_px")


def can_read(root: Path) -> bool:
    """Return whether a folder has the two tables of EGD-CXR.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    return (root / "master_sheet.csv").is_file() and _table_path(root, "fixations").is_file()


def read(
    root: Path,
    images: Path | None = None,
    viewing_distance_cm: float = 65.0,
    detect: Method | None = None,
    velocity_deg_per_s: float = FixationDetection.velocity_deg_per_s,
    dispersion_deg: float = FixationDetection.dispersion_deg,
    minimum_fixation_s: float = FixationDetection.minimum_s,
    dictation_window_s: float | None = None,
    vocabulary: Path | None = None,
    skip_missing: bool = False,
) -> Source:
    """Read the cases that belong to exactly one of the three classes, with their gaze, masks, boxes and findings.

    A fixation is kept if it is valid (FPOGV), on the image and longer than zero. It lies at the centre of the pixel
    given by X_ORIGINAL and Y_ORIGINAL, starts at FPOGS and lasts FPOGD. Cases without fixations are kept.

    Args:
        root: folder with master_sheet.csv and fixations.csv (or fixations.csv.gz). Optional files in it:
            bounding_boxes.csv, audio_segmentation_transcripts/<dicom_id>/*.png, and findings.csv (dicom_id, name,
            kind, x0_px, y0_px, x1_px, y1_px), which the simulator writes.
        images: any folder above the images of MIMIC-CXR or MIMIC-CXR-JPG. If the split table of MIMIC-CXR-JPG is in
            it, cases get its splits; if the metadata table is, the sizes of the images are checked. Default: RAW.
        viewing_distance_cm: distance of the reader from the screen, which determines the pixels per degree. It was not
            published; 65 is the usual working distance of the eye tracker.
        detect: read the raw samples in eye_gaze.csv instead of fixations.csv. "ivt" (velocity) and "idt" (dispersion)
            detect fixations in BPOGX, BPOGY; "dwell" makes each valid sample a fixation at X_ORIGINAL, Y_ORIGINAL.
            Default: fixations.csv.
        velocity_deg_per_s: maximum velocity of the eye during a fixation (ivt), in degrees per second.
        dispersion_deg: maximum width plus height of the samples of a fixation (idt), in degrees.
        minimum_fixation_s: minimum duration of a fixation (ivt, idt), in seconds.
        dictation_window_s: label each fixation with the finding that the dictation (transcript.json) names during it or
            within this many seconds after it. Default: off.
        vocabulary: TOML file of finding = ["phrase", ...], the phrases that name each finding. Default: built in.
        skip_missing: leave out cases whose image is missing or unreadable, and count them.

    Returns:
        The cases in the order of the master sheet.

    Raises:
        ConfigError: the viewing distance is not positive.
        MissingFileError: a table or images are missing.
        TableError: a table lacks a column, or has an invalid value.
        ImageError: images cannot be read.
        DataError: images were resized, or most fixations lie off their images.
    """
    if not viewing_distance_cm > 0:
        raise ConfigError(
            "the viewing distance must be above 0 cm", where="--viewing-distance-cm", got=viewing_distance_cm
        )
    detection = detect and FixationDetection(detect, velocity_deg_per_s, dispersion_deg, minimum_fixation_s)
    phrases = None if dictation_window_s is None else read_vocabulary(vocabulary, NAME)
    dropped: Counter[str] = Counter()
    sheet = _read_sheet(root / "master_sheet.csv", dropped)
    cases, labels, files, sizes = _find_cases(sheet, images or root, skip_missing, dropped)
    index = {dicom_id: at for at, dicom_id in enumerate(cases["dicom_id"].tolist())}
    mimic_cxr.check_original_sizes(images or root, list(index), sizes)
    splits = mimic_cxr.official_splits(images or root)
    screen = EgdScreen.from_pads(cases, sizes, viewing_distance_cm)
    ids = CaseIds(index, frozenset(sheet["dicom_id"].tolist()), ID_LENGTH)
    path = _table_path(root, "eye_gaze" if detection else "fixations")
    if detection:
        gaze = read_samples(path, ids, screen, detection, dropped)
    else:
        gaze = read_fixations(path, ids, screen, dropped)
    if phrases is not None and dictation_window_s is not None:
        folder = root / TRANSCRIPTS
        gaze = label_by_transcripts(gaze, folder, list(index), phrases, dictation_window_s, dropped)
    readings = group_readings(gaze.rows, sizes, dropped, path)
    regions: defaultdict[str, list[Region]] = defaultdict(list)
    _add_regions(regions, root / "bounding_boxes.csv", _BOX_COLUMNS, None, index, dropped)
    _add_regions(regions, root / "findings.csv", _FINDING_COLUMNS, "kind", index, dropped)
    count_without_gaze(readings, dropped)
    found = tuple(
        Case(
            case_id=dicom_id,
            patient_id=patient_id,
            label=label,
            image=file,
            readings=of_case,
            masks=_find_masks(root / TRANSCRIPTS / dicom_id),
            regions=tuple(regions[dicom_id]),
            split=splits.get(dicom_id),
        )
        for dicom_id, patient_id, label, file, of_case in zip(
            index, cases["patient_id"].tolist(), labels.tolist(), files, readings, strict=True
        )
    )
    return Source(NAME, CLASS_NAMES, found, dict(+dropped), kind="chest")


def _table_path(root: Path, name: str) -> Path:
    plain, compressed = root / f"{name}.csv", root / f"{name}.csv.gz"
    return compressed if compressed.is_file() and not plain.is_file() else plain


def _read_sheet(path: Path, dropped: Counter[str]) -> Table:
    """Read the distinct records of the master sheet with the id of an image."""
    sheet = read_table(path, ["dicom_id", "path", "patient_id", *CLASS_NAMES], PAD_COLUMNS)
    other_length = np.char.str_len(sheet["dicom_id"]) != ID_LENGTH
    duplicate = sheet.repeats() & ~other_length
    dropped[f"record whose dicom_id is not {ID_LENGTH} characters long"] += int(other_length.sum())
    dropped["duplicate record"] += int(duplicate.sum())
    sheet = sheet.select(~(other_length | duplicate))
    unsafe = [re.fullmatch(r"[A-Za-z0-9._-]+", dicom_id) is None for dicom_id in sheet["dicom_id"].tolist()]
    sheet.refuse(np.array(unsafe, dtype=bool), "a dicom_id may contain only A-Z a-z 0-9 . _ -", "dicom_id")
    sheet.refuse(sheet.repeats("dicom_id"), "a dicom_id is listed twice with different values", "dicom_id")
    sheet.refuse(sheet["patient_id"] == "", "a record has no patient_id", "patient_id")
    invalid = [
        image.is_absolute() or ".." in image.parts or image.stem != dicom_id
        for image, dicom_id in zip(map(PurePosixPath, sheet["path"].tolist()), sheet["dicom_id"].tolist(), strict=True)
    ]
    sheet.refuse(np.array(invalid, dtype=bool), "path must be files/.../<dicom_id>.dcm", "path")
    return sheet


def _labels(sheet: Table, dropped: Counter[str]) -> Int[np.ndarray, " n"]:
    """Return the index of each record's class; -1 for none or several."""
    flags = np.stack([np.nan_to_num(sheet.numbers(name, allow_blank=True)) for name in CLASS_NAMES], axis=1)
    for name, flag in zip(CLASS_NAMES, flags.T, strict=True):
        sheet.refuse(~np.isin(flag, (0, 1)), f"{name} is neither 0 nor 1", name)
    n_classes = flags.sum(axis=1)
    dropped["record in none of the three classes"] += int((n_classes == 0).sum())
    dropped["record in several of the three classes"] += int((n_classes > 1).sum())
    return np.where(n_classes == 1, flags.argmax(axis=1), -1)


def _find_cases(
    sheet: Table, images: Path, skip_missing: bool, dropped: Counter[str]
) -> tuple[Table, Int[np.ndarray, " cases"], list[Path], Int[np.ndarray, "cases 2"]]:
    """Return the records that are cases, their labels, image files, and heights and widths in pixels."""
    labels = _labels(sheet, dropped)
    sheet, labels = sheet.select(labels >= 0), labels[labels >= 0]
    files = mimic_cxr.find_images(images, [PurePosixPath(path) for path in sheet["path"].tolist()])
    sizes = read_sizes(files, skip_missing, dropped, hint=mimic_cxr.IMAGES_HINT)
    usable = sizes[:, 0] > 0
    if not usable.any():
        raise TableError("no record makes a case", where=sheet.path, got=dict(dropped))
    return sheet.select(usable), labels[usable], [files[at] for at in np.flatnonzero(usable)], sizes[usable]


def _add_regions(
    regions: defaultdict[str, list[Region]],
    path: Path,
    columns: tuple[str, ...],
    kind_column: str | None,
    index: Mapping[str, int],
    dropped: Counter[str],
) -> None:
    """Append the regions of a table, if it exists. `columns`: name, x0, y0, x1, y1; without a kind, all are boxes."""
    if not path.is_file():
        return
    table = read_table(path, ["dicom_id", *columns, *([kind_column] if kind_column else [])])
    known = np.array([dicom_id in index for dicom_id in table["dicom_id"].tolist()], dtype=bool)
    dropped[f"region of an image that is not a case ({path.name})"] += int((~known).sum())
    table = table.select(known)
    if kind_column:
        table.refuse(~np.isin(table[kind_column], ("box", "ellipse")), "unknown kind", kind_column, "box or ellipse")
    corners = np.stack([table.numbers(column, allow_blank=True) for column in columns[1:]], axis=1)
    has_area = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    dropped[f"region without area ({path.name})"] += int((~has_area).sum())
    table, corners = table.select(has_area), corners[has_area]
    kinds = table[kind_column].tolist() if kind_column else ["box"] * len(table)
    names = table[columns[0]].tolist()
    for dicom_id, name, kind, corner in zip(table["dicom_id"].tolist(), names, kinds, corners.tolist(), strict=True):
        regions[dicom_id].append(Region(name, "ellipse" if kind == "ellipse" else "box", *corner))


def _find_masks(folder: Path) -> dict[MaskName, Path]:
    masks: dict[MaskName, Path] = {}
    for name, files in MASK_FILES.items():
        for file in files:
            if file_exists(folder / file):
                masks[name] = folder / file
    return masks
