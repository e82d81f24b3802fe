"""Images with labels, and gaze as a table of fixations or as raw recordings of an eye tracker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ggcam.data.case import Source
from ggcam.data.sources.coordinates import CoordinateSystem, Units
from ggcam.data.sources.fixation_rows import FixationRows, count_without_gaze, group_readings
from ggcam.data.sources.fixation_table import (
    FIXATION_COLUMNS,
    TimeUnit,
    match_images,
    parse_columns,
    read_fixation_table,
    read_image_sizes,
)
from ggcam.data.sources.labelled_images import LabelledImages, list_labelled_images
from ggcam.data.sources.recordings import SAMPLE_COLUMNS, Recording, Tracker, read_recordings
from ggcam.errors import ConfigError
from ggcam.gaze.events import FixationDetection, Method, detect_fixations
from ggcam.gaze.fixations import Fixations

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
    columns: str = "",
    units: Units | None = None,
    time_unit: TimeUnit = "s",
    screen: str | None = None,
    image_rect: tuple[float, float, float, float] | None = None,
    px_per_degree: float = np.nan,
    tracker: Tracker = "auto",
    detect: Method = "ivt",
    velocity_deg_per_s: float = FixationDetection.velocity_deg_per_s,
    dispersion_deg: float = FixationDetection.dispersion_deg,
    minimum_fixation_s: float = FixationDetection.minimum_s,
    skip_missing: bool = False,
) -> Source:
    """Read images with labels, and gaze as fixations or raw samples.

    Gaze tables and recordings name an image by its path in `root`; or by the path without suffix, the file name, or the
    file name without suffix, if only one image has it.

    Args:
        root: folder with the images.
        labels: table with the columns image (path in RAW) and label, or label_<class> for each of several labels with
            1, 0 or nothing; optionally patient_id and split. Default: labels.csv in RAW, or one folder per class.
        fixations: table of fixations with the columns image, x, y, and optionally start_s, duration_s, reader, label.
            Default: points.csv or points.parquet in RAW.
        samples: a raw recording or a folder of them, instead of fixations: EyeLink .asc, Gazepoint CSV, Tobii TSV, or a
            table with the columns t, x, y, and optionally image, reader. A file that names no image belongs to the
            image with the file's own name.
        columns: names of the columns in your table, such as image=FILE,x=GazeX.
        units: units of x and y: pixels or fractions, of the image or of the screen. Default: px, or the units of the
            tracker.
        time_unit: unit of start_s, duration_s and t.
        screen: WIDTHxHEIGHT of the screen in pixels, if the units refer to it.
        image_rect: left, top, right and bottom edge of the image on the screen, in pixels. Default: as large as it
            fits, centred.
        px_per_degree: pixels per degree of visual angle: of the screen if the units refer to it, otherwise of the
            image. Default: unknown.
        tracker: eye tracker that made the recordings.
        detect: how raw samples become fixations: by velocity (ivt), by dispersion (idt), or one fixation per sample
            (dwell).
        velocity_deg_per_s: maximum velocity of the eye during a fixation (ivt), in degrees per second.
        dispersion_deg: maximum width plus height of the samples of a fixation (idt), in degrees.
        minimum_fixation_s: minimum duration of a fixation (ivt, idt), in seconds.
        skip_missing: leave out listed images that are missing, and count them.

    Returns:
        The cases in the order of the table of labels, or of their paths.

    Raises:
        ConfigError: options contradict each other, or the coordinates do not look like the given units.
        MissingFileError: files are missing.
        TableError: a table or recording has invalid content.
        DataError: labels or case ids cannot be used, or most fixations lie off their images.
    """
    if fixations and samples:
        raise ConfigError("gaze is read either from fixations or from samples", where="--fixations, --samples")
    dropped: Counter[str] = Counter()
    images = list_labelled_images(root, labels, skip_missing, dropped)
    screen_px = CoordinateSystem.parse_screen(screen) if screen else None
    if samples:

        def coordinates_of(recording: Recording) -> CoordinateSystem:
            known_units = units or recording.units or "px"
            return CoordinateSystem(known_units, screen_px or recording.screen_px, image_rect, px_per_degree)

        recordings = read_recordings(samples, tracker, parse_columns(columns, SAMPLE_COLUMNS), time_unit)
        detection = FixationDetection(detect, velocity_deg_per_s, dispersion_deg, minimum_fixation_s)
        readings = _detect_fixations(recordings, images, coordinates_of, detection, dropped, samples)
    else:
        path = fixations or next((root / name for name in _TABLES if (root / name).is_file()), root / _TABLES[0])
        coordinates = CoordinateSystem(units or "px", screen_px, image_rect, px_per_degree)
        names = parse_columns(columns, FIXATION_COLUMNS)
        readings = read_fixation_table(path, images, dropped, names, coordinates, time_unit, by_name=True)
    count_without_gaze(readings, dropped)
    return images.to_source(NAME, readings, dropped)


def _detect_fixations(
    recordings: list[Recording],
    images: LabelledImages,
    coordinates_of: Callable[[Recording], CoordinateSystem],
    detection: FixationDetection,
    dropped: Counter[str],
    where: Path,
) -> list[dict[str, Fixations]]:
    """Find the fixations of each recording, in pixels of its image."""
    names = np.array([recording.image for recording in recordings], dtype=np.str_)
    cases = match_images(names, images, where, by_name=True)
    sizes = read_image_sizes(images, cases)
    rows: list[FixationRows] = []
    for case, recording in zip(cases.tolist(), recordings, strict=True):
        n_samples = len(recording.time_s)
        if case < 0 or not sizes[case, 0]:
            dropped["sample on an image that is not a case or cannot be read"] += n_samples
            continue
        sample_sizes = np.broadcast_to(sizes[case], (n_samples, 2))
        x_px, y_px, degrees = coordinates_of(recording).to_image(recording.x, recording.y, sample_sizes)
        dropped["sample without gaze (the tracker lost the eye)"] += int(np.isnan(x_px + y_px).sum())
        px_per_degree = float(degrees[0, 0]), float(degrees[0, 1])
        found = detect_fixations(recording.time_s, x_px, y_px, px_per_degree, detection)
        from_first_sample = replace(found, start_s=found.start_s - recording.time_s[0])
        rows.append(FixationRows.from_fixations(case, recording.reader, from_first_sample))
    return group_readings(FixationRows.concatenate(rows), sizes, dropped, where)
