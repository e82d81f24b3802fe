"""Images with labels, and gaze as a table of fixations or as recordings of an eye tracker."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from ggcam.data.case import Source
from ggcam.data.sources.coordinates import CoordinateSystem, Origin, Units
from ggcam.data.sources.fixation_rows import count_without_gaze
from ggcam.data.sources.fixation_table import FIXATION_COLUMNS, parse_columns, read_fixation_table
from ggcam.data.sources.labelled_images import Uncertain, list_labelled_images
from ggcam.data.sources.recordings import ReaderSetup, readings_from_recordings
from ggcam.data.sources.region_files import find_region_files, read_regions
from ggcam.data.sources.time_units import TimeUnit
from ggcam.data.sources.trackers import Content, ReadOptions, Tracker, read_recordings, recognise_tracker
from ggcam.data.sources.trackers.generic import SAMPLE_COLUMNS
from ggcam.data.tables import column_names
from ggcam.errors import ConfigError, MissingFileError
from ggcam.gaze.events import FixationDetection, Method

NAME = "table"
EXPECTED_FILES = "images as in folder, and points.csv or points.parquet; named as the source: --fixations or --samples"
_TABLES = ("points.csv", "points.parquet")


def can_read(root: Path) -> bool:
    """Return whether a folder has a table of fixations with its default name.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    return any((root / name).is_file() for name in _TABLES)


def read(
    root: Path,
    labels: Path | None = None,
    fixations: Path | None = None,
    samples: Path | None = None,
    regions: Path | None = None,
    masks: Path | None = None,
    columns: str = "",
    units: Units | None = None,
    origin: Origin | None = None,
    time_unit: TimeUnit | None = None,
    duration_unit: TimeUnit | None = None,
    screen: str | None = None,
    screen_mm: str | None = None,
    image_rect: tuple[float, float, float, float] | None = None,
    px_per_degree: float = np.nan,
    tracker: Tracker = "auto",
    detect: Method | None = None,
    velocity_deg_per_s: float | None = None,
    dispersion_deg: float | None = None,
    minimum_fixation_s: float | None = None,
    max_unpacked_gb: float = 0.25,
    uncertain: Uncertain | None = None,
    skip_missing: bool = False,
) -> Source:
    """Read images with labels, and gaze as fixations or raw samples.

    Gaze tables and recordings name an image by its path in `root`; or by the path without suffix, the file name, or the
    file name without suffix, if only one image has it.

    What a recording says about itself (units, screen, position of the image, eyes, times) is used. Options that the
    files have no use for are refused.

    Args:
        root: folder with the images.
        labels: table with the columns image (path in RAW) and label; or labels, joined by |; or label_<class> for each
            of several labels with 1, 0 or nothing; optionally patient_id and split. Default: labels.csv in RAW, or one
            folder per class.
        fixations: table of fixations with the columns image, x, y, and optionally start_s, duration_s, reader, label;
            or fixations as Gazepoint, Tobii, EyeLink (EFIX), Pupil Labs or RealEye export them, a file or a folder.
            Default: points.csv or points.parquet in RAW.
        samples: a raw recording or a folder of them, instead of fixations: EyeLink .asc, Gazepoint CSV, Tobii TSV,
            Pupil Labs surfaces, or a table with the columns t, x, y, and optionally image, reader. A file that names no
            image belongs to the image with the file's own name.
        regions: boxes and ellipses: a table with the columns image, name, x0_px, y0_px, x1_px, y1_px and optionally
            kind, or that of VinDr-CXR, RSNA or ChestX-ray14; or a JSON file with COCO annotations. Default:
            regions.csv, regions.parquet or boxes.csv in RAW, if there is one.
        masks: folder with <finding>/<name of the image>.png, nonzero inside; the names left_lung, right_lung and
            mediastinum are anatomy. Default: masks in RAW, if it holds such folders.
        columns: names of the columns in your table of fixations, such as image=FILE,x=GazeX.
        units: units of x and y: pixels, fractions or percent of the image or of the screen, or millimetres on the
            screen. Default: px, or the units of the recording.
        origin: where x and y are 0; from the bottom left and the centre, y points upwards. Default: top-left, or that
            of the recording.
        time_unit: unit of start_s and t. Default: that in the column's name, or the one with a possible sampling rate.
        duration_unit: unit of duration_s. Default: that in the column's name, or time_unit.
        screen: WIDTHxHEIGHT of the screen in pixels, if the units refer to it. Default: that of the recording.
        screen_mm: WIDTHxHEIGHT of the screen in millimetres, for positions in millimetres.
        image_rect: left, top, right and bottom edge of the image on the screen, in pixels. Default: that of the
            recording; or as large as it fits, centred.
        px_per_degree: pixels per degree of visual angle: of the screen if the units refer to it, otherwise of the
            image. Default: unknown.
        tracker: eye tracker that made the recordings.
        detect: how raw samples become fixations: by velocity (ivt), by dispersion (idt), or one fixation per sample
            (dwell). Default: ivt.
        velocity_deg_per_s: maximum velocity of the eye during a fixation (ivt), in degrees per second. Default: 30.
        dispersion_deg: maximum width plus height of the samples of a fixation (idt), in degrees. Default: 1.
        minimum_fixation_s: minimum duration of a fixation (ivt, idt), in seconds. Default: 0.06.
        max_unpacked_gb: maximum size of a compressed recording after decompression, in GiB.
        uncertain: meaning of -1 in the columns label_<class>, as in CheXpert. Default: -1 is refused.
        skip_missing: leave out listed images that are missing or have no label, and count them.

    Returns:
        The cases in the order of the table of labels, or of their paths.

    Raises:
        ConfigError: options contradict each other or the files, or the coordinates do not look like the given units.
        MissingFileError: files are missing.
        TableError: a table or recording has invalid content.
        DataError: labels or case ids cannot be used, or most of the gaze cannot be used.
    """
    if fixations and samples:
        raise ConfigError("gaze is read either from fixations or from samples", where="--fixations, --samples")
    if not max_unpacked_gb > 0:
        raise ConfigError("the limit must be above 0", where="--max-unpacked-gb", got=max_unpacked_gb)
    dropped: Counter[str] = Counter()
    regions, masks = find_region_files(root, regions, masks)
    images = list_labelled_images(root, labels, skip_missing, dropped, uncertain, masks)
    thresholds = {"velocity_deg_per_s": velocity_deg_per_s, "dispersion_deg": dispersion_deg}
    thresholds["minimum_fixation_s"] = minimum_fixation_s
    detection = _detection(detect, thresholds)
    given = [option for option, value in {"detect": detect, **thresholds}.items() if value is not None]
    screen_px = CoordinateSystem.parse_screen(screen) if screen else None
    size_mm = CoordinateSystem.parse_screen_mm(screen_mm) if screen_mm else None
    path = samples or fixations or next((root / name for name in _TABLES if (root / name).is_file()), root / _TABLES[0])
    if samples is None and not _is_recording(path, tracker, columns):
        _refuse(given, path, "a table of fixations")
        coordinates = CoordinateSystem(
            units or "px", screen_px, image_rect, px_per_degree, origin or "top-left", size_mm
        )
        if screen and not coordinates.on_screen:
            _refuse(["screen"], path, "positions on the image")
        names = parse_columns(columns, FIXATION_COLUMNS)
        readings = read_fixation_table(
            path, images, dropped, names, coordinates, time_unit, True, duration_unit, units_assumed=units is None
        )
    else:
        setup = ReaderSetup(units, origin, screen_px, size_mm, image_rect, px_per_degree, detection)
        prefer: Content = "samples" if samples else "fixations"
        given_columns = parse_columns(columns, SAMPLE_COLUMNS)
        options = ReadOptions(prefer, given_columns, time_unit, duration_unit, round(max_unpacked_gb * 2**30))
        recordings = read_recordings(path, tracker, options, dropped)
        if not any(recording.content == "samples" for recording in recordings):
            _refuse(given, path, "recordings of fixations")
        readings = readings_from_recordings(recordings, images, setup, dropped, path)
    count_without_gaze(readings, dropped)
    return images.to_source(NAME, readings, dropped, read_regions(images, regions, masks, dropped))


def _is_recording(path: Path, tracker: Tracker, columns: str) -> bool:
    """Whether a path to fixations is a recording, or a folder of them, and not a table of the user's own."""
    if path.is_dir() or tracker not in ("auto", "generic"):
        return True
    if not path.is_file():
        raise MissingFileError("the table does not exist", where=path)
    own = columns or tracker == "generic" or {"image", "x", "y"} <= set(column_names(path))
    return not own and recognise_tracker(path) is not None


def _detection(method: Method | None, thresholds: dict[str, float | None]) -> FixationDetection:
    """Return the detection with the given thresholds; refuse those that the method does not use."""
    detection = FixationDetection(method or "ivt")
    used = {"ivt": ("velocity_deg_per_s", "minimum_fixation_s"), "idt": ("dispersion_deg", "minimum_fixation_s")}
    given = {name: value for name, value in thresholds.items() if value is not None}
    unused = [name for name in given if name not in used.get(detection.method, ())]
    _refuse(unused, None, f"--detect {detection.method}")
    renamed = {name.replace("minimum_fixation_s", "minimum_s"): value for name, value in given.items()}
    return FixationDetection(detection.method, **renamed)


def _refuse(options: list[str], path: Path | None, kind: str) -> None:
    if options:
        flags = ", ".join(f"--{option.replace('_', '-')}" for option in options)
        raise ConfigError(f"{flags} has no meaning for {kind}", where=path, hint="leave it out")
