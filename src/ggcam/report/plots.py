"""Plots of images with gaze and CAMs, on matplotlib axes; also available as `ggcam.plots`.

Each function draws on the axes that are passed as `ax` and returns them; without `ax` it creates a pyplot figure, which
a notebook shows. Matplotlib is imported when the first plot is drawn.

Example:
    >>> import numpy as np
    >>> from ggcam import Fixations, plots
    >>> image = np.zeros((128, 96), np.uint8)
    >>> gaze = Fixations.build(x_px=[30, 60], y_px=[40, 80], duration_s=[0.3, 0.5])
    >>> ax = plots.plot_scanpath(image, gaze)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ggcam.data.affine import Affine
from ggcam.data.case import Region
from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import attention_map
from ggcam.report.figure import GREY, new_figure, save_figure
from ggcam.report.overlay import cam_overlay, draw_regions, draw_scanpath, enlarge, to_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAP_CELLS = 96
"""Cells of an attention map along the longer side of the image."""

COMPARISON_COLUMNS = 4


def plot_image(image: np.ndarray, *, regions: Sequence[Region] = (), ax: Axes | None = None) -> Axes:
    """Draw an image, with outlines of regions.

    Args:
        image: grey, shape (H, W), or RGB, shape (H, W, 3); uint8 or uint16. Grey of 16 bits is stretched to its 0.5th
            to 99.5th percentile.
        regions: regions to outline, in pixels of the image.
        ax: axes to draw on; None to create a figure.

    Returns:
        The axes, with the image's pixel coordinates and without ticks.

    Example:
        >>> ax = plot_image(np.zeros((128, 96), np.uint8))
    """
    if ax is None:
        from matplotlib import pyplot

        ax = pyplot.subplots()[1]
    ax.imshow(draw_regions(to_rgb(image), regions), interpolation="antialiased")
    ax.set_axis_off()
    return ax


def plot_scanpath(image: np.ndarray, fixations: Fixations, *, ax: Axes | None = None) -> Axes:
    """Draw an image with fixations as circles, joined in order of time.

    The area of a circle is proportional to the duration of its fixation. Colours run from dark (early) to light (late).

    Args:
        image: as for :func:`plot_image`.
        fixations: fixations in pixels of the image, in order of time.
        ax: axes to draw on; None to create a figure.

    Returns:
        The axes.

    Example:
        >>> gaze = Fixations.build(x_px=[30, 60], y_px=[40, 80], duration_s=[0.3, 0.5])
        >>> ax = plot_scanpath(np.zeros((128, 96), np.uint8), gaze)
    """
    return plot_image(draw_scanpath(to_rgb(image), fixations), ax=ax)


def plot_attention_map(
    image: np.ndarray,
    gaze: Fixations | Float[np.ndarray, "h w"],
    *,
    sigma_px: float | None = None,
    sigma_deg: float = 1.0,
    regions: Sequence[Region] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw an attention map over its image.

    Args:
        image: as for :func:`plot_image`.
        gaze: fixations in pixels of the image, or an attention map on any grid over the image.
        sigma_px: standard deviation of the Gaussian around a fixation, in pixels of the image; None to use `sigma_deg`.
        sigma_deg: standard deviation in degrees of visual angle.
        regions: regions to outline, in pixels of the image.
        ax: axes to draw on; None to create a figure.

    Returns:
        The axes.

    Example:
        >>> gaze = Fixations.build(x_px=[30, 60], y_px=[40, 80], duration_s=[0.3, 0.5])
        >>> ax = plot_attention_map(np.zeros((128, 96), np.uint8), gaze, sigma_px=8)
    """
    return plot_image(attention_overlay(image, gaze, sigma_px, sigma_deg), regions=regions, ax=ax)


def plot_cam(
    image: np.ndarray,
    cam: Float[np.ndarray, "h w"],
    *,
    regions: Sequence[Region] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw a CAM over its image, coloured from its lowest to its highest value.

    Args:
        image: as for :func:`plot_image`.
        cam: CAM on any grid over the image, any range; NaN is transparent.
        regions: regions to outline, in pixels of the image.
        ax: axes to draw on; None to create a figure.

    Returns:
        The axes.

    Example:
        >>> ax = plot_cam(np.zeros((128, 96), np.uint8), np.arange(12.0).reshape(4, 3))
    """
    return plot_image(cam_overlay(image, cam), regions=regions, ax=ax)


@dataclass(frozen=True, eq=False)
class ComparisonCase:
    """One case as two models see it, for :func:`plot_comparison`.

    Attributes:
        name: title of the row, such as "p10012: pneumonia".
        image: as for :func:`plot_image`.
        cam_without: CAM of the true class from the model without guidance, on a grid over the image.
        cam_with: CAM of the true class from the model with guidance.
        gaze: attention map of the reader on a grid over the image; None without gaze.
        regions: regions of the finding, in pixels of the image.
        probability_without: probability of the true class from the model without guidance, 0 to 1; None to omit it.
        probability_with: the same from the model with guidance.
    """

    name: str
    image: np.ndarray
    cam_without: Float[np.ndarray, "g v"]
    cam_with: Float[np.ndarray, "p q"]
    gaze: Float[np.ndarray, "h w"] | None = None
    regions: Sequence[Region] = ()
    probability_without: float | None = None
    probability_with: float | None = None


def plot_comparison(
    cases: Sequence[ComparisonCase], *, guidance: str = "guidance", axes: np.ndarray | None = None
) -> Figure:
    """Draw one row per case: the image with the finding, gaze, and the CAMs without and with guidance.

    Args:
        cases: at least one.
        guidance: name of the guidance, for the title of the last column.
        axes: array of axes to draw on, one row per case and four columns; None to create a figure.

    Returns:
        The figure.

    Raises:
        ValueError: there are no cases, or the array of axes has another shape.

    Example:
        >>> image, cam = np.zeros((128, 96), np.uint8), np.arange(12.0).reshape(4, 3)
        >>> figure = plot_comparison([ComparisonCase("case 1", image, cam_without=cam, cam_with=cam.T.reshape(4, 3))])
    """
    if not cases:
        raise ValueError("there are no cases to compare")
    if axes is None:
        from matplotlib import pyplot

        size = _comparison_size(cases)
        axes = pyplot.subplots(len(cases), COMPARISON_COLUMNS, squeeze=False, figsize=size, layout="constrained")[1]
    if axes.shape != (len(cases), COMPARISON_COLUMNS):
        raise ValueError(f"expected axes of shape {(len(cases), COMPARISON_COLUMNS)}, got {axes.shape}")
    for row, case in zip(axes, cases, strict=True):
        image, regions = _enlarge_case(case)
        for panel, values in zip(row, (None, case.gaze, case.cam_without, case.cam_with), strict=True):
            drawn = to_rgb(image) if values is None else cam_overlay(image, values)
            plot_image(drawn, regions=regions, ax=panel)
        captions = [
            case.name,
            "" if case.gaze is not None else "no gaze recorded",
            *("" if p is None else f"p = {p:.2f}" for p in (case.probability_without, case.probability_with)),
        ]
        for panel, caption in zip(row, captions, strict=True):
            panel.set_title(caption, fontsize=10, loc="left", color=GREY, pad=3)
    for panel, title in zip(axes[0], ["Image", "Gaze", "CAM, no guidance", f"CAM, {guidance}"], strict=True):
        panel.annotate(
            title, (0, 1), (0, 19), xycoords="axes fraction", textcoords="offset points", fontsize=13, weight="bold"
        )
    return axes[0, 0].figure


def save_comparison(cases: Sequence[ComparisonCase], out_png: Path, *, guidance: str = "guidance") -> None:
    """Write the figure of :func:`plot_comparison`, with a caption, as PNG, 1280 px wide.

    Args:
        cases: at least one.
        out_png: file to write; its folder is created if missing.
        guidance: name of the guidance, for the title of the last column.

    Raises:
        ValueError: there are no cases.
    """
    if not cases:
        raise ValueError("there are no cases to compare")
    figure = new_figure(*_comparison_size(cases))
    plot_comparison(cases, guidance=guidance, axes=figure.subplots(len(cases), COMPARISON_COLUMNS, squeeze=False))
    figure.supxlabel(
        "CAMs of the true class; p: its predicted probability; outlined: the finding. For research use.",
        fontsize=9,
        color=GREY,
    )
    save_figure(figure, out_png)


def attention_overlay(
    image: np.ndarray,
    gaze: Fixations | Float[np.ndarray, "h w"],
    sigma_px: float | None = None,
    sigma_deg: float = 1.0,
) -> np.ndarray:
    """Lay an attention map over its image.

    Args:
        image: as for :func:`plot_image`.
        gaze: fixations in pixels of the image, or an attention map on any grid over the image.
        sigma_px: standard deviation of the Gaussian in pixels of the image; None to use `sigma_deg`.
        sigma_deg: standard deviation in degrees of visual angle.

    Returns:
        RGB image, uint8, shape (H, W, 3); the plain image without fixations.
    """
    if isinstance(gaze, Fixations):
        height, width = image.shape[:2]
        cell_px = max(height, width) / MAP_CELLS
        grid = (max(1, round(height / cell_px)), max(1, round(width / cell_px)))
        gaze = attention_map(gaze, grid, (height, width), sigma_px=sigma_px, sigma_deg=sigma_deg)
    return cam_overlay(image, gaze)


def _comparison_size(cases: Sequence[ComparisonCase]) -> tuple[float, float]:
    """Return width and height of the figure in inches."""
    tallest = max(case.image.shape[0] / case.image.shape[1] for case in cases)
    return 10, 0.6 + len(cases) * (2.42 * tallest + 0.28)


def _enlarge_case(case: ComparisonCase) -> tuple[np.ndarray, list[Region]]:
    """Enlarge a small image and its regions, so that a line of one pixel is thin."""
    image = enlarge(case.image, 384)
    scale = image.shape[0] / case.image.shape[0]
    return image, [region.transformed(Affine(scale_x=scale, scale_y=scale)) for region in case.regions]
