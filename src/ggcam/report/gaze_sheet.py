"""A sheet of gaze without images: scanpaths on an empty frame, and the distribution of gaze over rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ggcam.data.sources.axis_order import Points
from ggcam.errors import ConfigError
from ggcam.gaze.fixations import Fixations
from ggcam.report.figure import BLUE, GREY, new_figure, save_figure
from ggcam.report.plots import plot_scanpath

COLUMNS = 6
FRAME_PX = 384
BINS = 20
_BACKGROUND = 40


def gaze_sheet(readings: Mapping[str, Points], out_png: Path, max_readings: int = 12, seed: int = 0) -> Path:
    """Draw the scanpaths of random readings, and histograms of the rows and columns of all gaze.

    Args:
        readings: image id -> row and column as fractions of the image, and weight, in order of time.
        out_png: file to write; its folder is created if missing.
        max_readings: maximum number of scanpaths.
        seed: random seed of the choice.

    Returns:
        `out_png`.

    Raises:
        ConfigError: no reading has gaze, or `max_readings` is below 1.
    """
    with_gaze = [name for name, points in readings.items() if points[:, 2].sum() > 0]
    if not with_gaze or max_readings < 1:
        raise ConfigError(
            "there is no gaze to draw",
            where=out_png,
            expected="at least one reading with gaze, and --per-class of at least 1",
            got=f"{len(with_gaze)} of {len(readings)} readings with gaze, {max_readings} scanpaths requested",
        )
    chosen = np.random.default_rng(seed).choice(len(with_gaze), min(max_readings, len(with_gaze)), replace=False)
    rows = -(-len(chosen) // COLUMNS)
    figure = new_figure(1.7 * COLUMNS, 1.9 * rows + 2.4)
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[1.9] * rows + [2.4])
    for position, index in enumerate(sorted(chosen.tolist())):
        name = with_gaze[index]
        panel = figure.add_subplot(grid[position // COLUMNS, position % COLUMNS])
        row, column, weight = readings[name].T
        fixations = Fixations.build(column * FRAME_PX, row * FRAME_PX, weight)
        plot_scanpath(np.full((FRAME_PX, FRAME_PX), _BACKGROUND, np.uint8), fixations, ax=panel)
        panel.set_title(f"…{name[-10:]}, {len(readings[name])} points", fontsize=7, loc="left", pad=3, color=GREY)
    points = np.concatenate([readings[name] for name in with_gaze])
    half = COLUMNS // 2
    for axis, (span, label) in enumerate(((slice(half), "row"), (slice(half, None), "column"))):
        axes = figure.add_subplot(grid[rows, span])
        axes.hist(points[:, axis], bins=BINS, range=(0, 1), weights=points[:, 2] / points[:, 2].sum(), color=BLUE)
        axes.set_xlabel(f"{label}, as a fraction of the image")
        axes.set_ylabel("fraction of the time")
    figure.supxlabel(
        f"All {len(with_gaze):,} readings. On frontal chest X-rays, expect two peaks over the columns (the lungs) "
        "and one over the rows.",
        fontsize=8,
    )
    save_figure(figure, out_png)
    return out_png
