"""Whether networks that are guided by label-specific gaze look at the finding; a part of docs/label-gaze.md.

    python -m experiments.label_gaze_training OUT [--seeds 1 2 3] [--cases 480]

Trains on the data of `python -m experiments.label_gaze OUT` with each kind of label-specific gaze, one run per
simulated data set, and prints how often the CAM of a label peaks in or beside an ellipse of the finding in the test
cases.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from experiments.label_gaze import simulated_data, with_window
from ggcam.data.prepared import PreparedData
from ggcam.data.view_config import ViewConfig
from ggcam.evaluation.evaluate import evaluate
from ggcam.training.config import TrainConfig
from ggcam.training.run import open_run
from ggcam.training.train import train

BASE = TrainConfig(backbone="resnet18", num_stages=3, epochs=10, batch_size=32, calibration=False, accelerator="cpu")


def main() -> None:
    """Train what is missing in OUT, and print the hit rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cases", type=int, default=480)
    args = parser.parse_args()
    rows = []
    for seed in args.seeds:
        data = simulated_data(args.out, seed, args.cases)
        for name, (config, change) in ARMS.items():
            run = args.out / "runs" / f"{name.replace(' ', '-')}-{seed}-{args.cases}"
            if not run.exists():
                train(change(data), replace(config, seed=seed), run.parent, run.name)
            metrics = evaluate(open_run(run), data).metrics
            for finding, game in metrics["pointing_game"].items():
                hits = {"hit rate": game["hit_rate"]["value"], "chance": game["chance"]["value"]}
                rows.append({"arm": name, "finding": finding, "cases": game["cases"], **hits})
            print(f"{name}, seed {seed}: macro AUROC {metrics['macro_auroc']['value']:.3f}", flush=True)
    print(summarise(pd.DataFrame(rows)).round(2).to_string())


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the hit rates over the data sets, weighted by cases.

    Args:
        rows: arm, finding, cases, hit rate and chance of each run.

    Returns:
        One row per arm and one for chance, one column per finding that at least 20 cases have.
    """
    cases = rows.pivot_table(index="arm", columns="finding", values="cases", aggfunc="sum", sort=False)

    def average(column: str) -> pd.DataFrame:
        hits = rows.assign(hits=rows[column] * rows["cases"])
        return hits.pivot_table(index="arm", columns="finding", values="hits", aggfunc="sum", sort=False) / cases

    table = pd.concat([average("hit rate"), average("chance").iloc[:1].rename(index=lambda _: "chance")])
    return table.loc[:, cases.min() >= 20]


def as_it_is(data: PreparedData) -> PreparedData:
    """Return the data unchanged."""
    return data


ARMS: dict[str, tuple[TrainConfig, Callable[[PreparedData], PreparedData]]] = {
    "none": (replace(BASE, guidance="none"), as_it_is),
    "all": (replace(BASE, label_gaze="all"), as_it_is),
    "window": (replace(BASE, label_gaze="own-else-all"), with_window),
    "prior": (replace(BASE, label_gaze="weighted", label_cues=("prior",)), as_it_is),
    "all cues": (replace(BASE, label_gaze="weighted"), as_it_is),
    "all cues shuffled": (
        replace(BASE, label_gaze="weighted", view=ViewConfig(control="shuffled-in-class")),
        as_it_is,
    ),
}
"""Name -> config, and what is done with the prepared data before the training."""


if __name__ == "__main__":
    main()
