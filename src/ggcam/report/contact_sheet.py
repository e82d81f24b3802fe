"""A contact sheet of a prepared folder: a few cases of each class with their gaze, regions and masks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ggcam.data.case import SHORTCUT_MARKER, Affine, Region, Split
from ggcam.data.prepared import PreparedData
from ggcam.errors import ConfigError
from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import attention_map
from ggcam.report.overlay import ORANGE, SKY, YELLOW, Colour, cam_overlay, draw_regions, draw_scanpath, to_rgb
from ggcam.report.plots import GREY, empty_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL_IN = 1.9
"""Width of a panel in inches."""

GAP = 0.03
"""Space between two cases, as a share of a panel's width."""

LONGER_SIDE_PX = 576
"""Images are brought to this, about twice a panel's height, before anything is drawn, so that lines are fine."""

MAP_CELLS = 96
"""Cells of the attention map along the frame's longer side."""

CAPTION = (
    "Left: scanpath, from dark (early) to light (late), circles as large as the fixation is long. "
    "Right: attention map (1 degree), anatomy (blue), findings (orange, named), markers (yellow). "
    "For research use."
)


def contact_sheet(
    prepared: PreparedData, out_png: Path, per_class: int = 4, seed: int = 0, split: Split | None = None
) -> Path:
    """Draw a row of randomly chosen cases for each class: the image with its scanpath, and with its attention map.

    Args:
        prepared: the data.
        out_png: where to write; its folder is made if need be.
        per_class: at most so many cases of each class.
        seed: chooses the cases.
        split: cases of this split alone.

    Returns:
        The path written.

    Raises:
        ConfigError: there is nothing to draw.
    """
    if per_class < 1 or seed < 0:
        raise ConfigError(
            "a contact sheet takes one case a class or more, and a seed of 0 or more",
            where="--per-class, --seed",
            got=f"{per_class}, {seed}",
        )
    chosen = choose_cases(prepared, per_class, seed, split)
    rows = [(name, case_ids) for name, case_ids in chosen.items() if case_ids]
    if not rows:
        raise ConfigError(
            "there is no case to draw", where=f"{prepared.root}, split {split or 'any'}, {per_class} a class"
        )
    more = bool(len(prepared.fixations) or len(prepared.regions) or (prepared.root / "masks").is_dir())
    widths = [1, 1, GAP] if more else [1, GAP]
    columns = max(len(case_ids) for _, case_ids in rows)
    height_in = PANEL_IN * prepared.frame.height_px / prepared.frame.width_px + 0.28
    width_in = columns * sum(widths) * PANEL_IN + 0.4
    caption = textwrap.fill(CAPTION if more else "For research use.", round(16 * width_in))
    figure = empty_figure(width_in, len(rows) * height_in + 0.2 + 0.15 * len(caption.splitlines()))
    axes = figure.subplots(len(rows), len(widths) * columns, squeeze=False, width_ratios=widths * columns)
    for panels, (class_name, case_ids) in zip(axes, rows, strict=True):
        for each in panels:
            each.set_axis_off()
        for number, case_id in enumerate(case_ids):
            _draw_case(panels[len(widths) * number :][: len(widths) - 1], prepared, case_id)
        panels[0].text(
            -0.06, 0.5, class_name, transform=panels[0].transAxes, rotation=90, ha="right", va="center", weight="bold"
        )
    figure.supxlabel(caption, fontsize=8, color=GREY)
    out_png.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, out_png)
    return out_png


def choose_cases(
    prepared: PreparedData, per_class: int, seed: int = 0, split: Split | None = None
) -> dict[str, list[str]]:
    """Class name -> ids of at most `per_class` of its cases, drawn at random, in the order of the table."""
    random = np.random.default_rng(seed)
    ids, splits = (prepared.cases[name].to_numpy() for name in ("case_id", "split"))
    chosen = {}
    for label, class_name in enumerate(prepared.class_names):
        rows = np.flatnonzero((prepared.label_matrix[:, label] == 1) & ((splits == split) if split else True))
        taken = random.choice(rows, min(per_class, len(rows)), replace=False)
        chosen[class_name] = ids[np.sort(taken)].tolist()
    return chosen


def _draw_case(panels: Sequence[Axes] | np.ndarray, prepared: PreparedData, case_id: str) -> None:
    """The image with its scanpath in the first panel; with all else that is known of it in the second, if any."""
    times = LONGER_SIDE_PX / max(prepared.frame.height_px, prepared.frame.width_px)
    image = _resized(prepared.read_image(case_id), times)
    gaze = _scaled(times).apply(prepared.gaze.get(case_id, Fixations.empty()))
    split = prepared.cases.loc[prepared.cases["case_id"] == case_id, "split"].item()
    panels[0].imshow(draw_scanpath(to_rgb(image), gaze), interpolation="antialiased")
    panels[0].set_title(f"{_short(case_id)}, {split}", fontsize=7.5, loc="left", pad=3)
    if len(panels) > 1:
        table = prepared.fixations
        readings = table.loc[table["case_id"] == case_id, "reading_id"].nunique()
        several = f" in {readings} readings" if readings > 1 else ""
        seconds = f"{len(gaze)} fixations, {gaze.total_s:.1f} s{several}" if len(gaze) else "no gaze"
        panels[1].set_title(seconds, fontsize=7.5, loc="left", pad=3, color=GREY)
        mapped = cam_overlay(image, _attention(gaze, image.shape)) if len(gaze) else to_rgb(image)
        _draw_anatomy(panels[1], mapped, prepared, case_id, times)


def _draw_anatomy(axes: Axes, mapped: np.ndarray, prepared: PreparedData, case_id: str, times: float) -> None:
    """Outline masks, or else the anatomical boxes; then markers, and findings with their names."""
    regions = [region.moved(_scaled(times)) for region in prepared.boxes.get(case_id, ())]
    findings = [region for region in regions if region.is_finding]
    markers = [region for region in regions if region.name == SHORTCUT_MARKER]
    masks = prepared.read_masks(case_id)
    anatomy = [] if masks else [region for region in regions if region not in findings + markers]
    for outlined, colour in ((anatomy, SKY), (markers, YELLOW), (findings, ORANGE)):
        mapped = draw_regions(mapped, outlined, colour)
    axes.imshow(mapped, interpolation="antialiased")
    for mask in masks.values():
        axes.contour(_resized(mask.astype(np.float32), times), levels=[0.5], colors=[_hex(SKY)], linewidths=0.7)
    _name(axes, findings, mapped.shape)


def _scaled(times: float) -> Affine:
    return Affine(scale_x=times, scale_y=times)


def _resized(image: np.ndarray, times: float) -> np.ndarray:
    how = cv2.INTER_AREA if times < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=times, fy=times, interpolation=how)


def _attention(gaze: Fixations, size: tuple[int, ...]) -> np.ndarray:
    height, width = size
    cell_px = max(size) / MAP_CELLS
    return attention_map(gaze, grid=(round(height / cell_px), round(width / cell_px)), image_size=(height, width))


def _name(axes: Axes, findings: Sequence[Region], size: tuple[int, ...]) -> None:
    """Each kind of finding named once, below its lowest region, and below the names that are there already."""
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


def _short(case_id: str) -> str:
    return case_id if len(case_id) <= 14 else f"…{case_id[-8:]}"


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
