"""Evaluate a trained run on a split, and complete its run folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from ggcam.data.case import Split
from ggcam.data.dataset import PreparedDataset
from ggcam.data.parquet_files import write_parquet
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.schema import Labels, label_columns
from ggcam.errors import ConfigError, PreparedFolderError
from ggcam.evaluation.calibration_metrics import calibration_metrics
from ggcam.evaluation.cam_metrics import Blur
from ggcam.evaluation.faithfulness import faithfulness_metrics, sampled_rows
from ggcam.evaluation.run_metrics import INTERVAL, measure, scored_pairs
from ggcam.evaluation.run_results import read_results
from ggcam.inference.devices import find_device
from ggcam.inference.engines import Engine
from ggcam.inference.probabilities import BatchPredictor, Prediction
from ggcam.inference.run_images import run_data
from ggcam.inference.run_network import evaluation_engine
from ggcam.inference.torch_engine import TorchEngine
from ggcam.metrics.classification import classification_report, nan_to_none
from ggcam.metrics.localisation import peak_cell
from ggcam.metrics.multilabel import multilabel_report
from ggcam.report.run_files import EVALUATION_ID
from ggcam.report.run_page import write_run_report
from ggcam.run_folder import LOGIT, PROBABILITY, RunFolder
from ggcam.training.run import Run, open_run
from ggcam.utils.atomic import atomic_path
from ggcam.utils.csv_text import csv_text
from ggcam.utils.json_files import format_json
from ggcam.utils.recorded_paths import record_path


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions, CAMs and metrics of a run on one split.

    Attributes:
        run: the evaluated run.
        data: prepared folder that the run was evaluated on, with the folder's split even if the run has folds.
        split: the split.
        class_names: name of the class of each output.
        cases: shape (n rows), the cases of the split, with the columns of cases.parquet.
        labels: shape (n,), class index of each case; with several labels per case (n, k), 1, 0 or NaN (unknown).
        logits: shape (n, k).
        probabilities: shape (n, k).
        cam: shape (n, k, h, w).
        report: classification metrics under the original GG-CAM's names, the content of classification_report.json.
        metrics: content of metrics.json: the metrics of `run_metrics.measure`, and what they were measured on.
        case_metrics: the values that those metrics are means of, see `run_metrics.measure`.
    """

    run: Run
    data: PreparedData
    split: Split
    class_names: tuple[str, ...]
    cases: pd.DataFrame
    labels: Labels
    logits: Float[np.ndarray, "n k"]
    probabilities: Float[np.ndarray, "n k"]
    cam: Float[np.ndarray, "n k h w"]
    report: Mapping[str, Any]
    metrics: Mapping[str, Any]
    case_metrics: pd.DataFrame

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Table of predictions, one row per case.

        Columns: case_id, patient_id, split, the label columns of cases.parquet, predicted (index of the most probable
        class), cam_peak_row and cam_peak_column (largest cell of the true class's CAM; with several labels per case, of
        the predicted class's), and logit_<class> and probability_<class> for each class.
        """
        predicted = self.probabilities.argmax(axis=1)
        shown = self.labels if self.labels.ndim == 1 else predicted
        row, column = peak_cell(self.cam[np.arange(len(self.cases)), shown]).T
        columns = label_columns(list(self.cases))
        kind = "int64" if columns == ["label"] else "Int8"  # the latter can hold nulls
        table = (
            self.cases[["case_id", "patient_id", "split", *columns]]
            .astype(dict.fromkeys(columns, kind))
            .assign(predicted=predicted, cam_peak_row=row, cam_peak_column=column)
        )
        for k, name in enumerate(self.class_names):
            table[LOGIT + name] = self.logits[:, k]
            table[PROBABILITY + name] = self.probabilities[:, k]
        return table

    def save(self) -> RunFolder:
        """Complete the run folder: metrics, predictions, CAMs, the original GG-CAM's files and the HTML report.

        Returns:
            Paths of the run folder.
        """
        folder, case_ids = self.run.folder, self.cases["case_id"]
        evaluation = self._identifier()
        outputs = outputs_table(self.probabilities, self.labels, case_ids.tolist())
        with ExitStack() as files:  # all files are written before the first one replaces that of an earlier evaluation

            def new(path: Path) -> Path:
                return files.enter_context(atomic_path(path))

            metrics = format_json({**self.metrics, EVALUATION_ID: evaluation})
            new(folder.metrics).write_text(metrics, encoding="utf-8")
            ours = {**self.report["ours"], EVALUATION_ID: evaluation}
            report = format_json({**self.report, "ours": ours})
            new(folder.classification_report).write_text(report, encoding="utf-8")
            new(folder.results_csv).write_text(csv_text(outputs, index=True), encoding="utf-8")
            for table, path in ((self.predictions, folder.predictions), (self.case_metrics, folder.case_metrics)):
                write_parquet(new(path), table, {EVALUATION_ID: evaluation})
            with new(folder.cams).open("wb") as file:
                np.savez_compressed(
                    file,
                    case_id=case_ids.to_numpy(np.str_),
                    cam=self.cam.astype(np.float16),
                    evaluation=np.array(evaluation),  # EVALUATION_ID
                )
        write_run_report(read_results(self.run, self.data), folder.html_report)
        return folder

    def _identifier(self) -> str:
        """Return a digest of the results, by which the files of one evaluation are recognised."""
        digest = hashlib.sha256(json.dumps(self.metrics).encode())
        for array in (self.logits, self.probabilities, self.cam):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def evaluate(
    run: Run | Path | str,
    data: PreparedData | Path | str | None = None,
    split: Split = "test",
    device: str | None = None,
    *,
    faithfulness_cases: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run the best network of a run over a split and measure it. Nothing is printed or written.

    A run that was trained on folds is tested on the fold that it held out. No guidance is needed.

    Args:
        run: the run, or its folder.
        data: prepared folder, or its path; None is the one that the run was trained on.
        split: train, valid or test.
        device: device to compute on; None takes a GPU if there is one.
        faithfulness_cases: also measure on at most this many cases, the same ones for every run, whether the score
            depends on the cells that the CAM marks (`evaluation.faithfulness`). Each takes as long as forty others.
        progress: called with the number of finished cases and their total.

    Returns:
        Predictions and metrics; `save()` writes them to the run folder.

    Raises:
        ConfigError: the device does not exist, or `faithfulness_cases` is negative.
        RunFolderError: the run is not finished, or has other classes or another frame than the data.
        PreparedFolderError: the split is empty, or the data do not exist.

    Example:
        >>> evaluation = evaluate("run/mine")  # doctest: +SKIP
        >>> evaluation.metrics["macro_auroc"]  # doctest: +SKIP
        {'value': 0.80, 'low': 0.75, 'high': 0.85}
        >>> evaluation.case_metrics.groupby("case_id").mean()  # doctest: +SKIP
    """
    if faithfulness_cases < 0:
        raise ConfigError(
            "the number of cases is negative",
            where="--faithfulness-cases",
            expected="0 (none) or more",
            got=faithfulness_cases,
        )
    run = run if isinstance(run, Run) else open_run(run)
    config = run.config
    prepared = run.data() if data is None else data if isinstance(data, PreparedData) else load_prepared(data)
    # The cases that the run held out; and the real gaze, even where training used a control in its place.
    data = run_data(run, prepared)
    dataset = PreparedDataset(data, split, cache="none")
    if not len(dataset):
        raise PreparedFolderError(f"there are no {split} cases", where=data.root)
    predictor = BatchPredictor(
        _engine(run, dataset, device, faithfulness_cases), run.spec.multi_label, run.calibration.temperature
    )
    labels = data.labels_of(dataset.cases)
    case, label = scored_pairs(labels)
    sample = sampled_rows(len(case), faithfulness_cases)

    def report_progress(done: int) -> None:
        if progress is not None:
            progress(done, len(dataset) + len(sample))

    batches: list[Prediction] = []
    for start in range(0, len(dataset), config.batch_size):
        rows = range(start, min(start + config.batch_size, len(dataset)))
        batches.append(predictor(dataset.batch(rows).image.numpy()))
        report_progress(rows.stop)
    logits, probabilities, cam = (np.concatenate(parts) for parts in zip(*(each[:3] for each in batches), strict=True))
    faithfulness = faithfulness_metrics(
        lambda rows: dataset.batch(case[rows].tolist()).image,
        cam[case, label].astype(np.float64),
        label,
        predictor,
        sample,
        config.batch_size,
        lambda done: report_progress(len(dataset) + done),
    )
    blur = Blur(config.sigma_px, config.sigma_deg)
    metrics, case_metrics = measure(data, dataset.cases, probabilities, cam, blur, faithfulness)
    report = multilabel_report if data.multi_label else classification_report
    patients = dataset.cases["patient_id"].to_numpy(np.str_)
    return Evaluation(
        run=run,
        data=prepared,
        split=split,
        class_names=data.class_names,
        cases=dataset.cases,
        labels=labels,
        logits=logits,
        probabilities=probabilities,
        cam=cam,
        report=report(logits / predictor.temperature, labels, data.class_names),
        metrics=nan_to_none(
            {
                "split": split,
                **({"selected_on": "test"} if config.selection == "test" else {}),
                "data": str(data.root.resolve()) if config.keep_paths else record_path(data.root, run.folder.root),
                "cases": len(dataset),
                "patients": dataset.cases["patient_id"].nunique(),
                "interval": INTERVAL,
                **metrics,
                **calibration_metrics(logits, labels, patients, data.class_names, run.calibration),
            }
        ),
        case_metrics=case_metrics,
    )


def _engine(run: Run, dataset: PreparedDataset, device: str | None, faithfulness_cases: int) -> Engine:
    """Return the fastest engine; only torch takes images of 16 bits, and the blurred ones of faithfulness."""
    if faithfulness_cases or dataset.batch([0]).image.dtype != torch.uint8:
        return TorchEngine(run.load_model(), find_device(device))
    return evaluation_engine(run, device, len(dataset))


def outputs_table(probabilities: Float[np.ndarray, "n k"], labels: Labels, case_ids: list[str]) -> pd.DataFrame:
    """Build the table of the original GG-CAM's classification_results.csv, with the case IDs in a further column.

    Args:
        probabilities: shape (n, k).
        labels: shape (n,), class index; or (n, k), 1, 0 or NaN (unknown).
        case_ids: ID of each case.

    Returns:
        Columns Y (label), Y_pred (probabilities), both lists written as text as in the original, and case_id. Y holds
        the class index; with several labels per case, 1, 0 or None (unknown) for each class.
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
