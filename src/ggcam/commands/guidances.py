"""`ggcam guidances`."""

from __future__ import annotations

from ggcam.commands.terminal import print_table


def guidances() -> None:
    """List the methods that `--guidance` accepts.

    Example: ggcam guidances

    For each: what is compared with the attention, what it needs, its options for `--guidance-options` with their
    defaults, and the publication that it comes from. No method needs attention at prediction.
    """
    from ggcam.guidance import GUIDANCES
    from ggcam.guidance.summary import summarise

    rows = [summarise(name, found) for name, found in GUIDANCES.items()]
    print_table(
        ["guidance", "what it does", "needs", "options", "source"],
        [[row.name, row.description, row.needs, "\n".join(row.options) or "-", row.source or "-"] for row in rows],
    )
