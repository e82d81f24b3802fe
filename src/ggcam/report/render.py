"""Render HTML pages from the templates of this folder."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ggcam.utils.atomic import atomic_write

if TYPE_CHECKING:
    from jinja2 import Environment

    from ggcam.report.layers import Picture

MINUS = "−"


def render(template: str, **values: object) -> str:
    """Render a template of this folder; values are escaped, so that none of them becomes markup.

    Args:
        template: file name of the template.
        **values: variables of the template.

    Returns:
        The page as HTML.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    """Return the environment of the templates, which keeps those that are compiled."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        point=_point,
        number=_number,
        signed=_signed,
        signed_tick=_signed_tick,
        p_value=_p_value,
        interval=_interval,
        signed_interval=_signed_interval,
        percent=_percent,
        picture=_picture,
    )
    return environment


def write_page(page: str, out_html: Path) -> None:
    """Write a page atomically.

    Args:
        page: the page as HTML.
        out_html: file to write; its folder is created if missing.
    """
    out_html.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out_html, page)


def _point(value: float | Mapping[str, float | None] | None) -> float | None:
    """Return a number, or the value of a metric."""
    return value["value"] if isinstance(value, Mapping) else value


def _number(value: float | Mapping[str, float | None] | None, digits: int = 3) -> str:
    """Format a number, or the value of a metric; a dash where undefined."""
    number = _point(value)
    return "–" if number is None else f"{number:.{digits}f}".replace("-", MINUS)


def _signed(value: float | None, digits: int = 3) -> str:
    """Format a difference with its sign; a dash where undefined."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", MINUS)


def _signed_tick(value: float) -> str:
    """Format a tick of an axis of differences."""
    return f"{value:+g}".replace("-", MINUS) if value else "0"


def _p_value(value: float | None) -> str:
    """Format a p-value with three decimals, or as < 0.001."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _percent(fraction: float | None) -> str:
    """Format a fraction, clipped to 0..1, as a CSS percentage; 0 % where undefined."""
    return f"{100 * min(max(fraction or 0.0, 0.0), 1.0):.1f}%"


def _interval(metric: Mapping[str, float | None] | object) -> str:
    """Format the interval of a metric; empty where it has none."""
    low, high = _ends(metric)
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"


def _signed_interval(metric: Mapping[str, float | None] | object) -> str:
    """Format the interval of a difference; empty where it has none."""
    low, high = _ends(metric)
    return "" if low is None or high is None else f"{_signed(low)} to {_signed(high)}"


def _ends(metric: Mapping[str, float | None] | object) -> tuple[float | None, float | None]:
    if isinstance(metric, Mapping):
        return metric.get("low"), metric.get("high")
    return getattr(metric, "low", None), getattr(metric, "high", None)


def _picture(picture: Picture | bytes) -> str:
    """Format an encoded image, or the content of a PNG file, as a data URI."""
    kind, content = ("png", picture) if isinstance(picture, bytes) else (picture.kind, picture.content)
    return f"data:image/{kind};base64," + b64encode(content).decode("ascii")
