"""Does guidance help on simulated data? Arms x seeds, paired: the same split, initial weights and batches.

    python -m benchmarks.paired_seeds OUT

simulates, prepares and trains what is not there yet (about 45 minutes on two cores), and prints the test figures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from ggcam.data.prepare import prepare
from ggcam.data.prepare_config import PrepareConfig
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.simulate.config import SimulationConfig
from ggcam.data.simulate.simulator import simulate
from ggcam.data.sources import egd_cxr
from ggcam.evaluate import evaluate, write_evaluation
from ggcam.training.config import TrainConfig
from ggcam.training.fit import fit, resume

ARMS = ("none", "ggcam", "ggcam-cc", "released")
SEEDS = range(5)


def prepared(out: Path) -> PreparedData:
    """763 training, 108 validation and 219 test cases, with a shortcut that the test split lacks."""
    raw, data = out / "raw", out / "data"
    if data.is_dir():
        return load_prepared(data)
    if not raw.is_dir():
        simulate(raw, SimulationConfig(cases=1090, shortcut=0.8))
    return prepare(egd_cxr.read(raw), data, PrepareConfig(size="128x96", split_file=raw / "split.csv"))


def run(out: Path, guidance: str, seed: int) -> dict[str, object]:
    """Figures of one run, which is trained or finished first where that has not been done."""
    root = out / "run" / f"{guidance}-{seed}"
    if not (root / "metrics.json").is_file():
        if root.is_dir():
            resume(root)
        else:
            config = TrainConfig(guidance=guidance, backbone="resnet10t", output_stride=16, epochs=25, seed=seed)
            fit(prepared(out), config, out / "run", root.name)
        write_evaluation(root, evaluate(root))
    metrics = json.loads((root / "metrics.json").read_text())
    return {
        "guidance": guidance,
        "seed": seed,
        "macro AUROC": metrics["macro_auroc"]["value"],
        **{f"AUROC {name}": figure["value"] for name, figure in metrics["auroc"].items()},
        "hit rate, pneumonia": metrics["pointing_game"]["pneumonia"]["hit_rate"]["value"],
        "chance": metrics["pointing_game"]["pneumonia"]["chance"]["value"],
        "chance in lungs and heart": metrics["pointing_game"]["pneumonia"]["chance_in_lungs_and_heart"]["value"],
    }


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """A row an arm: means over seeds, and the paired differences to no guidance with their standard errors."""
    figures = [name for name in runs.columns if name not in ("guidance", "seed")]
    baseline = runs[runs["guidance"] == "none"].set_index("seed")
    rows = []
    for guidance, arm in runs.groupby("guidance", sort=False):
        arm = arm.set_index("seed")
        row: dict[str, object] = {"guidance": guidance, "seeds": len(arm)}
        for name in figures:
            row[name] = f"{arm[name].mean():.3f}"
            if guidance != "none" and not name.startswith("chance"):
                difference = (arm[name] - baseline[name]).dropna()
                error = difference.std(ddof=1) / np.sqrt(len(difference))
                row[name] = f"{row[name]} ({difference.mean():+.3f} ± {error:.3f})"
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    out = Path(sys.argv[1])
    runs = pd.DataFrame([run(out, guidance, seed) for seed in SEEDS for guidance in ARMS])
    print(runs.round(3).to_string(index=False))
    print(table(runs).to_string(index=False))


if __name__ == "__main__":
    main()
