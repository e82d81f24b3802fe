"""Gaze without its images: scanpaths on an empty frame, and where over all readings the time went."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ggcam.data.sources.axis_order import Points
from ggcam.errors import ConfigError
from ggcam.gaze.fixations import Fixations
from ggcam.report.overlay import draw_scanpath
from ggcam.report.plots import BLUE, GREY, empty_figure, save_figure

COLUMNS = 6
FRAME_PX = 384
BINS = 20
_BACKGROUND = 40


def gaze_sheet(readings: Mapping[str, Points], out_png: Path, most: int = 12, seed: int = 0) -> Path:
    """Draw the scanpaths of some readings, chosen at random, and the marginals of all.

    Args:
        readings: image id -> row and column in shares of the image, and weight, in order of time.
        out_png: where to write; its folder is made if need be.
        most: so many scanpaths at most.
        seed: chooses them.

    Returns:
        The path written.

    Raises:
        ConfigError: nobody looked at anything, or no scanpath is asked for.
    """
    looked_at = [name for name, points in readings.items() if points[:, 2].sum() > 0]
    if not looked_at or most < 1:
        raise ConfigError(
            "there is no gaze to draw",
            where=out_png,
            expected="a reading with gaze, and a scanpath to draw or more (--per-class)",
            got=f"{len(looked_at)} of {len(readings)} readings with gaze, {most} scanpaths wanted",
        )
    chosen = np.random.default_rng(seed).choice(len(looked_at), min(most, len(looked_at)), replace=False)
    rows = -(-len(chosen) // COLUMNS)
    figure = empty_figure(1.7 * COLUMNS, 1.9 * rows + 2.4)
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[1.9] * rows + [2.4])
    for place, at in enumerate(sorted(chosen.tolist())):
        name = looked_at[at]
        panel = figure.add_subplot(grid[place // COLUMNS, place % COLUMNS])
        panel.set_axis_off()
        panel.imshow(_scanpath(readings[name]), interpolation="antialiased")
        panel.set_title(f"…{name[-10:]}, {len(readings[name])} points", fontsize=7, loc="left", pad=3, color=GREY)
    together = np.concatenate([readings[name] for name in looked_at])
    half = COLUMNS // 2
    for column, (span, title) in enumerate(((slice(half), "down (row)"), (slice(half, None), "to the right (column)"))):
        axes = figure.add_subplot(grid[rows, span])
        share = together[:, 2] / together[:, 2].sum()
        axes.hist(together[:, column], bins=BINS, range=(0, 1), weights=share, color=BLUE)
        axes.set_xlabel(f"{title}, share of the image")
        axes.set_ylabel("share of the time")
    figure.supxlabel(
        f"All {len(looked_at):,} readings. Lungs give two peaks to the right and one downwards.", fontsize=8
    )
    out_png.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, out_png)
    return out_png


def _scanpath(points: Points) -> np.ndarray:
    row, column, weight = points.T
    empty = np.full((FRAME_PX, FRAME_PX, 3), _BACKGROUND, np.uint8)
    return draw_scanpath(empty, Fixations.build(column * FRAME_PX, row * FRAME_PX, weight))
