"""`ggcam inspect`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ggcam.commands.arguments import Data
from ggcam.commands.terminal import print_table, show_progress


def inspect(
    data: Data,
    out: Path | None = None,
    per_class: int = 4,
    seed: int = 0,
    kind: Literal["chest", "other"] | None = None,
    strict: bool = False,
) -> None:
    """Check a prepared folder and draw some cases of each class.

    Example: ggcam inspect DATA --strict

    Counts the cases, checks images, splits and gaze, draws scanpaths, attention maps and regions, and writes the
    picture and an HTML report. For a gaze file of SIIM-ACR (.json or .pkl), without images, it checks the order of the
    axes and draws some scanpaths on an empty frame.

    Args:
        data: prepared folder, or a gaze file of SIIM-ACR.
        out: picture to write; the report is written beside it. Default: DATA-inspect.png and .html beside the folder.
        per_class: number of cases to draw per class.
        seed: random seed of the choice of cases.
        kind: what the images show: chest (X-rays), or other, for which gaze is not compared with the lungs. Default:
            what was found when preparing.
        strict: end with exit code 1 if a check finds an error.
    """
    from ggcam.data.checks.check import check_data
    from ggcam.data.prepared import load_prepared
    from ggcam.data.summary import summary_table
    from ggcam.report.check_page import write_check_page
    from ggcam.report.contact_sheet import contact_sheet
    from ggcam.utils.locks import locked_target

    root = data.resolve()
    target = out or root.with_name(f"{root.stem if root.is_file() else root.name}-inspect.png")
    picture = target.with_suffix(".png") if target.suffix == ".html" else target
    if data.is_file():
        _inspect_gaze(data, picture, 4 * per_class, seed)
        return
    prepared = load_prepared(data)
    if kind:
        prepared = replace(prepared, meta={**prepared.meta, "kind": kind})
    head, *rows = summary_table(prepared)
    print_table(head, rows)
    with show_progress("checking", "images") as progress:
        check = check_data(prepared, progress)
    print_table(
        ["level", "check", "result"],
        [
            (result.level, result.name, result.value + (f"\nhint: {result.hint}" if result.hint else ""))
            for result in check.results
        ],
    )
    with locked_target(picture):
        contact_sheet(prepared, picture, per_class=per_class, seed=seed)
        page = write_check_page(prepared, check, picture.read_bytes(), picture.with_suffix(".html"))
    print(f"{len(check.errors)} errors, {len(check.warnings)} warnings\n{picture}\n{page}")
    if strict and check.errors:
        sys.exit(1)


def _inspect_gaze(path: Path, out: Path, max_readings: int, seed: int) -> None:
    """Check a gaze file of SIIM-ACR, print what it holds, and draw some of its scanpaths."""
    import numpy as np

    from ggcam.data.sources.axis_order import check_axis_order, on_lungs
    from ggcam.data.sources.siim_gaze import read_gaze_clusters
    from ggcam.report.gaze_sheet import gaze_sheet
    from ggcam.utils.locks import locked_target

    readings = read_gaze_clusters(path)
    check_axis_order(((points, None) for points in readings.values()), path, "pass --axis-order column-first")
    with_gaze = [points for points in readings.values() if points[:, 2].sum() > 0]
    on_lungs_as_read, on_lungs_swapped = (
        float(np.mean([on_lungs(points[:, order]) for points in with_gaze] or [np.nan]))
        for order in ([0, 1, 2], [1, 0, 2])
    )
    print_table(
        ["gaze file", "result"],
        [
            ("readings", f"{len(readings):,}, {len(with_gaze):,} with gaze"),
            ("clusters", f"{sum(map(len, readings.values())):,}"),
            ("samples at 60 Hz", f"{sum(points[:, 2].sum() for points in readings.values()):,.0f}"),
            (
                "time on the usual position of the lungs",
                f"{on_lungs_as_read:.0%}; {on_lungs_swapped:.0%} with rows and columns swapped",
            ),
        ],
    )
    with locked_target(out):
        gaze_sheet(readings, out, max_readings, seed)
    print(out)
