"""Read the metrics of a finished run, as numbers and as functions of case weights for the bootstrap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ggcam.data.schema import labels_in
from ggcam.errors import RunFolderError
from ggcam.evaluation.run_metrics import classification_metrics, leaves, scored_pairs
from ggcam.metrics.bootstrap_statistics import WeightedStatistic, on_cases, weighted_mean
from ggcam.report.run_files import EVALUATION_ID, evaluate_again, read_case_metrics, read_predictions
from ggcam.report.run_files import read_metrics as read_run_metrics
from ggcam.run_folder import PROBABILITY, RunFolder, predicted_classes


@dataclass(frozen=True, eq=False)
class RunMetrics:
    """Test metrics of a run as functions of case weights.

    Attributes:
        cases: one row per test case: case_id and patient_id.
        statistics: path of a metric in metrics.json -> function that computes it from weights of the cases.
    """

    cases: pd.DataFrame
    statistics: Mapping[str, WeightedStatistic]


def read_metrics(run: RunFolder) -> RunMetrics:
    """Read the metrics of a run from predictions.parquet and case_metrics.parquet.

    Args:
        run: an evaluated run folder.

    Returns:
        The metrics as functions of case weights.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: a file of the evaluation is damaged.
    """
    predictions, per_row = read_predictions(run), read_case_metrics(run)
    names = predicted_classes(predictions)
    probabilities = predictions[[PROBABILITY + name for name in names]].to_numpy(np.float64)
    labels = labels_in(predictions, names)
    of_classes = dict(leaves(classification_metrics(probabilities, labels, names)))
    cases = pd.DataFrame({name: predictions[name] for name in ("case_id", "patient_id")})
    case, _ = scored_pairs(labels)
    ids = {each.attrs[EVALUATION_ID] for each in (predictions, per_row)}
    if cases["case_id"].iloc[case].tolist() != per_row["case_id"].tolist() or len(ids) > 1:
        raise RunFolderError(
            f"{run.case_metrics.name} is of another evaluation than {run.predictions.name}",
            where=run.root,
            hint=evaluate_again(run),
        )
    columns = per_row.drop(columns=["case_id", "label"], errors="ignore").astype(np.float64)
    means = {str(name): on_cases(case, weighted_mean(column.to_numpy())) for name, column in columns.items()}
    return RunMetrics(cases, of_classes | means)


def metric_rows(run: RunFolder) -> list[dict[str, Any]]:
    """Read metrics.json as rows.

    Args:
        run: an evaluated run folder.

    Returns:
        One row per number: metric, value, low and high; NaN if undefined or without an interval.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: metrics.json is damaged.
    """
    found: dict[str, dict[str, Any]] = {}
    for path, number in leaves(read_run_metrics(run)):
        if not isinstance(number, int | float | None):
            continue
        parent, _, name = path.rpartition("/")
        metric, column = (parent, name) if name in ("value", "low", "high") else (path, "value")
        row = found.setdefault(metric, {"metric": metric, "value": np.nan, "low": np.nan, "high": np.nan})
        row[column] = np.nan if number is None else float(number)
    return list(found.values())
