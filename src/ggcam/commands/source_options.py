"""Options of the readers of raw data, as flags. Each says in brackets which source takes it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class SourceOptions:
    """What to read, and how to understand it. A flag that is not given is left to the reader.

    Attributes:
        images: (egd_cxr, reflacx: MIMIC-CXR or MIMIC-CXR-JPG; siim_acr) where the images are, if not in the raw folder.
        labels: (folder, table) table of image and label, or label_<class> for each of several; by default labels.csv.
            (siim_acr) the run-length table, by default train-rle.csv.
        fixations: (folder, table, siim_acr) the table of gaze, or for siim_acr its JSON or pickle.
        samples: (table) a raw recording, or a folder of them, in place of fixations.
        tracker: (table) what made the recordings.
        columns: (table) what your columns are called: image=FILE,x=GazeX,...
        units: (table) of x and y: pixels or shares, of the image or of the screen; px by default.
        time_unit: (table) of times and durations.
        screen: (table) WIDTHxHEIGHT of the screen in pixels.
        image_rect: (table) left, top, right, bottom edge of the image on the screen; by default as large as it goes.
        px_per_degree: (table) pixels per degree of visual angle.
        detect: (table, egd_cxr) how raw samples become fixations: by velocity, by dispersion, or each for itself. With
            it, egd_cxr reads eye_gaze.csv in place of fixations.csv.
        velocity_deg_per_s: (table, egd_cxr) slower samples belong to a fixation (ivt).
        dispersion_deg: (table, egd_cxr) width and height together of a fixation's samples, at most (idt).
        minimum_fixation_s: (table, egd_cxr) shorter fixations are none (ivt, idt).
        axis_order: (siim_acr) which coordinate comes first in the gaze file; row-first by default, and verified.
        phases: (reflacx) which of the phases 1, 2 and 3 to read; all by default.
        readings: (reflacx) merged: one case for all readings of an image; separate: one case per reading.
        min_certainty: (reflacx) 1 to 5, from which on a finding is present; 3 by default.
        dictation_window_s: (reflacx, egd_cxr) label each fixation with the finding that is named within so many seconds
            after it; off by default.
        vocabulary: (reflacx, egd_cxr) TOML file of finding = ["phrase", ...] to know findings by.
        viewing_distance_cm: (egd_cxr) assumed distance of the reader from the screen; 65 by default.
        sampling_rate_hz: (original) gaze samples a second behind the counts of gaze_dot.pk; 60 by default.
        blur: (original) which Down<d>_Blur<b> to read where there are several; 500 by default.
    """

    images: Path | None = None
    labels: Path | None = None
    fixations: Path | None = None
    samples: Path | None = None
    tracker: Literal["auto", "eyelink", "gazepoint", "tobii", "generic"] | None = None
    columns: str | None = None
    units: Literal["px", "fraction", "screen_px", "screen_fraction"] | None = None
    time_unit: Literal["s", "ms", "us"] | None = None
    screen: str | None = None
    image_rect: tuple[float, float, float, float] | None = None
    px_per_degree: float | None = None
    detect: Literal["ivt", "idt", "dwell"] | None = None
    velocity_deg_per_s: float | None = None
    dispersion_deg: float | None = None
    minimum_fixation_s: float | None = None
    axis_order: Literal["row-first", "column-first"] | None = None
    phases: tuple[int, ...] | None = None
    readings: Literal["merged", "separate"] | None = None
    min_certainty: int | None = None
    dictation_window_s: float | None = None
    vocabulary: Path | None = None
    viewing_distance_cm: float | None = None
    sampling_rate_hz: float | None = None
    blur: int | None = None

    def given(self) -> dict[str, object]:
        """The flags that were given, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
