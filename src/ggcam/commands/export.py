"""`ggcam export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from ggcam.commands.arguments import Run


def export(
    run: Run,
    file_format: Annotated[Literal["released"], arg(name="format")],
    out: Path = Path("NET.pt"),
) -> None:
    """Write a trained network for another program.

    Example: ggcam export run/K3F9Q --format released --out NET.pt

    Args:
        run: the run folder.
        file_format: released is the original GG-CAM's file of weights, for a run with one of its networks.
        out: the file to write.
    """
    from ggcam.export import EXPORTERS

    EXPORTERS[file_format](run, out)
    print(out)
