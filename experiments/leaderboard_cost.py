"""What a training step of each method costs, relative to a step without guidance, each in a new process.

    python -m experiments.leaderboard_cost OUT --raw FOLDER [--part NAME] [--tables FOLDER]

OUT and FOLDER are those of `experiments.leaderboard`. A step is that of `ggcam train` on 32 cases of the part; time is
that of the processor, on one thread, so that other programs disturb it little.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import NamedTuple

import pandas as pd
from benchmarks.fresh_process import call_in_new_process

from experiments.leaderboard_parts import Part, parts
from ggcam.data.prepared import load_prepared
from ggcam.study.plan import Arm
from ggcam.training.config import TrainConfig

WARM_UP, STEPS, ROUNDS = 2, 10, 3


class Cost(NamedTuple):
    """Cost of a training step.

    Attributes:
        seconds: processor time of a step.
        peak_bytes: peak resident memory, minus that before the network was created.
    """

    seconds: float
    peak_bytes: int


def measure(data: Path, config: TrainConfig) -> Cost:
    """Measure the training steps of a config in this process.

    Args:
        data: the prepared folder.
        config: the config.

    Returns:
        Mean time of the steps, because some methods have stages or change only some steps, and the peak of all.
    """
    import torch

    from ggcam.data.dataset import PreparedDataset
    from ggcam.training.initial_model import build_initial_model
    from ggcam.training.lightning_module import GuidedTraining
    from ggcam.training.model_spec import ModelSpec
    from ggcam.training.train import guidance_of
    from ggcam.utils.freed_memory import all_freed_memory_kept

    torch.set_num_threads(1)
    prepared = load_prepared(data)
    batch = PreparedDataset(prepared, "train", cache="none").batch(list(range(config.batch_size)))
    unit = 1 if sys.platform == "darwin" else 1024
    before = getrusage(RUSAGE_SELF).ru_maxrss
    model = build_initial_model(ModelSpec.from_config(config, prepared), config).to(memory_format=torch.channels_last)
    module = GuidedTraining(model, guidance_of(config), config, prepared.frame.shape)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4)
    seconds: list[float] = []
    with all_freed_memory_kept():
        for step in range(WARM_UP + STEPS):
            started = time.process_time()
            module.guidance.progress = step / (WARM_UP + STEPS)
            module.compute_losses(batch).total.backward()
            optimizer.step()
            optimizer.zero_grad()
            seconds.append(time.process_time() - started)
    mean = sum(seconds[WARM_UP:]) / STEPS
    return Cost(mean, (getrusage(RUSAGE_SELF).ru_maxrss - before) * unit)


def costs(part: Part, data: Path) -> pd.DataFrame:
    """Measure all methods of a part, in turn, and several times.

    Args:
        part: the part.
        data: its prepared folder.

    Returns:
        One row per method: row, seconds, peak_mib, and both relative to no guidance.
    """
    arms = {"none": Arm("none")} | {row: of_row[1] for row, of_row in part.methods.items()}
    found: dict[str, list[Cost]] = {row: [] for row in arms}
    for _ in range(ROUNDS):
        for row, arm in arms.items():
            config = replace(
                part.base,
                guidance=arm.guidance,
                guidance_options=arm.options,
                guidance_weight=1.0 if arm.weight is None else arm.weight,
            )
            found[row].append(call_in_new_process(measure, data, config))
    seconds = {row: min(cost.seconds for cost in of_row) for row, of_row in found.items()}
    peak = {row: min(cost.peak_bytes for cost in of_row) for row, of_row in found.items()}
    return pd.DataFrame(
        {
            "row": list(arms),
            "seconds": [seconds[row] for row in arms],
            "relative_time": [seconds[row] / seconds["none"] for row in arms],
            "peak_mib": [peak[row] / 2**20 for row in arms],
            "relative_memory": [peak[row] / peak["none"] for row in arms],
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.leaderboard_cost",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder of the data")
    parser.add_argument("--raw", metavar="FOLDER", type=Path, required=True, help="folder with the real images")
    parser.add_argument("--part", default="shortcut", help="(default: shortcut)")
    parser.add_argument("--tables", type=Path, default=Path("docs/leaderboard"), help="folder for the table")
    options = parser.parse_args()
    part = parts(options.raw)[options.part]
    table = costs(part, part.data(options.out, options.raw).root)
    options.tables.mkdir(parents=True, exist_ok=True)
    table.round(3).to_csv(options.tables / f"{options.part}-cost.csv", index=False)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
