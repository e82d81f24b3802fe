"""Templates -> pages: what all pages have in common."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ggcam.utils.atomic import atomic_write

if TYPE_CHECKING:
    from ggcam.report.layers import Picture

MINUS = "−"


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
    return environment.get_template(template).render(**values)


def write_page(page: str, out_html: Path) -> None:
    """Write a page, whole or not at all. Its folder is made if need be."""
    out_html.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out_html, page)


def _point(value: float | Mapping[str, float | None] | None) -> float | None:
    """A number, or that of a metric with an interval."""
    return value["value"] if isinstance(value, Mapping) else value


def _number(value: float | Mapping[str, float | None] | None, digits: int = 3) -> str:
    """A number (or that of a metric) with so many decimals; a dash where undefined."""
    number = _point(value)
    return "–" if number is None else f"{number:.{digits}f}".replace("-", MINUS)


def _signed(value: float | None, digits: int = 3) -> str:
    """The same with its sign, as differences have it."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", MINUS)


def _signed_tick(value: float) -> str:
    """A round value of an axis of differences."""
    return f"{value:+g}".replace("-", MINUS) if value else "0"


def _p_value(value: float | None) -> str:
    """A p-value with three decimals; very small ones as less than the smallest that can be shown."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _percent(share: float | None) -> str:
    """Where a share of 0 to 1 lies on a bar, as a CSS percentage; the left end where undefined."""
    return f"{100 * min(max(share or 0.0, 0.0), 1.0):.1f}%"


def _interval(metric: Mapping[str, float | None] | object) -> str:
    """The ends of a metric's interval; nothing where it has none."""
    low, high = _ends(metric)
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"


def _signed_interval(metric: Mapping[str, float | None] | object) -> str:
    """The same for a difference."""
    low, high = _ends(metric)
    return "" if low is None or high is None else f"{_signed(low)} to {_signed(high)}"


def _ends(metric: Mapping[str, float | None] | object) -> tuple[float | None, float | None]:
    if isinstance(metric, Mapping):
        return metric.get("low"), metric.get("high")
    return getattr(metric, "low", None), getattr(metric, "high", None)


def _picture(of: Picture | bytes) -> str:
    """A picture, or a PNG file's content, as a data URI."""
    kind, content = ("png", of) if isinstance(of, bytes) else (of.kind, of.content)
    return f"data:image/{kind};base64," + b64encode(content).decode("ascii")
