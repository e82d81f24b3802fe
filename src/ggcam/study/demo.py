"""The main job from end to end on simulated data, small enough for two cores and a few minutes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.data.prepared import PreparedData
from ggcam.data.sources import egd_cxr
from ggcam.errors import DataError
from ggcam.evaluation.evaluate import Evaluation, evaluate, write_evaluation
from ggcam.inference.predict import predict
from ggcam.report.cases import CaseReader, read_cams, read_predictions
from ggcam.report.plots import ComparisonCase, comparison
from ggcam.run_folder import PROBABILITY, RunFolder, open_run_folder
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.simulator import simulate
from ggcam.training.config import TrainConfig
from ggcam.training.fit import fit

GUIDANCES = ("none", "ggcam-cc")
CASES = 640
PICTURED = 4
PREDICTED = 6

NOTE = """What `ggcam demo` left here, made from simulated data. `ggcam demo --overwrite` replaces the whole folder.

raw/             simulated chest X-rays and gaze, in the raw layout of EGD-CXR
data/            the same, prepared
run/             a run folder without guidance and one with; open their report.html
predictions/     test images predicted straight from DICOM, without gaze
comparison.png   image, gaze, and CAMs without and with guidance
"""


@dataclass(frozen=True)
class DemoResult:
    """What the demo leaves.

    Attributes:
        head: of the comparison table.
        rows: of the comparison table, one a guidance.
        picture: image, gaze, and CAMs without and with guidance.
        pages: the report of each run.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    picture: Path
    pages: tuple[Path, ...]


def run_demo(
    out: Path,
    overwrite: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
    cases: int = CASES,
    epochs: int = 25,
    progress_bar: bool = False,
) -> DemoResult:
    """Simulate, prepare, train without and with guidance on the same split, evaluate both, predict.

    Args:
        out: folder to make.
        overwrite: replace it when it is a demo's.
        seed: of everything.
        say: told what happens.
        cases: images to simulate.
        epochs: of each training.
        progress_bar: draw one on the terminal while training.

    Raises:
        DataError: there is something in the way that is no demo's.
    """
    _make_room(out, overwrite)
    raw, prepared = out / "raw", out / "data"
    say(f"1/5 simulating {cases} chest X-rays with gaze, in the raw layout of EGD-CXR")
    simulate(raw, SimulationConfig(cases=cases, shortcut=0.8, seed=seed))
    say("2/5 preparing them, as one would prepare the real download")
    data = prepare(egd_cxr.read(raw), prepared, PrepareConfig(size="128x96", split_file=raw / "split.csv"))
    evaluations: dict[str, Evaluation] = {}
    runs: dict[str, RunFolder] = {}
    for number, guidance in enumerate(GUIDANCES, start=3):
        say(f"{number}/5 training with guidance {guidance!r} and evaluating on the test split")
        config = TrainConfig(guidance=guidance, backbone="resnet18", num_stages=3, epochs=epochs, seed=seed)
        runs[guidance] = fit(data, config, out / "run", guidance, progress_bar=progress_bar)
        evaluations[guidance] = evaluate(runs[guidance].root)
        write_evaluation(runs[guidance].root, evaluations[guidance])
    say("5/5 predicting test images straight from DICOM, without gaze")
    test = data.cases.loc[data.cases["split"] == "test", "case_id"].tolist()[:PREDICTED]
    files = [next(raw.glob(f"files/*/*/*/{case_id}.dcm")) for case_id in test]
    predict(runs[GUIDANCES[-1]].root, files, out / "predictions")
    picture = out / "comparison.png"
    comparison(_pictured(data, *runs.values()), picture, guidance=GUIDANCES[-1])
    rows = tuple(_row(guidance, evaluation.metrics) for guidance, evaluation in evaluations.items())
    head = ("guidance", "macro AUROC [95 %]", "accuracy", "CAM peaks on pneumonia [95 %]", "chance")
    return DemoResult(head, rows, picture, tuple(run.html_report for run in runs.values()))


def _make_room(out: Path, overwrite: bool) -> None:
    """An empty folder but for a note by which a later call knows it for a demo's, however far that one got."""
    note = out / "README.txt"
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not (note.is_file() and note.read_text(encoding="utf-8", errors="replace") == NOTE):
            raise DataError("there is something in the demo's place", where=out, hint="choose another --out")
        if not overwrite:
            raise DataError("there is an earlier demo", where=out, hint="choose another --out, or --overwrite it")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    note.write_text(NOTE, encoding="utf-8")


def _row(guidance: str, metrics: Mapping[str, Any]) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    def metric(found: Mapping[str, float | None]) -> str:
        return f"{number(found['value'])} [{number(found['low'])}, {number(found['high'])}]"

    game = metrics["pointing_game"]["pneumonia"]
    return (
        guidance,
        metric(metrics["macro_auroc"]),
        number(metrics["accuracy"]["value"]),
        metric(game["hit_rate"]),
        number(game["chance"]["value"]),
    )


def _pictured(data: PreparedData, without: RunFolder, guided: RunFolder) -> list[ComparisonCase]:
    """The first test cases with pneumonia and gaze: not chosen by how well they came out."""
    runs = [open_run_folder(run.root) for run in (without, guided)]
    before, after = (CaseReader(run, data, read_cams(run)) for run in runs)
    tables = [read_predictions(run) for run in runs]
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
    for case_id in chosen[:PICTURED]:
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
