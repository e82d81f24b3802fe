"""Matplotlib figures that are written to files, without pyplot and its global state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ggcam.utils.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 128
"""Dots per inch of every figure; ten inches are 1280 pixels."""

# Okabe and Ito's palette, safe for colour-blind readers.
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#595959"


def new_figure(width_in: float, height_in: float, **margins: float) -> Figure:
    """Create an empty figure that pyplot does not know.

    Args:
        width_in: width in inches.
        height_in: height in inches.
        **margins: where the axes are, as for `Figure.subplots_adjust`; without them, a constrained layout finds room
            for all text, which takes longer than drawing it.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if margins:
        figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor="white")
        figure.subplots_adjust(**margins)
        return figure
    layout = ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.03, hspace=0.01, wspace=0)
    return Figure(figsize=(width_in, height_in), dpi=DPI, layout=layout, facecolor="white")


def save_figure(figure: Figure, out_png: Path) -> None:
    """Write a figure as PNG; the same figure gives the same bytes.

    Args:
        figure: the figure.
        out_png: file to write; its folder is created if missing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    with atomic_path(out_png) as temporary:
        # Figure.savefig would draw everything twice, the first time only for the layout.
        canvas.print_png(temporary, metadata={"Software": None})
