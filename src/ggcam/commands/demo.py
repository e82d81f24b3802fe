"""`ggcam demo`."""

from __future__ import annotations

import sys
from pathlib import Path

from ggcam.commands.terminal import print_table
from ggcam.commands.train import silence_lightning


def demo(out: Path = Path("demo"), overwrite: bool = False, seed: int = 0) -> None:
    """The main job on simulated data, in a few minutes: simulate, prepare, train twice, evaluate, predict.

    Example: ggcam demo --out demo

    Args:
        out: folder to make.
        overwrite: replace an earlier demo's folder.
        seed: of everything.
    """
    from ggcam.study.demo import run_demo

    silence_lightning()
    print("ggcam demo: does a classifier do better when it is shown where the reader looked? (simulated data)")
    result = run_demo(out, overwrite, seed, print, progress_bar=sys.stderr.isatty())
    print_table(result.head, result.rows)
    print(f"image, gaze, and class activation maps without and with guidance: {result.picture}")
    print(f"pages: {', '.join(str(page) for page in result.pages)}")
