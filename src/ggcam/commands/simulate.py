"""`ggcam simulate`."""

from __future__ import annotations

from tyro.conf import OmitArgPrefixes

from ggcam.commands.arguments import Out
from ggcam.commands.terminal import print_table, progress_bar
from ggcam.simulation.config import SimulationConfig


def simulate(
    out: Out,
    config: OmitArgPrefixes[SimulationConfig] = SimulationConfig(),  # noqa: B008
) -> None:
    """Make chest X-ray phantoms with gaze and known truth, in the raw layout of EGD-CXR or REFLACX.

    Example: ggcam simulate raw --cases 1090 --shortcut 0.8

    Args:
        out: folder to make.
        config: what to draw.
    """
    from ggcam.simulation.simulator import simulate as run

    with progress_bar("simulating") as progress:
        summary = run(out, config, progress)
    counts = {**summary.per_class, **summary.per_split}
    print_table(["cases", *counts], [[f"{summary.cases:,}", *(f"{n:,}" for n in counts.values())]])
    split = "--split source" if config.layout == "reflacx" else f"--split-file {out / 'split.csv'}"
    print(f"{summary.fixations:,} fixations in {summary.readings:,} readings. Next: ggcam prepare {out} DATA {split}")
