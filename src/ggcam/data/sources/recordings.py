"""Recordings of eye trackers to the fixations of each image, in pixels of the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ggcam.data.sources.coordinates import CoordinateSystem, ImageRect, Origin, Units, check_units
from ggcam.data.sources.fixation_rows import FixationRows, group_readings
from ggcam.data.sources.gaze_tally import GazeTally, Reason
from ggcam.data.sources.image_names import match_images, read_image_sizes
from ggcam.data.sources.labelled_images import LabelledImages
from ggcam.data.sources.trackers import Recording
from ggcam.errors import ConfigError
from ggcam.gaze.events import FixationDetection, detect_fixations
from ggcam.gaze.fixations import Fixations, inside_image

STRETCHED = "image whose shape on the screen, by the recording, is not its own"
MAX_STRETCH = 0.02
"""Larger differences between the two aspect ratios are counted."""


@dataclass(frozen=True)
class ReaderSetup:
    """What the user says about the recordings; None stands for what they say themselves.

    Attributes:
        units: units of the positions.
        origin: where the positions are 0.
        screen_px: width and height of the screen.
        screen_mm: the same in millimetres.
        image_rect: edges of the image on the screen.
        px_per_degree: pixels per degree of visual angle; NaN if unknown.
        detection: how samples become fixations.
    """

    units: Units | None
    origin: Origin | None
    screen_px: tuple[int, int] | None
    screen_mm: tuple[float, float] | None
    image_rect: ImageRect | None
    px_per_degree: float
    detection: FixationDetection

    def coordinates_of(self, recording: Recording, image_rect: ImageRect | None) -> CoordinateSystem:
        """Return the meaning of the positions of a recording.

        Args:
            recording: the recording.
            image_rect: where its image was on the screen, by the recording; None if unknown.

        Returns:
            What the recording says, and what the user adds.

        Raises:
            ConfigError: the two contradict each other, or the meaning is incomplete.
        """
        for option, given, stated in (
            ("units", self.units, recording.units),
            ("origin", self.origin, recording.origin),
        ):
            if given and stated and recording.units_from_file and given != stated:
                raise ConfigError(
                    f"--{option} {given} contradicts the recording",
                    where=recording.path,
                    expected=stated,
                    hint=f"leave out --{option}",
                )
        units = self.units or recording.units or "px"
        on_screen = units.startswith("screen")
        return CoordinateSystem(
            units,
            self.screen_px or recording.screen_px,
            self.image_rect or (image_rect if on_screen else None),
            self.px_per_degree,
            self.origin or recording.origin or "top-left",
            self.screen_mm,
        )


def readings_from_recordings(
    recordings: Sequence[Recording],
    images: LabelledImages,
    setup: ReaderSetup,
    dropped: Counter[str],
    where: Path,
) -> list[dict[str, Fixations]]:
    """Find the fixations of each recording, in pixels of its image.

    Args:
        recordings: samples or fixations.
        images: the images.
        setup: what the user says about the recordings.
        dropped: reason -> count; updated.
        where: the recording or the folder of recordings, for messages.

    Returns:
        For each image, reading id -> fixations.

    Raises:
        TableError: no recording is of one of the images.
        ConfigError: an option contradicts the recordings, or has no meaning for them.
        DataError: most of the gaze cannot be used.
    """
    names = np.array([recording.image for recording in recordings], dtype=np.str_)
    cases = match_images(names, images, where, by_name=True)
    sizes = read_image_sizes(images, cases)
    at_own_size = _files_at_own_size(recordings, cases, sizes, setup)
    unit = "samples" if any(recording.content == "samples" for recording in recordings) else "fixations"
    tally = GazeTally(unit, where, len(sizes))
    rows: list[FixationRows] = []
    systems: set[tuple[bool, Units]] = set()
    reading_ids = _reading_ids(recordings, cases)
    for case, recording, reading_id in zip(cases.tolist(), recordings, reading_ids, strict=True):
        n_rows = len(recording.time_s)
        if case < 0 or not sizes[case, 0]:
            dropped[f"{recording.content[:-1]} on an image that is not a case or cannot be read"] += n_rows
            tally.add("an image that is not a case", recording.row, recording.path, n_rows)
            continue
        height, width = sizes[case].tolist()
        rect = _displayed_rect(recording, width, height, recording.path in at_own_size)
        coordinates = setup.coordinates_of(recording, rect)
        systems.add((coordinates.on_screen, coordinates.units))
        if rect and not setup.image_rect:
            stretch = (rect[2] - rect[0]) / width * height / (rect[3] - rect[1])
            dropped[STRETCHED] += abs(stretch - 1) > MAX_STRETCH
        assumed = setup.units is None and recording.units is None
        check_units(recording.x, recording.y, coordinates, recording.path, min(width, height) if assumed else 0)
        x_px, y_px, degrees = coordinates.to_image(recording.x, recording.y, np.broadcast_to(sizes[case], (n_rows, 2)))
        px_per_degree = float(degrees[0, 0]), float(degrees[0, 1])
        onset_s = recording.time_s[0] if recording.onset_s is None else recording.onset_s
        if recording.duration_s is not None:
            found = FixationRows.build(
                np.full(n_rows, case), x_px, y_px, recording.time_s - onset_s, recording.duration_s, degrees, reading_id
            )
            tally.add_rows(found, sizes, recording.row, recording.path, recording.x, recording.y)
        else:
            fixations = detect_fixations(recording.time_s, x_px, y_px, px_per_degree, setup.detection)
            _count_samples(tally, recording, x_px, y_px, (height, width), fixations)
            dropped["sample without gaze (the tracker lost the eye)"] += int(np.isnan(x_px + y_px).sum())
            if fixations.inside(height, width).any():
                tally.with_gaze.add(case)
            fixations = replace(fixations, start_s=fixations.start_s - onset_s)
            found = FixationRows.from_fixations(case, reading_id, fixations)
        rows.append(found)
    _refuse_unused(setup, systems, where)
    tally.check()
    return group_readings(FixationRows.concatenate(rows), sizes, dropped, where)


def _count_samples(
    tally: GazeTally,
    recording: Recording,
    x_px: np.ndarray,
    y_px: np.ndarray,
    size: tuple[int, int],
    fixations: Fixations,
) -> None:
    """Count the samples of a recording by what becomes of them."""
    lost = np.isnan(x_px + y_px)
    off = ~lost & ~inside_image(x_px, y_px, *size)
    first = np.searchsorted(recording.time_s, fixations.start_s - 1e-9)
    last = np.searchsorted(recording.time_s, fixations.start_s + fixations.duration_s - 1e-9)
    steps = np.zeros(len(lost) + 1, dtype=np.int64)
    np.add.at(steps, first, 1)
    np.add.at(steps, last, -1)
    moving = ~lost & ~off & (steps.cumsum()[:-1] == 0)
    used = ~(lost | off | moving)
    reasons: dict[Reason | None, np.ndarray] = {
        "no position": lost,
        "a position off the image": off,
        "no fixation around it": moving,
        None: used,
    }
    tally.add_by_reason(reasons, recording.row, recording.path, recording.x, recording.y)


def _displayed_rect(recording: Recording, width: int, height: int, at_own_size: bool) -> ImageRect | None:
    """Where the image was on the screen, by the recording."""
    placement = recording.placement
    if placement is None:
        return None
    return placement.own_size_rect(width, height) if placement.rect is None and at_own_size else placement.rect


def _files_at_own_size(
    recordings: Sequence[Recording],
    cases: Int[np.ndarray, " n"],
    sizes: Int[np.ndarray, "images 2"],
    setup: ReaderSetup,
) -> set[Path]:
    """Find the files that tell where images were but not how large, and whose gaze lies on images of their own size.

    EyeLink's Data Viewer draws an image without a size at its own size, but experiments often show it as large as it
    fits. The gaze decides: at its own size most of it must lie on the image.
    """
    inside: Counter[Path] = Counter()
    total: Counter[Path] = Counter()
    for case, recording in zip(cases.tolist(), recordings, strict=True):
        if case < 0 or not sizes[case, 0] or setup.image_rect or recording.placement is None:
            continue
        height, width = sizes[case].tolist()
        rect = None if recording.placement.rect else recording.placement.own_size_rect(width, height)
        if rect:
            left, top, right, bottom = rect
            on_image = inside_image(recording.x - left, recording.y - top, round(bottom - top), round(right - left))
            inside[recording.path] += int(on_image.sum())
            total[recording.path] += int(np.isfinite(recording.x + recording.y).sum())
    return {path for path, count in total.items() if inside[path] > count / 2}


def _reading_ids(recordings: Sequence[Recording], cases: Int[np.ndarray, " n"]) -> list[str]:
    """Name the readings of each image, so that no two recordings are joined."""
    groups: dict[tuple[int, str], list[int]] = {}
    for index, (case, recording) in enumerate(zip(cases.tolist(), recordings, strict=True)):
        groups.setdefault((case, recording.reader), []).append(index)
    names = [recording.reader for recording in recordings]
    for (_, reader), members in groups.items():
        sessions = [recordings[index].session for index in members]
        distinct = all(sessions) and len(set(sessions)) == len(sessions)
        for number, index in enumerate(members if len(members) > 1 else (), start=1):
            names[index] = f"{reader} {sessions[number - 1] if distinct else number}"
    return names


def _refuse_unused(setup: ReaderSetup, systems: set[tuple[bool, Units]], where: Path) -> None:
    """Refuse options about the screen if no recording refers to it."""
    on_screen = any(on for on, _ in systems)
    unused = {
        "--screen": setup.screen_px and systems and not on_screen,
        "--screen-mm": setup.screen_mm and systems and not any(units == "screen_mm" for _, units in systems),
    }
    for option, is_unused in unused.items():
        if is_unused:
            raise ConfigError(f"{option} has no meaning for these recordings", where=where, hint="leave it out")
