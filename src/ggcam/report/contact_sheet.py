"""A contact sheet of a prepared folder: some cases of each class with their gaze, regions and masks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ggcam.data.affine import Affine
from ggcam.data.case import SHORTCUT_MARKER, Region, Split
from ggcam.data.prepared import PreparedData
from ggcam.errors import ConfigError
from ggcam.gaze.fixations import Fixations
from ggcam.report.figure import GREY, new_figure, save_figure
from ggcam.report.overlay import ORANGE, SKY, YELLOW, Colour, draw_regions, to_rgb
from ggcam.report.plots import attention_overlay, plot_image, plot_scanpath

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_IN = 1.9
"""Width of a panel in inches."""

GAP = 0.03
"""Space between two cases, as a fraction of a panel's width."""

LONGER_SIDE_PX = 576
"""Images are resized to this before drawing, about twice a panel's height, so that lines are thin."""

CAPTION = (
    "Left: scanpath from dark (early) to light (late); the area of a circle is the duration. "
    "Right: attention map (1 degree), anatomy (blue), findings (orange, with names), markers (yellow). "
    "For research use."
)


def contact_sheet(
    prepared: PreparedData, out_png: Path, per_class: int = 4, seed: int = 0, split: Split | None = None
) -> Path:
    """Draw random cases of each class in a row: each image with its scanpath, and with its attention map.

    Args:
        prepared: prepared folder.
        out_png: file to write; its folder is created if missing.
        per_class: maximum number of cases per class.
        seed: random seed of the choice of cases.
        split: split to choose from; None for all cases.

    Returns:
        `out_png`.

    Raises:
        ConfigError: there is no case to draw, or `per_class` or `seed` is out of range.
    """
    if per_class < 1 or seed < 0:
        raise ConfigError(
            "--per-class must be at least 1 and --seed at least 0",
            where="--per-class, --seed",
            got=f"{per_class}, {seed}",
        )
    chosen = choose_cases(prepared, per_class, seed, split)
    rows = [(name, case_ids) for name, case_ids in chosen.items() if case_ids]
    if not rows:
        raise ConfigError(
            "there is no case to draw", where=f"{prepared.root}, split {split or 'any'}, {per_class} per class"
        )
    two_panels = bool(len(prepared.fixations) or len(prepared.regions) or (prepared.root / "masks").is_dir())
    widths = [1, 1, GAP] if two_panels else [1, GAP]
    columns = max(len(case_ids) for _, case_ids in rows)
    height_in = PANEL_IN * prepared.frame.height_px / prepared.frame.width_px + 0.28
    width_in = columns * sum(widths) * PANEL_IN + 0.4
    caption = textwrap.fill(CAPTION if two_panels else "For research use.", round(16 * width_in))
    figure = new_figure(width_in, len(rows) * height_in + 0.2 + 0.15 * len(caption.splitlines()))
    grid = figure.subplots(len(rows), len(widths) * columns, squeeze=False, width_ratios=widths * columns)
    for panels, (class_name, case_ids) in zip(grid, rows, strict=True):
        for panel in panels:
            panel.set_axis_off()
        for number, case_id in enumerate(case_ids):
            _draw_case(panels[len(widths) * number :][: len(widths) - 1], prepared, case_id)
        panels[0].text(
            -0.06, 0.5, class_name, transform=panels[0].transAxes, rotation=90, ha="right", va="center", weight="bold"
        )
    figure.supxlabel(caption, fontsize=8, color=GREY)
    save_figure(figure, out_png)
    return out_png


def choose_cases(
    prepared: PreparedData, per_class: int, seed: int = 0, split: Split | None = None
) -> dict[str, list[str]]:
    """Choose random cases of each class.

    Args:
        prepared: prepared folder.
        per_class: maximum number of cases per class.
        seed: random seed of the choice.
        split: split to choose from; None for all cases.

    Returns:
        Class name -> ids of its chosen cases, in the order of the table.
    """
    random = np.random.default_rng(seed)
    ids, splits = (prepared.cases[name].to_numpy() for name in ("case_id", "split"))
    chosen = {}
    for label, class_name in enumerate(prepared.class_names):
        rows = np.flatnonzero((prepared.label_matrix[:, label] == 1) & ((splits == split) if split else True))
        drawn = random.choice(rows, min(per_class, len(rows)), replace=False)
        chosen[class_name] = ids[np.sort(drawn)].tolist()
    return chosen


def _draw_case(panels: Sequence[Axes] | np.ndarray, prepared: PreparedData, case_id: str) -> None:
    """Draw the scanpath in the first panel; attention map, regions and masks in the second, if there is one."""
    scale = LONGER_SIDE_PX / max(prepared.frame.height_px, prepared.frame.width_px)
    image = _resize(prepared.read_image(case_id), scale)
    gaze = _scaling(scale).apply(prepared.gaze.get(case_id, Fixations.empty()))
    split = prepared.cases.loc[prepared.cases["case_id"] == case_id, "split"].item()
    plot_scanpath(image, gaze, ax=panels[0])
    panels[0].set_title(f"{_shorten(case_id)}, {split}", fontsize=7.5, loc="left", pad=3)
    if len(panels) > 1:
        table = prepared.fixations
        readings = table.loc[table["case_id"] == case_id, "reading_id"].nunique()
        in_readings = f" in {readings} readings" if readings > 1 else ""
        summary = f"{len(gaze)} fixations, {gaze.total_s:.1f} s{in_readings}" if len(gaze) else "no gaze"
        panels[1].set_title(summary, fontsize=7.5, loc="left", pad=3, color=GREY)
        mapped = attention_overlay(image, gaze) if len(gaze) else to_rgb(image)
        _draw_anatomy(panels[1], mapped, prepared, case_id, scale)


def _draw_anatomy(axes: Axes, mapped: np.ndarray, prepared: PreparedData, case_id: str, scale: float) -> None:
    """Outline the masks, or else the anatomical boxes; then markers, and findings with their names."""
    regions = [region.transformed(_scaling(scale)) for region in prepared.boxes.get(case_id, ())]
    findings = [region for region in regions if region.is_finding]
    markers = [region for region in regions if region.name == SHORTCUT_MARKER]
    masks = prepared.read_masks(case_id)
    anatomy = [] if masks else [region for region in regions if region not in findings + markers]
    for outlined, colour in ((anatomy, SKY), (markers, YELLOW), (findings, ORANGE)):
        mapped = draw_regions(mapped, outlined, colour)
    plot_image(mapped, ax=axes)
    for mask in masks.values():
        axes.contour(_resize(mask.astype(np.float32), scale), levels=[0.5], colors=[_hex(SKY)], linewidths=0.7)
    _write_names(axes, findings, mapped.shape)


def _scaling(scale: float) -> Affine:
    return Affine(scale_x=scale, scale_y=scale)


def _resize(image: np.ndarray, scale: float) -> np.ndarray:
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)


def _write_names(axes: Axes, findings: Sequence[Region], size: tuple[int, ...]) -> None:
    """Write each name of a finding once, below its lowest region and below the names written before."""
    from matplotlib.patheffects import withStroke

    height, width = size[:2]
    line_px = 0.05 * height
    lowest = {region.name: region for region in sorted(findings, key=lambda region: region.y1_px)}
    y_px = 0.0
    for region in lowest.values():
        y_px = min(max(region.y1_px, y_px), height - line_px)
        at_right = region.x0_px + region.x1_px > width
        axes.text(
            region.x1_px if at_right else region.x0_px,
            y_px,
            region.name,
            fontsize=6.5,
            color=_hex(ORANGE),
            ha="right" if at_right else "left",
            va="top",
            path_effects=[withStroke(linewidth=1.2, foreground="black")],
        )
        y_px += line_px


def _shorten(case_id: str) -> str:
    return case_id if len(case_id) <= 14 else f"…{case_id[-8:]}"


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
