"""Studies on real images: chest X-rays with radiologists' boxes, and photographs with the gaze of five observers.

    python -m experiments.real_images OUT --raw FOLDER [--parts NAME ...] [--tables FOLDER]

FOLDER holds `nih_boxes` (images of ChestX-ray14 that have a box or no finding: labels.csv, boxes.csv), `poet` (POET:
labels.csv, fixations.csv, boxes.csv), and `weights/tf_efficientnet_lite0.pth` (ImageNet). What is missing in OUT is
prepared and trained; the same command continues an interrupted one.

X-rays: each patient is in the test split of one of five folds. Photographs: readers 1 to 3 guide the training, and the
CAMs are compared with the gaze of readers 4 and 5 on the test images.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from experiments.evidence import complete, write_tables
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.study.plan import Arm, StudyPlan
from ggcam.training.config import TrainConfig

SIZE = "128x128"
TRAINING_READERS = (1, 2, 3)

PLACES = {
    "hit_rate": "pointing_game/{}/hit_rate",
    "chance": "pointing_game/{}/chance",
    "best_iou": "overlap/{}/best_iou/cam",
    "best_iou_chance": "overlap/{}/best_iou/chance",
    "average_precision": "overlap/{}/average_precision/cam",
    "average_precision_chance": "overlap/{}/average_precision/chance",
    "energy_inside": "overlap/{}/energy_inside/cam",
    "energy_inside_chance": "overlap/{}/energy_inside/chance",
}
"""Column -> metric of a finding."""

CALIBRATION = ("ece", "uncalibrated/ece", "brier", "uncalibrated/brier")

AGREEMENT = tuple(
    f"gaze_agreement/{name}/{other}"
    for name in ("cc", "nss")
    for other in ("cam", "shuffled_gaze", "centre", "other_reader")
)
"""Agreement of CAMs with gaze: correlation, and normalised scanpath saliency; that of other maps in their place."""

NONE, GUIDED, BOXES = Arm("none"), Arm("ggcam-cc"), Arm("ggcam-cc", attention="boxes")
CONTROLS = (Arm("ggcam-cc", "shuffled-gaze"), Arm("ggcam-cc", "centre"))

SCRATCH = TrainConfig(backbone="resnet18", num_stages=4, epochs=8)


def pretrained(raw: Path, epochs: int, lr: float) -> TrainConfig:
    """Return a config that starts from EfficientNet-Lite0's ImageNet weights.

    Epochs and learning rate were chosen with seed 100 on the validation split, without guidance.
    """
    weights = raw / "weights" / "tf_efficientnet_lite0.pth"
    return TrainConfig(
        backbone="tf_efficientnet_lite0", weights=weights, num_stages=4, epochs=epochs, lr=lr, precision="32"
    )


@dataclass(frozen=True)
class Part:
    """One of the studies.

    Attributes:
        data: name of the raw folder.
        base: training config of each run.
        arms: arms to compare.
        seeds: number of seeds.
        folds: number of folds by patient; 0 keeps one split.
    """

    data: str
    base: TrainConfig
    arms: tuple[Arm, ...]
    seeds: int = 1
    folds: int = 0


def parts(raw: Path) -> dict[str, Part]:
    """Return the studies by name."""
    return {
        "nih-scratch": Part("nih_boxes", SCRATCH, (NONE, GUIDED, *CONTROLS), folds=5),
        "nih-pretrained": Part("nih_boxes", pretrained(raw, 5, lr=1e-3), (NONE, GUIDED, *CONTROLS), folds=5),
        "poet": Part("poet", pretrained(raw, 3, lr=1e-3), (NONE, GUIDED, BOXES, *CONTROLS), seeds=5),
    }


def prepared(out: Path, raw: Path, name: str) -> PreparedData:
    """Load the prepared folder of a data set; create it if it does not exist."""
    data = out / f"{name}-{SIZE}"
    if data.is_dir():
        return load_prepared(data)
    if name != "poet":
        return prepare(raw / name, data, PrepareConfig(size=SIZE))
    folder = out / "poet-raw"
    split = _other_readers_on_test_images(raw / name, folder)
    return prepare(folder, data, PrepareConfig(size=SIZE, split_file=split))


def _other_readers_on_test_images(raw: Path, out: Path) -> Path:
    """Copy POET with readers 1 to 3 on training images and 4 and 5 on all others; return the split file."""
    labels, fixations = pd.read_csv(raw / "labels.csv"), pd.read_csv(raw / "fixations.csv")
    classes, split = labels["label"].to_numpy(), np.full(len(labels), "train", dtype=object)
    others = train_test_split(np.arange(len(labels)), test_size=0.3, stratify=classes, random_state=0)[1]
    split[others] = "valid"
    split[train_test_split(others, test_size=2 / 3, stratify=classes[others], random_state=0)[1]] = "test"
    shutil.copytree(raw / "images", out / "images", dirs_exist_ok=True)
    for name in ("labels.csv", "boxes.csv"):
        shutil.copy(raw / name, out)
    of_training = fixations["reader"].isin(TRAINING_READERS)
    in_training = fixations["image"].isin(labels.loc[split == "train", "image"].tolist())
    fixations[in_training == of_training].to_csv(out / "fixations.csv", index=False)
    ids = ["_".join(Path(image).with_suffix("").parts) for image in labels["image"]]
    pd.DataFrame({"id": ids, "split": split}).to_csv(out / "splits.csv", index=False)
    return out / "splits.csv"


def places(runs: pd.DataFrame) -> pd.DataFrame:
    """Return how well CAMs find each finding: means over the test cases of all runs, one row per arm and finding."""
    rows = []
    for (arm, finding), cases in _by_finding(runs, "pointing_game/{}/cases").items():
        row: dict[str, object] = {"arm": arm, "finding": finding, "cases": int(cases.sum())}
        for name, metric in PLACES.items():
            values = _by_finding(runs, metric)[arm, finding].reindex(cases.index)
            row[name] = float((values * cases).sum() / cases.sum())
        rows.append(row)
    return pd.DataFrame(rows)


def _by_finding(runs: pd.DataFrame, pattern: str) -> dict[tuple[str, str], pd.Series]:
    """Return the values of a metric by arm and finding, each indexed by seed and fold."""
    before, after = pattern.split("{}")
    chosen = runs.loc[runs["metric"].str.match(f"^{before}[^/]+{after}$")]
    finding = chosen["metric"].str.removeprefix(before).str.removesuffix(after)
    grouped = chosen.set_index(["seed", "fold"]).groupby([chosen["arm"].to_numpy(), finding.to_numpy()])
    return {(str(arm), str(name)): values["value"].astype(float) for (arm, name), values in grouped}


def means(runs: pd.DataFrame, metrics: tuple[str, ...]) -> pd.DataFrame:
    """Return the means of metrics over the runs of each arm."""
    chosen = runs.loc[runs["metric"].isin(metrics)]
    return chosen.groupby(["arm", "metric"])["value"].mean().unstack()[list(metrics)].reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.real_images",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for data and studies")
    parser.add_argument("--raw", metavar="FOLDER", type=Path, required=True, help="folder with the raw data")
    parser.add_argument("--parts", metavar="NAME", nargs="+", help="(default: all)")
    parser.add_argument("--workers", type=int, default=2, help="number of runs at a time (default: 2)")
    parser.add_argument("--tables", type=Path, default=Path("docs/evidence"), help="folder for the tables")
    options = parser.parse_args()
    for name, part in parts(options.raw).items():
        if options.parts is None or name in options.parts:
            plan = StudyPlan(part.base, part.arms, tuple(range(part.seeds)), part.folds)
            data = prepared(options.out, options.raw, part.data)
            result = complete(data, plan, options.out / name, options.workers)
            options.tables.mkdir(parents=True, exist_ok=True)
            write_tables(result, options.tables, name)
            tables = {"places": places(result.runs), "calibration": means(result.runs, CALIBRATION)}
            if bool(data.cases["has_gaze"].to_numpy().any()):
                tables["agreement"] = means(result.runs, AGREEMENT)
            for kind, table in tables.items():
                table.round(4).to_csv(options.tables / f"{name}-{kind}.csv", index=False)


if __name__ == "__main__":
    main()
