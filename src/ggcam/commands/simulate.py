"""`ggcam simulate`."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import OmitArgPrefixes, arg

from ggcam.commands.arguments import Out
from ggcam.commands.terminal import print_table, show_progress
from ggcam.simulation.config import SimulationConfig


def simulate(
    out: Out,
    config: OmitArgPrefixes[Annotated[SimulationConfig, arg(name="")]] = SimulationConfig(),  # noqa: B008
) -> None:
    """Simulate chest X-rays with gaze and known findings.

    Example: ggcam simulate raw --cases 1090 --shortcut 0.8

    Writes the raw layout of EGD-CXR or REFLACX.

    Args:
        out: folder to create.
        config: options of the simulation.
    """
    from ggcam.simulation.simulator import simulate as run

    with show_progress("simulating", "cases") as progress:
        summary = run(out, config, progress=progress)
    counts = {**summary.per_class, **summary.per_split}
    print_table(["cases", *counts], [[f"{summary.cases:,}", *(f"{n:,}" for n in counts.values())]])
    split = "--split source" if config.layout == "reflacx" else f"--split-file {out / 'split.csv'}"
    print(f"{summary.fixations:,} fixations in {summary.readings:,} readings. Next: ggcam prepare {out} DATA {split}")
