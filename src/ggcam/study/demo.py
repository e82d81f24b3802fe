"""The whole workflow on simulated data, small enough for two cores and a few minutes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData
from ggcam.data.sources import egd_cxr
from ggcam.errors import DataError
from ggcam.evaluation.evaluate import Evaluation, evaluate
from ggcam.inference.predict import predict
from ggcam.report.cases import CaseReader
from ggcam.report.plots import ComparisonCase, save_comparison
from ggcam.report.run_files import read_cams, read_predictions
from ggcam.run_folder import PROBABILITY
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.simulator import simulate
from ggcam.training.config import TrainConfig
from ggcam.training.run import Run
from ggcam.training.train import OnEpoch, train

GUIDANCES = ("none", "ggcam-cc")
CASES = 640
EPOCHS = 25
CASES_IN_PICTURE = 4
IMAGES_TO_PREDICT = 6

README = """The output of `ggcam demo`, made from simulated data. `ggcam demo --overwrite` replaces the whole folder.

raw/             simulated chest X-rays and gaze, in the raw layout of EGD-CXR
data/            the prepared folder
run/             two run folders, without and with guidance; open their report.html
predictions/     predictions of test images in DICOM format, without gaze
comparison.png   image, gaze, and CAMs without and with guidance
"""


@dataclass(frozen=True, eq=False)
class DemoResult:
    """Results of the demo.

    Attributes:
        table: one row per guidance: macro_auroc, accuracy, hit_rate (share of pneumonia cases whose CAM peaks on the
            finding) and chance (hit rate of a uniform map); macro_auroc and hit_rate with their 95 % intervals
            (columns _low and _high).
        picture: image, gaze, and CAMs without and with guidance.
        reports: HTML report of each run.
    """

    table: pd.DataFrame
    picture: Path
    reports: tuple[Path, ...]


def run_demo(
    out: str | Path = "demo",
    *,
    overwrite: bool = False,
    seed: int = 0,
    cases: int = CASES,
    epochs: int = EPOCHS,
    on_step: Callable[[str], None] = lambda _: None,
    on_epoch: OnEpoch | None = None,
    progress_bar: bool = False,
) -> DemoResult:
    """Simulate, prepare, train without and with guidance on the same split, evaluate both, and predict.

    Args:
        out: folder to create.
        overwrite: replace the folder of an earlier demo.
        seed: random seed of the simulation and the training.
        cases: number of images to simulate.
        epochs: number of epochs of each run.
        on_step: called with a description of each step before it starts.
        on_epoch: called with each row of the history of each run.
        progress_bar: show a progress bar on the terminal during training.

    Returns:
        The metrics of both runs, and the files to look at.

    Raises:
        DataError: `out` is not empty and not the folder of a demo, or it is one and `overwrite` is False.

    Example:
        >>> import ggcam
        >>> result = ggcam.run_demo("demo")                      # doctest: +SKIP
        >>> result.table[["guidance", "macro_auroc", "hit_rate"]]  # doctest: +SKIP
    """
    out = Path(out)
    _create_folder(out, overwrite)
    raw, prepared = out / "raw", out / "data"
    on_step(f"1/5 simulating {cases} chest X-rays with gaze in the raw layout of EGD-CXR")
    simulate(raw, SimulationConfig(cases=cases, shortcut=0.8, seed=seed))
    on_step("2/5 preparing them, as one would prepare the real download")
    data = prepare_source(egd_cxr.read(raw), prepared, PrepareConfig(size="128x96", split_file=raw / "split.csv"))
    evaluations: dict[str, Evaluation] = {}
    runs: dict[str, Run] = {}
    for number, guidance in enumerate(GUIDANCES, start=3):
        on_step(f"{number}/5 training with guidance {guidance!r} and evaluating on the test split")
        config = TrainConfig(guidance=guidance, backbone="resnet18", num_stages=3, epochs=epochs, seed=seed)
        runs[guidance] = train(data, config, out / "run", guidance, on_epoch=on_epoch, progress_bar=progress_bar)
        evaluations[guidance] = evaluate(runs[guidance])
        evaluations[guidance].save()
    on_step("5/5 predicting test images in DICOM format, without gaze")
    test = data.cases.loc[data.cases["split"] == "test", "case_id"].tolist()[:IMAGES_TO_PREDICT]
    files = [next(raw.glob(f"files/*/*/*/{case_id}.dcm")) for case_id in test]
    predict(runs[GUIDANCES[-1]].folder.root, files, out / "predictions")
    picture = out / "comparison.png"
    save_comparison(_comparison_cases(data, *runs.values()), picture, guidance=GUIDANCES[-1])
    table = pd.DataFrame([_row(guidance, evaluation.metrics) for guidance, evaluation in evaluations.items()])
    return DemoResult(table, picture, tuple(run.folder.html_report for run in runs.values()))


def _create_folder(out: Path, overwrite: bool) -> None:
    """Create the folder with a README, by which a later call recognises a demo, even an unfinished one."""
    readme = out / "README.txt"
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not (readme.is_file() and readme.read_text(encoding="utf-8", errors="replace") == README):
            raise DataError("the output folder exists and is not a demo", where=out, hint="choose another --out")
        if not overwrite:
            raise DataError(
                "the output folder holds an earlier demo", where=out, hint="choose another --out, or pass --overwrite"
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    readme.write_text(README, encoding="utf-8")


def _row(guidance: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    auroc, game = metrics["macro_auroc"], metrics["pointing_game"]["pneumonia"]
    hits = game["hit_rate"]
    return {
        "guidance": guidance,
        **{"macro_auroc": auroc["value"], "macro_auroc_low": auroc["low"], "macro_auroc_high": auroc["high"]},
        "accuracy": metrics["accuracy"]["value"],
        **{"hit_rate": hits["value"], "hit_rate_low": hits["low"], "hit_rate_high": hits["high"]},
        "chance": game["chance"]["value"],
    }


def _comparison_cases(data: PreparedData, without: Run, guided: Run) -> list[ComparisonCase]:
    """Return the first test cases with pneumonia and gaze: they are not chosen by their results."""
    runs = (without, guided)
    before, after = (CaseReader(data, read_cams(run.folder), run.config.sigma_px, run.config.sigma_deg) for run in runs)
    tables = [read_predictions(run.folder) for run in runs]
    label = data.class_names.index("pneumonia")
    probability = pd.DataFrame(
        {
            name: table.set_index("case_id")[f"{PROBABILITY}pneumonia"]
            for name, table in zip(("before", "after"), tables, strict=True)
        }
    )
    chosen = [
        case_id
        for case_id, truth in zip(tables[0]["case_id"], tables[0]["label"], strict=True)
        if truth == label and case_id in data.gaze
    ]
    pictures = []
    for case_id in chosen[:CASES_IN_PICTURE]:
        shown, guided_shown = before[case_id], after[case_id]
        pictures.append(
            ComparisonCase(
                name=f"{case_id[:8]}: pneumonia",
                image=shown.image,
                regions=shown.findings,
                gaze=shown.gaze,
                cam_without=shown.cam[label].astype(float),
                cam_with=guided_shown.cam[label].astype(float),
                probability_without=float(probability.loc[case_id, "before"]),
                probability_with=float(probability.loc[case_id, "after"]),
            )
        )
    return pictures
