"""EGD-CXR 1.0.0: 1,083 chest X-rays of MIMIC-CXR, one radiologist's gaze, three classes.

The layout is that of the download from PhysioNet, with the images of MIMIC-CXR (DICOM) or MIMIC-CXR-JPG.
Karargyris et al., "Creation and validation of a chest X-ray dataset with eye-tracking and report dictation for AI
development", Scientific Data 8, 92 (2021).
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float, Int

from ggcam.data.case import Case, MaskName, Region, Source
from ggcam.data.sources.image_files import read_sizes
from ggcam.data.sources.readings import GazeRows, group_readings, pixel_centre
from ggcam.data.tables import Table, read_table
from ggcam.errors import ConfigError, MissingFileError, TableError
from ggcam.gaze.fixations import Fixations

NAME = "egd_cxr"
NEEDS = "master_sheet.csv and fixations.csv, as in the root of the EGD-CXR download"
CLASS_NAMES = ("Normal", "CHF", "pneumonia")
READING_ID = "1"
"""One radiologist read each image once."""

ID_LENGTH = 44
"""Shorter ids in the gaze table belong to calibration images: a dot on an empty screen."""

MASK_FILES: Mapping[MaskName, tuple[str, ...]] = {
    "left_lung": ("left_lung.png",),
    "right_lung": ("right_lung.png",),
    "mediastinum": ("mediastanum.png", "mediastinum.png"),
}
"""The download spells it "mediastanum"."""

SCREEN_WIDTH_PX, SCREEN_HEIGHT_PX = 1920, 1080
SCREEN_MM_PER_PX = 0.311
"""A screen of 27 inches, 597 mm wide, run at 1920x1080."""

CANVAS_HEIGHT_PX = 1024
"""The images were scaled so that the longer side measures this, and padded to 1920x1024."""

_PADS = ("image_top_pad", "image_bottom_pad", "image_left_pad", "image_right_pad")
_BOX_COLUMNS = ("bbox_name", "x1", "y1", "x2", "y2")
_FINDING_COLUMNS = ("name", "x0_px", "y0_px", "x1_px", "y1_px")


def recognises(root: Path) -> bool:
    """Whether the folder holds the two tables that make it EGD-CXR."""
    return (root / "master_sheet.csv").is_file() and _fixations_path(root).is_file()


def read(
    root: Path, images: Path | None = None, viewing_distance_cm: float = 65.0, skip_missing: bool = False
) -> Source:
    """Read the cases that belong to exactly one of the three classes, with their gaze, masks, boxes and findings.

    A fixation is kept when it is valid (FPOGV), on the image and longer than zero. It lies at the centre of the pixel
    that X_ORIGINAL and Y_ORIGINAL name, starts at FPOGS and lasts FPOGD. A case without any is kept all the same.

    Args:
        root: the folder of master_sheet.csv and fixations.csv (or fixations.csv.gz). Read where present, too:
            bounding_boxes.csv, audio_segmentation_transcripts/<dicom_id>/*.png, and findings.csv (dicom_id, name,
            kind, x0_px, y0_px, x1_px, y1_px), which the simulator writes and a user may.
        images: the folder that holds `files/`, or `files/` itself, of MIMIC-CXR or MIMIC-CXR-JPG; `root` by default.
        viewing_distance_cm: from the eye to the screen. It is not published: 65 is an assumption, the eye tracker's
            usual working distance. It bears on the pixels per degree and on nothing else.
        skip_missing: leave out and count the cases whose image is missing or unreadable.

    Returns:
        The cases in the order of the master sheet.

    Raises:
        ConfigError: the viewing distance is not positive.
        MissingFileError: a table, or images, are not there.
        TableError: a table lacks a column, or holds a value that cannot be.
        ImageError: the headers of images cannot be read.
        DataError: most fixations lie off their images.
    """
    if not viewing_distance_cm > 0:
        raise ConfigError("the viewing distance must be above 0 cm", got=viewing_distance_cm)
    dropped: Counter[str] = Counter()
    sheet = _read_sheet(root / "master_sheet.csv", dropped)
    cases, labels, files, sizes = _find_cases(sheet, images or root, skip_missing, dropped)
    position = {dicom_id: at for at, dicom_id in enumerate(cases["dicom_id"].tolist())}
    px_per_degree = _px_per_degree(cases, sizes, viewing_distance_cm)
    readings = _read_gaze(_fixations_path(root), sheet, position, sizes, px_per_degree, dropped)
    regions: defaultdict[str, list[Region]] = defaultdict(list)
    for name, columns, kind in (("bounding_boxes.csv", _BOX_COLUMNS, None), ("findings.csv", _FINDING_COLUMNS, "kind")):
        _add_regions(regions, root / name, columns, kind, position, dropped)
    dropped["case without gaze (kept)"] = sum(not of_case for of_case in readings)
    found = tuple(
        Case(
            case_id=dicom_id,
            patient_id=patient_id,
            label=label,
            image=file,
            readings=of_case,
            masks=_find_masks(root / "audio_segmentation_transcripts" / dicom_id),
            regions=tuple(regions[dicom_id]),
        )
        for dicom_id, patient_id, label, file, of_case in zip(
            position, cases["patient_id"].tolist(), labels.tolist(), files, readings, strict=True
        )
    )
    return Source(NAME, CLASS_NAMES, found, {reason: count for reason, count in dropped.items() if count})


def _fixations_path(root: Path) -> Path:
    plain, packed = root / "fixations.csv", root / "fixations.csv.gz"
    return packed if packed.is_file() and not plain.is_file() else plain


def _read_sheet(path: Path, dropped: Counter[str]) -> Table:
    """The distinct records of the master sheet that can name a case."""
    # Older sheets say image_top where newer ones say image_top_pad.
    pads = [*_PADS, *(pad.removesuffix("_pad") for pad in _PADS)]
    sheet = read_table(path, ["dicom_id", "path", "patient_id", *CLASS_NAMES], pads)
    short = np.char.str_len(sheet["dicom_id"]) != ID_LENGTH
    again = sheet.repeats() & ~short
    dropped[f"record whose dicom_id has not {ID_LENGTH} characters"] += int(short.sum())
    dropped["record that repeats an earlier one"] += int(again.sum())
    sheet = sheet.select(~(short | again))
    unsafe = [re.fullmatch(r"[A-Za-z0-9._-]+", dicom_id) is None for dicom_id in sheet["dicom_id"].tolist()]
    sheet.refuse(np.array(unsafe, dtype=bool), "a dicom_id must be of A-Z a-z 0-9 . _ - alone", "dicom_id")
    sheet.refuse(sheet.repeats("dicom_id"), "a dicom_id stands there twice, with different values", "dicom_id")
    sheet.refuse(sheet["patient_id"] == "", "a record has no patient_id", "patient_id")
    places = map(PurePosixPath, sheet["path"].tolist())
    strays = [
        place.is_absolute() or ".." in place.parts or place.stem != dicom_id
        for place, dicom_id in zip(places, sheet["dicom_id"].tolist(), strict=True)
    ]
    sheet.refuse(np.array(strays, dtype=bool), "path must be files/.../<dicom_id>.dcm", "path")
    return sheet


def _labels(sheet: Table, dropped: Counter[str]) -> Int[np.ndarray, " n"]:
    """Index of each record's class, -1 for none and for several."""
    flags = np.stack([np.nan_to_num(sheet.numbers(name, blank=True)) for name in CLASS_NAMES], axis=1)
    for name, flag in zip(CLASS_NAMES, flags.T, strict=True):
        sheet.refuse(~np.isin(flag, (0, 1)), f"{name} is neither 0 nor 1", name)
    classes = flags.sum(axis=1)
    dropped["record of none of the three classes"] += int((classes == 0).sum())
    dropped["record of several of the three classes"] += int((classes > 1).sum())
    return np.where(classes == 1, flags.argmax(axis=1), -1)


def _find_cases(
    sheet: Table, base: Path, skip_missing: bool, dropped: Counter[str]
) -> tuple[Table, Int[np.ndarray, " cases"], list[Path], Int[np.ndarray, "cases 2"]]:
    """The records that are cases; their labels, image files, and heights and widths in pixels."""
    if not base.is_dir():
        raise MissingFileError("there is no such folder of images", where=base)
    labels = _labels(sheet, dropped)
    sheet, labels = sheet.select(labels >= 0), labels[labels >= 0]
    files = [_find_image(base, PurePosixPath(path)) for path in sheet["path"].tolist()]
    sizes = read_sizes(files, skip_missing, dropped, fix="say with --images where the files/ of MIMIC-CXR lies")
    usable = sizes[:, 0] > 0
    if not usable.any():
        raise TableError("not one record makes a case", where=sheet.path, got=dict(dropped))
    return sheet.select(usable), labels[usable], [files[at] for at in np.flatnonzero(usable)], sizes[usable]


def _find_image(base: Path, relative: PurePosixPath) -> Path:
    """Where the image is: with or without the folder `files`, as DICOM or JPEG; where it should be if nowhere."""
    tail = relative.relative_to("files") if relative.parts[0] == "files" else relative
    places = [base / place.with_suffix(suffix) for suffix in (".dcm", ".jpg") for place in (relative, tail)]
    return next((place for place in places if place.is_file()), places[0])


def _read_gaze(
    path: Path,
    sheet: Table,
    position: Mapping[str, int],
    sizes: Int[np.ndarray, "cases 2"],
    px_per_degree: Float[np.ndarray, "cases 2"],
    dropped: Counter[str],
) -> list[dict[str, Fixations]]:
    """Reading id -> fixations for each of the cases."""
    table = read_table(path, ["DICOM_ID", "FPOGS", "FPOGD", "FPOGV", "X_ORIGINAL", "Y_ORIGINAL"])
    case = np.array([position.get(dicom_id, -1) for dicom_id in table["DICOM_ID"].tolist()], dtype=np.int64)
    calibration = np.char.str_len(table["DICOM_ID"]) != ID_LENGTH
    listed = np.isin(table["DICOM_ID"], sheet["dicom_id"])
    valid = table.numbers("FPOGV", blank=True) == 1
    for reason, rows in (
        ("fixation on a calibration image", calibration),
        ("fixation on an image that the master sheet lacks", ~calibration & ~listed),
        ("fixation on an image left out", ~calibration & listed & (case < 0)),
        ("fixation not valid (FPOGV)", (case >= 0) & ~valid),
    ):
        dropped[reason] += int(rows.sum())
    keep = (case >= 0) & valid
    table = table.select(keep)
    rows = GazeRows.build(
        case=case[keep],
        x_px=pixel_centre(table.numbers("X_ORIGINAL", blank=True)),
        y_px=pixel_centre(table.numbers("Y_ORIGINAL", blank=True)),
        start_s=table.numbers("FPOGS", blank=True),
        duration_s=table.numbers("FPOGD", blank=True),
        px_per_degree=px_per_degree[case[keep]],
        reading_id=READING_ID,
    )
    return group_readings(rows, sizes, dropped, path)


def _px_per_degree(
    cases: Table, sizes: Int[np.ndarray, "cases 2"], viewing_distance_cm: float
) -> Float[np.ndarray, "cases 2"]:
    """Image pixels per degree of visual angle, to the right and downwards.

    One degree at the centre of the view spans 2 d tan(0.5 deg) on the screen. An image pixel is as large there as
    X_ORIGINAL and Y_ORIGINAL take it: what the pads leave of 1920x1080 shows the whole image. Where the sheet has no
    pads they follow from the rule by which the images were padded.
    """
    height, width = sizes.T
    ratio = CANVAS_HEIGHT_PX / sizes.max(axis=1)
    by_rule = CANVAS_HEIGHT_PX - np.floor(height * ratio), SCREEN_WIDTH_PX - np.floor(width * ratio)
    top, bottom, left, right = (_pad(cases, pad) for pad in _PADS)
    pad_y, pad_x = (
        np.where(np.isnan(pad), rule, pad) for pad, rule in zip((top + bottom, left + right), by_rule, strict=True)
    )
    screen_px = 2 * viewing_distance_cm * 10 * math.tan(math.radians(0.5)) / SCREEN_MM_PER_PX
    return screen_px * np.stack([width / (SCREEN_WIDTH_PX - pad_x), height / (SCREEN_HEIGHT_PX - pad_y)], axis=1)


def _pad(cases: Table, pad: str) -> Float[np.ndarray, " cases"]:
    """Canvas pixels of padding at one side, under the newer name or the older; NaN where the sheet says nothing."""
    name = next((name for name in (pad, pad.removesuffix("_pad")) if name in cases), None)
    if name is None:
        return np.full(len(cases), np.nan)
    found = cases.numbers(name, blank=True)
    most = (SCREEN_HEIGHT_PX if "top" in pad or "bottom" in pad else SCREEN_WIDTH_PX) / 2
    cases.refuse((found < 0) | (found >= most), f"{name} leaves no room for the image", name, f"0 to {most:.0f} pixels")
    return found


def _add_regions(
    regions: defaultdict[str, list[Region]],
    path: Path,
    columns: tuple[str, ...],
    kind_column: str | None,
    position: Mapping[str, int],
    dropped: Counter[str],
) -> None:
    """Append the regions of a table, if there is one, whose columns give name, x0, y0, x1, y1; boxes unless it says."""
    if not path.is_file():
        return
    table = read_table(path, ["dicom_id", *columns, *([kind_column] if kind_column else [])])
    known = np.array([dicom_id in position for dicom_id in table["dicom_id"].tolist()], dtype=bool)
    dropped[f"region of an image left out or unknown ({path.name})"] += int((~known).sum())
    table = table.select(known)
    if kind_column:
        table.refuse(~np.isin(table[kind_column], ("box", "ellipse")), "unknown kind", kind_column, "box or ellipse")
    corners = np.stack([table.numbers(column, blank=True) for column in columns[1:]], axis=1)
    solid = (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    dropped[f"region without area ({path.name})"] += int((~solid).sum())
    table, corners = table.select(solid), corners[solid]
    kinds = table[kind_column].tolist() if kind_column else ["box"] * len(table)
    names = table[columns[0]].tolist()
    for dicom_id, name, kind, corner in zip(table["dicom_id"].tolist(), names, kinds, corners.tolist(), strict=True):
        regions[dicom_id].append(Region(name, "ellipse" if kind == "ellipse" else "box", *corner))


def _find_masks(folder: Path) -> dict[MaskName, Path]:
    masks: dict[MaskName, Path] = {}
    for name, files in MASK_FILES.items():
        for file in files:
            if (folder / file).is_file():
                masks[name] = folder / file
    return masks
