"""Charts as SVG coordinates; `charts.html.j2` draws them in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

WIDTH, HEIGHT = 340, 270
"""Size of a chart in SVG units; the page scales it."""

LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 42
"""Margins of the plot area, in SVG units."""

STYLES = 8
"""Number of line styles; further series repeat them."""


@dataclass(frozen=True)
class Axis:
    """An axis of a chart.

    Attributes:
        label: name of the quantity, with its unit.
        low: value at the left or lower end.
        high: value at the other end.
        ticks: values with a label.
    """

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def zero_to_one(cls, label: str) -> Axis:
        """Create an axis from 0 to 1.

        Args:
            label: name of the quantity.

        Returns:
            The axis.
        """
        return cls(label, 0.0, 1.0, (0, 0.25, 0.5, 0.75, 1))

    @classmethod
    def around(
        cls, label: str, values: Sequence[float] | np.ndarray, integers: bool = False, pad: float = 0.05
    ) -> Axis:
        """Create an axis with round ticks that holds all finite values.

        Args:
            label: name of the quantity.
            values: any number of values; without finite ones the axis goes from 0 to 1.
            integers: whether to put ticks at integers only, as for epochs.
            pad: margin at both ends, as a fraction of the range.

        Returns:
            The axis.
        """
        finite = np.asarray(values, dtype=np.float64)
        finite = finite[np.isfinite(finite)]
        if not len(finite):
            return cls.zero_to_one(label)
        low, high = float(finite.min()), float(finite.max())
        margin = pad * (high - low) or 0.5 * abs(high) or 0.5
        low, high = low - margin, high + margin
        return cls(label, low, high, tuple(round_ticks(low, high, integers=integers)))

    def at(self, value: float) -> float:
        """Return the position of a value as a fraction of the axis; 0 is the low end.

        Args:
            value: any value.

        Returns:
            The position; outside 0..1 for values off the axis.
        """
        return (value - self.low) / (self.high - self.low)

    def percent(self, value: float) -> str:
        """Return the position of a value as a percentage for SVG and CSS, clipped to the axis.

        Args:
            value: any value.

        Returns:
            The position, such as "25.00%".
        """
        return f"{100 * min(max(self.at(value), 0.0), 1.0):.2f}%"


@dataclass(frozen=True)
class Shape:
    """A path in a chart.

    Attributes:
        kind: "line", "band" or "guide" (a reference line, such as chance level).
        style: number of the series, which decides colour and dashes.
        path: SVG path.
    """

    kind: str
    style: int
    path: str


@dataclass(frozen=True)
class Dot:
    """A dot in a chart.

    Attributes:
        style: number of the series.
        x: horizontal position in SVG units.
        y: vertical position in SVG units.
        size: radius in SVG units.
        text: tooltip.
    """

    style: int
    x: float
    y: float
    size: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn.

    Attributes:
        title: title above the chart.
        note: text beside the title, such as an area under the curve.
        alt_text: content of the chart in words, for screen readers.
        x: horizontal axis.
        y: vertical axis.
        shapes: lines and bands, from back to front.
        dots: dots, in front of the shapes.
        names: style and name of each series, for the key; empty for a single series.
    """

    title: str
    note: str
    alt_text: str
    x: Axis
    y: Axis
    shapes: tuple[Shape, ...]
    dots: tuple[Dot, ...] = ()
    names: tuple[tuple[int, str], ...] = ()

    width, height, left, right, top, bottom = WIDTH, HEIGHT, LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM

    @property
    def x_ticks(self) -> Iterator[tuple[float, str]]:
        """Position and label of each tick of the horizontal axis."""
        return ((x_of(self.x, value), tick_label(value)) for value in self.x.ticks)

    @property
    def y_ticks(self) -> Iterator[tuple[float, str]]:
        """Position and label of each tick of the vertical axis."""
        return ((y_of(self.y, value), tick_label(value)) for value in self.y.ticks)


def line(
    x_axis: Axis,
    y_axis: Axis,
    x: Float[np.ndarray, " p"],
    y: Float[np.ndarray, " p"],
    style: int = 0,
    *,
    kind: str = "line",
    steps: bool = False,
) -> Shape:
    """Create a line through points, interrupted where y is not finite.

    Args:
        x_axis: horizontal axis.
        y_axis: vertical axis.
        x: shape (p,).
        y: shape (p,).
        style: number of the series.
        kind: "line" or "guide".
        steps: whether y keeps its value until the next point.

    Returns:
        The line.
    """
    parts: list[str] = []
    before: float | None = None
    for x_value, y_value in zip(x.tolist(), y.tolist(), strict=True):
        if not math.isfinite(y_value):
            before = None
            continue
        across, up = x_of(x_axis, x_value), y_of(y_axis, y_value)
        if before is None:
            parts.append(f"M{across:.1f} {up:.1f}")
        else:
            parts.append(f"H{across:.1f}V{up:.1f}" if steps else f"L{across:.1f} {up:.1f}")
        before = up
    return Shape(kind, style % STYLES, "".join(parts))


def band(
    x_axis: Axis,
    y_axis: Axis,
    x: Float[np.ndarray, " p"],
    low: Float[np.ndarray, " p"],
    high: Float[np.ndarray, " p"],
    style: int = 0,
) -> Shape:
    """Create the area between two lines, where both are finite.

    Args:
        x_axis: horizontal axis.
        y_axis: vertical axis.
        x: shape (p,).
        low: shape (p,), lower line.
        high: shape (p,), upper line.
        style: number of the series.

    Returns:
        The area.
    """
    known = np.isfinite(low) & np.isfinite(high)
    xs = [x_of(x_axis, value) for value in x[known].tolist()]
    up = [f"{a:.1f} {y_of(y_axis, b):.1f}" for a, b in zip(xs, high[known].tolist(), strict=True)]
    down = [f"{a:.1f} {y_of(y_axis, b):.1f}" for a, b in zip(xs, low[known].tolist(), strict=True)]
    path = f"M{'L'.join(up)}L{'L'.join(reversed(down))}Z" if up else ""
    return Shape("band", style % STYLES, path)


def x_of(axis: Axis, value: float) -> float:
    """Return the horizontal position of a value, in SVG units from the left edge of the chart.

    Args:
        axis: horizontal axis.
        value: value on the axis.

    Returns:
        The position.
    """
    return LEFT + axis.at(value) * (WIDTH - LEFT - RIGHT)


def y_of(axis: Axis, value: float) -> float:
    """Return the vertical position of a value, in SVG units from the upper edge of the chart.

    Args:
        axis: vertical axis.
        value: value on the axis.

    Returns:
        The position.
    """
    return HEIGHT - BOTTOM - axis.at(value) * (HEIGHT - TOP - BOTTOM)


def tick_label(value: float) -> str:
    """Return the label of a tick.

    Args:
        value: value of the tick.

    Returns:
        The label, with a typographic minus sign.
    """
    return f"{value:g}".replace("-", "−")


def round_ticks(low: float, high: float, limit: int = 7, integers: bool = False) -> list[float]:
    """Return round values between two ends: multiples of 1, 2 or 5 times a power of ten.

    Args:
        low: lower end.
        high: upper end, above `low`.
        limit: approximate maximum number of values.
        integers: whether to return integers only.

    Returns:
        The values, in ascending order.
    """
    unit = 10.0 ** math.floor(math.log10((high - low) / limit))
    step = next(factor * unit for factor in (1, 2, 5, 10) if (high - low) / (factor * unit) <= limit * (1 + 1e-9))
    if integers:
        step = max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]
