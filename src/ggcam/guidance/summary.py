"""What there is to say about a method in one line: for `ggcam guidances` and the documentation."""

from __future__ import annotations

import inspect
from typing import NamedTuple

from ggcam.guidance.base import Guidance
from ggcam.guidance.options import Value, hyperparameters


class GuidanceSummary(NamedTuple):
    """Summary of a guidance method.

    Attributes:
        name: name on the command line.
        description: first line of the docstring.
        needs: what the method requires; "-" for nothing.
        options: hyper-parameters and their defaults, such as "balance=0.5".
        source: publication that the method comes from; empty for none.
    """

    name: str
    description: str
    needs: str
    options: tuple[str, ...]
    source: str


def summarise(name: str, guidance: type[Guidance]) -> GuidanceSummary:
    """Summarise a guidance method.

    Args:
        name: name on the command line.
        guidance: its class.

    Returns:
        The summary.

    Example:
        >>> from ggcam import GUIDANCES
        >>> summarise("abn", GUIDANCES["abn"]).needs
        'attention; a head of its own'
    """
    needs = [
        *(["attention"] if guidance.uses_attention() else []),
        *([guidance.needs] if guidance.needs else []),
        *(["a head of its own"] if guidance.head != "cam" else []),
        *([f"no --{', no --'.join(guidance.excludes)}"] if guidance.excludes else []),
    ]
    options = [
        option if each.default is each.empty else f"{option}={_as_typed(each.default)}"
        for option, each in hyperparameters(guidance).items()
    ]
    description = (inspect.getdoc(guidance) or "").split("\n", 1)[0]
    return GuidanceSummary(name, description, "; ".join(needs) or "-", tuple(options), guidance.source)


def _as_typed(value: Value) -> str:
    """Return a value as it is written on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
