"""`ggcam inspect`."""

from __future__ import annotations

from pathlib import Path

from ggcam.commands.arguments import Data
from ggcam.commands.terminal import print_table


def inspect(data: Data, out: Path | None = None, per_class: int = 4, seed: int = 0) -> None:
    """Count a prepared folder's cases, and draw some of each class: scanpath, attention map, regions.

    Example: ggcam inspect DATA

    Args:
        data: the prepared folder.
        out: picture to write; DATA-inspect.png beside the folder by default.
        per_class: cases drawn of each class.
        seed: chooses them.
    """
    from ggcam.data.prepared import load_prepared, summary_table
    from ggcam.report.contact_sheet import contact_sheet

    prepared = load_prepared(data)
    head, *rows = summary_table(prepared)
    print_table(head, rows)
    picture = out or data.resolve().with_name(f"{data.resolve().name}-inspect.png")
    print(contact_sheet(prepared, picture, per_class=per_class, seed=seed))
