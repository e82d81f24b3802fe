"""Whether training in bfloat16 gives the same results: pairs of runs that differ only in precision, simulated data.

    python -m experiments.precision_parity OUT [--seeds N] [--cases N] [--epochs N] [--backbone NAME] [--size HxW]

Simulates, prepares and trains everything that is missing (about an hour on two cores with the defaults). Prints the
test macro AUROC of each pair, the largest relative gap between the two curves of training loss, the same gap between
float32 runs with different seeds, and the mean difference with its standard error.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path

import numpy as np
from benchmarks.raw_cases import prepared_cases

from ggcam.data.prepared import PreparedData
from ggcam.evaluation.evaluate import evaluate
from ggcam.simulation.config import SimulationConfig
from ggcam.training.config import TrainConfig
from ggcam.training.run import open_run
from ggcam.training.train import resume, train


def run(data: PreparedData, out: Path, config: TrainConfig) -> tuple[float, np.ndarray]:
    """Return the test macro AUROC and the training loss of each epoch."""
    root = out / "run" / f"{config.precision}-{config.seed}"
    if not (root / "metrics.json").is_file():
        if root.is_dir():
            resume(root)
        else:
            train(data, config, out / "run", root.name)
        evaluate(root).save()
    history = open_run(root).history
    auroc = json.loads((root / "metrics.json").read_text())["macro_auroc"]["value"]
    return auroc, history["train_total"].to_numpy()


def gap(curve: np.ndarray, other: np.ndarray) -> float:
    """Return the largest relative difference over all epochs."""
    return float(np.abs(curve / other - 1).max())


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.precision_parity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cases", type=int, default=1090)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--backbone", default="resnet10t")
    parser.add_argument("--size", default="128x96")
    options = parser.parse_args()
    simulation = SimulationConfig(cases=options.cases)
    data = prepared_cases(options.out / "raw", options.out / "data", simulation, options.size)
    differences, curves = [], []
    for seed in range(options.seeds):
        found = {}
        for precision in ("32", "bf16"):
            config = TrainConfig(
                backbone=options.backbone, epochs=options.epochs, seed=seed, precision=precision, accelerator="cpu"
            )
            found[precision] = run(data, options.out, config)
        (plain, curve), (fast, fast_curve) = found["32"], found["bf16"]
        differences.append(fast - plain)
        curves.append(curve)
        what = f"macro AUROC {plain:.4f} in float32, {fast:.4f} in bfloat16; loss within {gap(fast_curve, curve):.1%}"
        print(f"seed {seed}: {what}", flush=True)
    between = [gap(a, b) for a, b in combinations(curves, 2)]
    if between:
        print(f"float32 with other seeds: loss within {min(between):.1%} to {max(between):.1%}")
    error = np.std(differences, ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else np.nan
    print(f"bfloat16 - float32: {np.mean(differences):+.4f} ± {error:.4f} (standard error)")


if __name__ == "__main__":
    main()
