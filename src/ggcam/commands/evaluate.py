"""`ggcam evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ggcam.commands.arguments import Run
from ggcam.commands.terminal import print_table, show_progress
from ggcam.utils.collector import collector_paused

if TYPE_CHECKING:
    from ggcam.data.prepared import PreparedData

Split = Literal["train", "valid", "test"]
"""The splits, as in `ggcam.data.case`, which imports NumPy: too slow for a help text."""


def evaluate(
    run: Run, data: Path | None = None, split: Split = "test", device: str | None = None, faithfulness_cases: int = 0
) -> None:
    """Evaluate a trained run again.

    Example: ggcam evaluate run/K3F9Q

    Replaces the predictions, metrics and report in the run folder.

    Args:
        run: run folder.
        data: prepared folder. Default: the one that the run was trained on.
        split: split to evaluate on.
        device: device to compute on, such as cpu or cuda:1. Default: a GPU if there is one.
        faithfulness_cases: also measure, on at most this many cases, how the score changes when what the CAM marks is
            deleted or inserted. Such a case takes as long as forty others.
    """
    with collector_paused():
        import ggcam.evaluation.evaluate  # noqa: F401
    evaluate_and_print(run, data, split, device, faithfulness_cases)


def evaluate_and_print(
    root: Path,
    data: PreparedData | Path | None = None,
    split: Split = "test",
    device: str | None = None,
    faithfulness_cases: int = 0,
) -> None:
    """Evaluate a run, complete its folder, and print the metrics.

    Args:
        root: run folder.
        data: prepared folder, or its path. Default: the one that the run was trained on.
        split: split to evaluate on.
        device: device to compute on. Default: a GPU if there is one.
        faithfulness_cases: maximum number of cases for the faithfulness metrics.
    """
    from ggcam.evaluation.evaluate import evaluate
    from ggcam.report.result_schemas import SELECTED_ON_TEST
    from ggcam.run_folder import open_run_folder
    from ggcam.utils.locks import locked_folder

    with locked_folder(open_run_folder(root).root):
        with show_progress("evaluating", "cases") as progress:
            evaluation = evaluate(root, data, split, device, faithfulness_cases=faithfulness_cases, progress=progress)
        folder = evaluation.save()
    metrics = evaluation.metrics
    print_table([f"{split}, {metrics['cases']:,} cases", "value", "95 % interval", "chance"], _rows(metrics))
    if "selected_on" in metrics:
        print(SELECTED_ON_TEST)
    print(f"run folder: {root}\nreport: {folder.html_report}")


def _rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """Return the rows of the table: the most important metrics of metrics.json."""
    rows = [_row("macro AUROC", metrics["macro_auroc"]), _row("accuracy", metrics["accuracy"])]
    rows += [_row(f"AUROC {name}", metric) for name, metric in metrics["auroc"].items()]
    rows += [_row(name, found["hit_rate"], found["chance"]) for name, found in metrics["anatomy"].items()]
    for name, found in metrics["pointing_game"].items():
        rows.append(_row(f"CAM peaks on the finding, {name}", found["hit_rate"], found["chance"]))
    for name, found in metrics.get("faithfulness", {}).items():
        if name != "cases":
            rows.append(_row(f"{name.replace('_auc', '')} of what the CAM marks", found["cam"], found["chance"]))
    return rows


def _row(name: str, metric: Mapping[str, float], chance: Mapping[str, float] | None = None) -> list[str]:
    interval = f"{metric['low']:.3f} to {metric['high']:.3f}" if metric["low"] is not None else "-"
    return [name, _number(metric["value"]), interval, "" if chance is None else _number(chance["value"])]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
