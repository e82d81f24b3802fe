"""Anything else: images with labels, and gaze as a table of points or as raw recordings of an eye tracker."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from ggcam.data.case import Source
from ggcam.data.sources import recordings
from ggcam.data.sources.labelled_images import LabelledImages, list_labelled_images
from ggcam.data.sources.fixation_table import COLUMNS, TimeUnit, match_images, parse_columns, read_fixation_table, read_image_sizes
from ggcam.data.sources.fixation_rows import FixationRows, group_readings
from ggcam.data.sources.recordings import Recording, Tracker, read_recordings
from ggcam.data.sources.coordinates import CoordinateSystem, Units
from ggcam.errors import ConfigError
from ggcam.gaze.events import FixationDetection, Method, detect_fixations
from ggcam.gaze.fixations import Fixations

NAME = "table"
EXPECTED_FILES = "images as in folder, and points.csv or points.parquet; or named: --source table, with --fixations or --samples"
_POINTS = ("points.csv", "points.parquet")


def can_read(root: Path) -> bool:
    """Whether the folder holds a table of points under its own name."""
    return any((root / name).is_file() for name in _POINTS)


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
    """Read images with labels, and points or raw samples of gaze.

    Points and recordings name images by their path in `root`, or by the path without its ending, the file's name, or
    that without its ending, wherever only one image is meant.

    Args:
        root: the folder of the images; see :func:`ggcam.data.sources.labelled_images.list_labelled_images`.
        labels: see there; one label an image, or several.
        fixations: table of points: image, x, y, and if wanted start_s, duration_s, reader, label; by default
            `root/points.csv` or `root/points.parquet`.
        samples: a recording, or a folder of recordings, instead: EyeLink .asc, Gazepoint CSV, Tobii TSV, or a table of
            t, x, y and if wanted image, reader. A file that names no image is of the image of its own name.
        columns: what the columns are called in your table: "image=FILE,x=GazeX"; see `points.COLUMNS` and
            `recordings.COLUMNS`.
        units: of x and y; "px" by default, or what the recorder writes.
        time_unit: of start and duration, or of t.
        screen: WIDTHxHEIGHT in pixels, where the units are of the screen.
        image_rect: left, top, right, bottom edge of the image on the screen; by default as large as it goes, centred.
        px_per_degree: pixels per degree of visual angle, of the screen where the units are, else of the image.
        tracker: what made the recordings.
        detect: how samples become fixations.
        velocity_deg_per_s: see :class:`Detection`.
        dispersion_deg: see :class:`Detection`.
        minimum_fixation_s: see :class:`Detection`.
        skip_missing: leave out and count the listed images that are missing.

    Raises:
        ConfigError: options that do not go together, or coordinates that are not of the units.
        MissingFileError, TableError, DataError: files that are not there, or hold what they must not.
    """
    if fixations and samples:
        raise ConfigError("gaze comes as points or as samples", where="--fixations, --samples")
    dropped: Counter[str] = Counter()
    images = list_labelled_images(root, labels, skip_missing, dropped)
    size_px = CoordinateSystem.parse_size(screen) if screen else None
    if samples:
        found = read_recordings(samples, tracker, parse_columns(columns, recordings.COLUMNS), time_unit)
        detection = FixationDetection(detect, velocity_deg_per_s, dispersion_deg, minimum_fixation_s)
        asked = (units, size_px, image_rect, px_per_degree)
        readings = _from_samples(found, images, detection, asked, dropped, samples)
    else:
        path = fixations or next((root / name for name in _POINTS if (root / name).is_file()), root / _POINTS[0])
        place = CoordinateSystem(units or "px", size_px, image_rect, px_per_degree)
        readings = read_fixation_table(path, images, dropped, parse_columns(columns, COLUMNS), place, time_unit, by_name=True)
    dropped["case without gaze (kept)"] = sum(not of_case for of_case in readings)
    return images.source(NAME, readings, dropped)


def _from_samples(
    found: list[Recording],
    images: LabelledImages,
    detection: FixationDetection,
    asked: tuple[Units | None, tuple[int, int] | None, tuple[float, float, float, float] | None, float],
    dropped: Counter[str],
    where: Path,
) -> list[dict[str, Fixations]]:
    """Find the fixations of each recording, in the pixels of its image."""
    names = np.array([recording.image for recording in found], dtype=np.str_)
    case = match_images(names, images, where, by_name=True)
    sizes = read_image_sizes(images, case)
    units, size_px, image_rect, px_per_degree = asked
    rows: list[FixationRows] = []
    for at, recording in zip(case.tolist(), found, strict=True):
        if at < 0 or not sizes[at, 0]:
            dropped["sample on an image that is no case or cannot be read"] += len(recording.time_s)
            continue
        meant = units or recording.units or "px"
        place = CoordinateSystem(meant, size_px or recording.screen_px, image_rect, px_per_degree)
        of_sample = np.broadcast_to(sizes[at], (len(recording.time_s), 2))
        x_px, y_px, degrees = place.to_image(recording.x, recording.y, of_sample)
        dropped["sample in which the eye was lost"] += int(np.isnan(x_px + y_px).sum())
        seen = detect_fixations(recording.time_s, x_px, y_px, (float(degrees[0, 0]), float(degrees[0, 1])), detection)
        since_first = replace(seen, start_s=seen.start_s - recording.time_s[0])
        rows.append(FixationRows.from_fixations(at, recording.reader, since_first))
    return group_readings(FixationRows.concatenate(rows), sizes, dropped, where)
