"""`ggcam demo`."""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

from ggcam.commands.terminal import print_table
from ggcam.commands.train import EpochPrinter


def demo(out: Path = Path("demo"), overwrite: bool = False, seed: int = 0) -> None:
    """Run the whole workflow on simulated data in a few minutes.

    Example: ggcam demo --out demo

    Simulates chest X-rays with gaze, prepares them, trains without and with guidance, evaluates and predicts.

    Args:
        out: folder to create.
        overwrite: replace the folder of an earlier demo.
        seed: random seed of the simulation and the training.
    """
    from ggcam.study.demo import EPOCHS, run_demo

    print("ggcam demo: does a classifier improve when it learns where the reader looked? (simulated data)", flush=True)
    result = run_demo(
        out,
        overwrite=overwrite,
        seed=seed,
        on_step=lambda text: print(text, flush=True),
        on_epoch=EpochPrinter(EPOCHS),
        progress_bar=sys.stderr.isatty(),
    )
    print_table(
        ["guidance", "macro AUROC [95 %]", "accuracy", "CAM peaks on pneumonia [95 %]", "chance"],
        [
            [
                str(row["guidance"]),
                _with_interval(row, "macro_auroc"),
                _number(row["accuracy"]),
                _with_interval(row, "hit_rate"),
                _number(row["chance"]),
            ]
            for row in result.table.to_dict("records")
        ],
    )
    print(f"image, gaze, and class activation maps without and with guidance: {result.picture}")
    print(f"reports: {', '.join(str(report) for report in result.reports)}")


def _with_interval(row: Mapping[Hashable, Any], name: str) -> str:
    return f"{_number(row[name])} [{_number(row[f'{name}_low'])}, {_number(row[f'{name}_high'])}]"


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3f}"
