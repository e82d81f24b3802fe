"""`ggcam inspect`."""

from __future__ import annotations

import sys
from pathlib import Path

from ggcam.commands.arguments import Data
from ggcam.commands.terminal import print_table, progress_bar


def inspect(data: Data, out: Path | None = None, per_class: int = 4, seed: int = 0, strict: bool = False) -> None:
    """Check a prepared folder, and draw some cases of each class: scanpath, attention map, regions.

    Counts the cases, looks for what is wrong with images, splits and gaze, and writes a picture and beside it a page.

    Example: ggcam inspect DATA --strict

    Args:
        data: the prepared folder.
        out: picture to write, with the page beside it; DATA-inspect.png and .html beside the folder by default.
        per_class: cases drawn of each class.
        seed: chooses them.
        strict: end with exit code 1 when a finding is wrong.
    """
    from ggcam.data.check.checker import check_data
    from ggcam.data.prepared import load_prepared
    from ggcam.data.summary import summary_table
    from ggcam.report.check_page import write_check_page
    from ggcam.report.contact_sheet import contact_sheet

    prepared = load_prepared(data)
    head, *rows = summary_table(prepared)
    print_table(head, rows)
    with progress_bar("looking") as progress:
        check = check_data(prepared, progress)
    print_table(
        ["level", "what", "found"],
        [
            (finding.level, finding.name, finding.value + (f"\nto do: {finding.to_do}" if finding.to_do else ""))
            for finding in check.findings
        ],
    )
    target = out or data.resolve().with_name(f"{data.resolve().name}-inspect.png")
    picture = target.with_suffix(".png") if target.suffix == ".html" else target
    contact_sheet(prepared, picture, per_class=per_class, seed=seed)
    page = write_check_page(prepared, check, picture.read_bytes(), picture.with_suffix(".html"))
    print(f"{len(check.wrong)} wrong, {len(check.warnings)} to look at\n{picture}\n{page}")
    if strict and check.wrong:
        sys.exit(1)
