"""The files of an evaluated run, each checked against its schema where it is opened.

The files of one evaluation carry the same identifier, so that files of two evaluations are never shown together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float16

from ggcam.data.parquet_files import read_parquet
from ggcam.data.schema import label_column
from ggcam.errors import MissingFileError, RunFolderError, join_limited
from ggcam.report.result_schemas import ClassificationReport, RunMetrics
from ggcam.run_folder import LOGIT, PROBABILITY, RunFolder, predicted_classes
from ggcam.utils.documents import read_json, read_text
from ggcam.utils.npz import read_npz
from ggcam.utils.structure import structure

EVALUATION_ID = "evaluation"
"""Key of the identifier in the files of an evaluation."""

_HISTORY_BYTES = 2**24


@dataclass(frozen=True, eq=False)
class EvaluationFiles:
    """Content of the files of one evaluation.

    Attributes:
        metrics: content of metrics.json.
        report: content of classification_report.json.
        predictions: content of predictions.parquet, one row per case.
        case_metrics: content of case_metrics.parquet.
        cams: case id -> CAM of each class, shape (k, h, w).
    """

    metrics: RunMetrics
    report: ClassificationReport
    predictions: pd.DataFrame
    case_metrics: pd.DataFrame
    cams: Mapping[str, Float16[np.ndarray, "k h w"]]


def evaluate_again(run: RunFolder) -> str:
    """Return the hint to evaluate a run again.

    Args:
        run: the run.

    Returns:
        The hint, with the command.
    """
    return f"evaluate the run again: ggcam evaluate {run.root}"


def read_metrics(run: RunFolder) -> RunMetrics:
    """Read metrics.json.

    Args:
        run: an evaluated run.

    Returns:
        Its content.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: the file is damaged.
    """
    hint = evaluate_again(run)
    return structure(
        read_json(run.metrics, RunFolderError, hint), RunMetrics, run.metrics, error=RunFolderError, hint=hint
    )


def read_classification_report(run: RunFolder) -> ClassificationReport:
    """Read classification_report.json.

    Args:
        run: an evaluated run.

    Returns:
        Its content.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: the file is damaged.
    """
    path, hint = run.classification_report, evaluate_again(run)
    content = structure(
        read_json(path, RunFolderError, hint), ClassificationReport, path, error=RunFolderError, hint=hint
    )
    classes = content["ours"]["classes"]
    matrices = [(content["ours"].get("confusion_matrix"), len(classes))]
    if matrices[0][0] is None:  # several labels per case
        matrices = [(row.get("confusion_matrix"), 2) for row in classes.values()]
    for matrix, size in matrices:
        if matrix is None or len(matrix) != size or any(len(row) != size for row in matrix):
            raise RunFolderError(
                "a confusion matrix is damaged", where=path, expected=f"{size} rows of {size} numbers", hint=hint
            )
    return content


def read_predictions(run: RunFolder) -> pd.DataFrame:
    """Read predictions.parquet.

    Args:
        run: an evaluated run.

    Returns:
        One row per evaluated case; `attrs` has the identifier of the evaluation.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: the file is damaged.
    """
    path, hint = run.predictions, evaluate_again(run)
    table = _read_table(run, path, _predictions_schema)
    names = predicted_classes(table)
    probabilities = table[[PROBABILITY + name for name in names]].to_numpy(np.float64)
    labels = table[[name for name in table if name == "label" or str(name).startswith("label_")]].to_numpy(np.float64)
    largest = len(names) - 1 if "label" in table else 1
    valid_label = (labels >= 0) & (labels <= largest) & (labels == np.round(labels))
    if "label" not in table:
        valid_label |= np.isnan(labels)
    for what, valid, expected in (
        ("there are no predictions", np.array([len(table) > 0 and bool(names)]), "at least one case and one class"),
        ("a probability is out of range", (probabilities >= 0) & (probabilities <= 1 + 1e-6), "0 to 1"),
        ("a label is out of range", valid_label, f"0 to {largest}"),
        ("a case is repeated", ~table["case_id"].duplicated().to_numpy(), "one row per case"),
    ):
        if not valid.all():
            raise RunFolderError(what, where=path, expected=expected, hint=hint)
    return table


def read_case_metrics(run: RunFolder) -> pd.DataFrame:
    """Read case_metrics.parquet: the metrics of each case, or of each case and label that it has.

    Args:
        run: an evaluated run.

    Returns:
        The table, with the columns "case_id", "label" (multi-label data) and one per metric; `attrs` has the identifier
        of the evaluation.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: the file is damaged.
    """
    return _read_table(run, run.case_metrics, _case_metrics_schema)


def read_cams(run: RunFolder) -> dict[str, Float16[np.ndarray, "k h w"]]:
    """Read the CAMs of the evaluated cases.

    Args:
        run: an evaluated run.

    Returns:
        Case id -> CAM of each class.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: the file is damaged.
    """
    return _read_cams(run)[0]


def _read_cams(run: RunFolder) -> tuple[dict[str, Float16[np.ndarray, "k h w"]], str | None]:
    expected = {"case_id": ("U", 1), "cam": ("f", 4), EVALUATION_ID: ("U", 0)}
    arrays = read_npz(run.cams, expected, RunFolderError, evaluate_again(run), optional=(EVALUATION_ID,))
    case_ids, cams = arrays["case_id"].tolist(), arrays["cam"].astype(np.float16, copy=False)
    if len(case_ids) != len(cams) or 0 in cams.shape or not np.isfinite(cams).all():
        raise RunFolderError(
            "the CAMs are damaged",
            where=run.cams,
            expected="one CAM of finite numbers per case",
            got=f"{len(case_ids):,} cases, CAMs of shape {cams.shape}",
            hint=evaluate_again(run),
        )
    evaluation = str(arrays[EVALUATION_ID]) if EVALUATION_ID in arrays else None
    return dict(zip(case_ids, cams, strict=True)), evaluation


def read_history(run: RunFolder) -> pd.DataFrame:
    """Read history.csv.

    Args:
        run: a run.

    Returns:
        One row per epoch, all columns as numbers; NaN where a value is undefined.

    Raises:
        MissingFileError: the run has not finished an epoch.
        RunFolderError: the file is damaged.
    """
    if not run.history.is_file():
        raise MissingFileError("the run has not finished an epoch", where=run.history)
    try:
        table = pd.read_csv(StringIO(read_text(run.history, RunFolderError, max_bytes=_HISTORY_BYTES)))
        numbers = table.astype(np.float64)
    except (ValueError, OverflowError, RecursionError):
        numbers = pd.DataFrame()
    epochs = numbers["epoch"] if "epoch" in numbers else pd.Series([np.nan])
    if not (np.isfinite(epochs) & (epochs >= 0) & (epochs < 2**31)).all() or np.isinf(numbers.to_numpy()).any():
        raise RunFolderError(
            "the run's history is damaged",
            where=run.history,
            expected="a CSV table of numbers, with a column epoch",
            got=join_limited(numbers.columns) or "something else",
        )
    return numbers.astype({"epoch": np.int64})


def read_evaluation(run: RunFolder) -> EvaluationFiles:
    """Read all files of an evaluation, and check that they are of one evaluation.

    Args:
        run: an evaluated run.

    Returns:
        Their content.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: a file is damaged, or of another evaluation than the others.
    """
    files = EvaluationFiles(
        read_metrics(run), read_classification_report(run), read_predictions(run), read_case_metrics(run), {}
    )
    cams, evaluation = _read_cams(run)
    _check_same_evaluation(
        run,
        {
            run.metrics.name: files.metrics.get(EVALUATION_ID),
            run.classification_report.name: files.report["ours"].get(EVALUATION_ID),
            run.predictions.name: files.predictions.attrs[EVALUATION_ID],
            run.case_metrics.name: files.case_metrics.attrs[EVALUATION_ID],
            run.cams.name: evaluation,
        },
    )
    names = predicted_classes(files.predictions)
    for what, path, same in (
        ("classes", run.classification_report, tuple(files.report["ours"]["classes"]) == names),
        ("classes", run.cams, all(len(cam) == len(names) for cam in cams.values())),
        ("cases", run.cams, set(files.predictions["case_id"]) == set(cams)),
    ):
        if not same:
            raise RunFolderError(
                f"the file has other {what} than {run.predictions.name}", where=path, hint=evaluate_again(run)
            )
    return replace(files, cams=cams)


def _check_same_evaluation(run: RunFolder, ids: Mapping[str, object]) -> None:
    if len(set(ids.values())) > 1:
        raise RunFolderError(
            "the files are of different evaluations, of which one was interrupted",
            where=run.root,
            got=", ".join(f"{name}: {each or 'none'}" for name, each in ids.items()),
            hint=evaluate_again(run),
        )


def _read_table(run: RunFolder, path: Path, schema: Callable[[list[str]], pa.Schema]) -> pd.DataFrame:
    table = read_parquet(path, schema, RunFolderError, evaluate_again(run))
    evaluation = (table.schema.metadata or {}).get(EVALUATION_ID.encode())
    frame = table.replace_schema_metadata(None).to_pandas()
    frame.attrs[EVALUATION_ID] = None if evaluation is None else evaluation.decode(errors="replace")
    return frame


def _predictions_schema(names: list[str]) -> pa.Schema:
    classes = predicted_classes(names)
    multi_label = "label" not in names
    labels = [label_column(name) for name in classes] if multi_label else ["label"]
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in ("case_id", "patient_id")),
            *(pa.field(name, pa.int64(), nullable=multi_label) for name in labels),
            pa.field("predicted", pa.int64(), nullable=False),
            *(
                pa.field(prefix + name, pa.float64(), nullable=False)
                for name in classes
                for prefix in (LOGIT, PROBABILITY)
                if prefix == PROBABILITY or LOGIT + name in names
            ),
        ]
    )


def _case_metrics_schema(names: list[str]) -> pa.Schema:
    metrics = [name for name in names if name not in ("case_id", "label")]
    texts = ["case_id", *(["label"] if "label" in names else [])]
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in texts),
            *(pa.field(name, pa.float64()) for name in dict.fromkeys(metrics)),
        ]
    )
