"""Templates -> pages: what all pages have in common."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path


def render(template: str, **values: object) -> str:
    """A page as text, from a template of this folder; values are escaped, so that nothing in them becomes markup."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, interval=_interval, percent=_percent, picture=_picture)
    return environment.get_template(template).render(**values)


def _number(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; a dash where undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    """Where a share of 0 to 1 lies on a bar, as a CSS percentage; the left end where undefined."""
    return f"{100 * min(max(share or 0.0, 0.0), 1.0):.1f}%"


def _interval(metric: Mapping[str, float | None]) -> str:
    """The ends of a metric's interval; nothing where it has none."""
    low, high = metric.get("low"), metric.get("high")
    return "" if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _picture(png: bytes) -> str:
    """A PNG file's content as a data URI."""
    return "data:image/png;base64," + b64encode(png).decode("ascii")
