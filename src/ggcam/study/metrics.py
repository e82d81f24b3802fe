"""Read the metrics of a finished run, as numbers and as functions of case weights for the bootstrap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ggcam.data.schema import labels_in
from ggcam.errors import MissingFileError, RunFolderError
from ggcam.evaluation.run_metrics import classification_metrics, leaves, scored_pairs
from ggcam.metrics.bootstrap_statistics import WeightedStatistic, on_cases, weighted_mean
from ggcam.run_folder import PROBABILITY, RunFolder, predicted_classes, read_json


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
    again = f"ggcam evaluate {run.root}"
    try:
        predictions, per_row = pd.read_parquet(run.predictions), pd.read_parquet(run.case_metrics)
        names = predicted_classes(predictions)
        probabilities = predictions[[PROBABILITY + name for name in names]].to_numpy(np.float64)
        labels = labels_in(predictions, names)
        of_classes = dict(leaves(classification_metrics(probabilities, labels, names)))
        cases = pd.DataFrame({name: predictions[name] for name in ("case_id", "patient_id")})
        case, _ = scored_pairs(labels)
        if cases["case_id"].iloc[case].tolist() != per_row["case_id"].tolist():
            raise ValueError("predictions.parquet and case_metrics.parquet have different cases")
    except FileNotFoundError as error:
        raise MissingFileError("the run has not been evaluated", where=error.filename, hint=again) from None
    except (ValueError, OSError, KeyError) as error:
        raise RunFolderError("the predictions of the run are damaged", where=run.root, got=error, hint=again) from error
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
    for path, number in leaves(read_json(run.metrics)):
        if isinstance(number, str):
            continue
        parent, _, name = path.rpartition("/")
        metric, column = (parent, name) if name in ("value", "low", "high") else (path, "value")
        row = found.setdefault(metric, {"metric": metric, "value": np.nan, "low": np.nan, "high": np.nan})
        row[column] = np.nan if number is None else float(number)
    return list(found.values())
