"""Evaluate a trained run on a split that it has not seen, and complete its run folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from ggcam.data.case import Split
from ggcam.data.dataset import PreparedDataset, SeededBatches
from ggcam.data.prepared import Labels, label_columns, load_prepared
from ggcam.data.views import apply_view
from ggcam.errors import ConfigError, PreparedFolderError
from ggcam.evaluation.cam_metrics import Blur
from ggcam.evaluation.faithfulness import faithfulness_metrics, sampled_rows
from ggcam.evaluation.run_metrics import INTERVAL, measure, scored_pairs
from ggcam.inference.backends import TorchEngine
from ggcam.inference.probabilities import Prediction, Predictor, find_device
from ggcam.metrics.classification import classification_report, nan_to_none
from ggcam.metrics.localisation import peak_cell
from ggcam.metrics.multilabel import multilabel_report
from ggcam.report.run_page import write_run_report
from ggcam.report.run_results import read_results
from ggcam.run_folder import LOGIT, PROBABILITY, RunFolder, data_of, open_run_folder, write_json
from ggcam.training.config import config_from_dict
from ggcam.training.model_spec import ModelSpec, load_model
from ggcam.utils.atomic import atomic_path, atomic_write


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a run does on one split.

    Attributes:
        split: which one.
        class_names: of each output.
        cases: (n rows), the cases of the split as in cases.parquet.
        labels: (n,), class index of each; where a case may have several labels (n, k), 1, 0 or NaN (unknown).
        logits: (n, k).
        probabilities: (n, k).
        cam: (n, k, h, w).
        report: metrics with the names of the original GG-CAM, for classification_report.json.
        metrics: content of metrics.json: the metrics of `measure.measure`, and what they were measured on.
        per_case: the values that those metrics are the means of, as `measure.measure` has them.
    """

    split: Split
    class_names: tuple[str, ...]
    cases: pd.DataFrame
    labels: Labels
    logits: Float[np.ndarray, "n k"]
    probabilities: Float[np.ndarray, "n k"]
    cam: Float[np.ndarray, "n k h w"]
    report: Mapping[str, Any]
    metrics: Mapping[str, Any]
    per_case: pd.DataFrame


def evaluate(
    root: Path,
    data_root: Path | None = None,
    split: Split = "test",
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    faithfulness_cases: int = 0,
) -> Evaluation:
    """Run the best network over a split and measure it; nothing is written.

    A run that was trained on folds is tested on the fold that it held out.

    Args:
        root: the run folder.
        data_root: the prepared folder; by default the one the run was trained on.
        split: "test", unless one wants to look at another.
        device: where to run; by default a GPU where there is one.
        progress: called with (done, all).
        faithfulness_cases: of so many cases at most, the same for every run over a split, it is also measured whether the
            score goes and comes with what the CAM marks (`measure_faithfulness`). Each takes as long as forty others.

    Raises:
        ConfigError: there is no such device, or no such number of cases.
        RunFolderError: the run is not finished, or has other classes or another frame than the data.
        PreparedFolderError: the split is empty, or the data are gone.
    """
    if faithfulness_cases < 0:
        raise ConfigError(
            "no such number of cases",
            where="--faithfulness-cases",
            expected="0, which is none, or more",
            got=faithfulness_cases,
        )
    run = open_run_folder(root)
    model = load_model(run)
    data = load_prepared(data_root) if data_root is not None else data_of(run)
    description = ModelSpec.from_run(run)
    description.check_match(data)
    config = config_from_dict(run.settings["train"])
    # The cases that the run held out; and the real gaze, whatever it was shown in its place.
    data = apply_view(data, replace(config.view, control="none"))
    dataset = PreparedDataset(data, split, cache="none")
    if not len(dataset):
        raise PreparedFolderError(f"there are no {split} cases", where=data.root)
    predictor = Predictor(TorchEngine(model, find_device(device)), description.multi_label)
    labels = data.labels_of(dataset.cases)
    case, label = scored_pairs(labels)
    asked_again = sampled_rows(len(case), faithfulness_cases)

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, len(dataset) + len(asked_again))

    answers: list[Prediction] = []
    for rows in SeededBatches(len(dataset), config.batch_size, seed=None):
        answers.append(predictor(dataset[rows].image))
        tell(min(len(answers) * config.batch_size, len(dataset)))
    logits, probabilities, cam = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    more = faithfulness_metrics(
        lambda rows: dataset[case[rows].tolist()].image,
        cam[case, label].astype(np.float64),
        label,
        predictor,
        asked_again,
        config.batch_size,
        lambda done: tell(len(dataset) + done),
    )
    blur = Blur(config.sigma_px, config.sigma_deg)
    metrics, per_case = measure(data, dataset.cases, probabilities, cam, blur, more)
    return Evaluation(
        split=split,
        class_names=data.class_names,
        cases=dataset.cases,
        labels=labels,
        logits=logits,
        probabilities=probabilities,
        cam=cam,
        report=(multilabel_report if data.multi_label else classification_report)(logits, labels, data.class_names),
        metrics=nan_to_none(
            {
                "split": split,
                "data": str(data.root.resolve()),
                "cases": len(dataset),
                "patients": dataset.cases["patient_id"].nunique(),
                "interval": INTERVAL,
                **metrics,
            }
        ),
        per_case=per_case,
    )


def write_evaluation(root: Path, evaluation: Evaluation) -> RunFolder:
    """Complete the run folder: report, outputs, metrics, predictions, CAMs and the page.

    In predictions.parquet "predicted" is the most probable class, and the peak is that of the true class's CAM; where a
    case may have several labels, of the most probable one's. The label columns are those of cases.parquet.

    Raises:
        RunFolderError: it is no run folder any more.
    """
    run = open_run_folder(root)
    cases, labels, predicted = evaluation.cases, evaluation.labels, evaluation.probabilities.argmax(axis=1)
    write_json(run.classification_report, evaluation.report)
    atomic_write(run.results_csv, outputs_table(evaluation.probabilities, labels, cases["case_id"].tolist()).to_csv())
    write_json(run.metrics, evaluation.metrics)
    shown = labels if labels.ndim == 1 else predicted
    row, column = peak_cell(evaluation.cam[np.arange(len(cases)), shown]).T
    for_labels = label_columns(list(cases))
    kind = "int64" if for_labels == ["label"] else "Int8"  # the latter knows nulls
    predictions = (
        cases[["case_id", "patient_id", "split", *for_labels]]
        .astype(dict.fromkeys(for_labels, kind))
        .assign(predicted=predicted, cam_peak_row=row, cam_peak_column=column)
    )
    for k, name in enumerate(evaluation.class_names):
        predictions[LOGIT + name] = evaluation.logits[:, k]
        predictions[PROBABILITY + name] = evaluation.probabilities[:, k]
    for table, path in ((predictions, run.predictions), (evaluation.per_case, run.case_metrics)):
        with atomic_path(path) as aside:
            table.to_parquet(aside, index=False)
    with atomic_path(run.cams) as aside, aside.open("wb") as file:
        case_ids = cases["case_id"].to_numpy(np.str_)
        np.savez_compressed(file, case_id=case_ids, cam=evaluation.cam.astype(np.float16))
    write_run_report(read_results(run), run.html_report)
    return run


def outputs_table(probabilities: Float[np.ndarray, "n k"], labels: Labels, case_ids: list[str]) -> pd.DataFrame:
    """Columns Y and Y_pred as in the original GG-CAM's classification_results.csv, lists as text, and case_id.

    Y holds the class, as there; where a case may have several labels, 1, 0 or None (unknown) for each class.
    """
    if labels.ndim == 1:
        truth = [[int(label)] for label in labels]
    else:
        truth = [[None if np.isnan(value) else int(value) for value in row] for row in labels]
    return pd.DataFrame(
        {
            "Y": [str(row) for row in truth],
            "Y_pred": [str(row) for row in probabilities.astype(float).tolist()],
            "case_id": case_ids,
        }
    )
