"""The tables that `ggcam study` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ggcam.commands.terminal import print_table

if TYPE_CHECKING:
    import pandas as pd

    from ggcam.study.study import StudyResult

MAX_FINDINGS = 3
"""With more findings than this, metrics of single findings are left to summary.json and the report."""


def print_study(result: StudyResult) -> None:
    """Print two tables per metric, one with the arms and one with their differences, and the notes of the study.

    Args:
        result: results of the study.
    """
    from ggcam.errors import join_limited
    from ggcam.report.study_tables import diverged_runs

    arms, differences = _rows_by_metric(result.summary), _rows_by_metric(result.differences)
    shown = _shown({metric for metric, _ in arms})
    for (metric, size), rows in arms.items():
        if metric not in shown:
            continue
        title = metric if size is None else f"{metric}, {size:,} training cases"
        cells = [[row["arm"], _interval(row), str(row["runs"])] for row in rows]
        print_table([title, "mean over runs [95 %]", "runs"], cells)
        cells = [
            [f"{row['arm']} - {row['baseline']}", _interval(row, "+"), *map(_number, _p_values(row))]
            for row in differences.get((metric, size), [])
        ]
        if cells:
            print_table([title, "difference [95 %]", "p patients", "p seeds"], cells)
    if differences:
        print("intervals: for other patients and, with several seeds, other runs; p patients: for other patients;")
        print("p seeds: for other runs; both adjusted (Holm)")
    for note in result.notes:
        print(f"note: {note}")
    if result.missing:
        print(f"note: {result.missing:,} runs are missing; comparisons leave out the runs paired with them")
    diverged = diverged_runs(result.failed)
    if diverged:
        print(f"note: training diverged in {len(diverged):,} runs: {join_limited(diverged)}")


def _rows_by_metric(table: pd.DataFrame) -> dict[tuple[str, int | None], list[Mapping[str, Any]]]:
    """Return the rows by metric and number of training cases, with None for what is undefined."""
    found: dict[tuple[str, int | None], list[Mapping[str, Any]]] = {}
    for row in table.astype(object).where(table.notna(), None).to_dict("records"):
        found.setdefault((row["metric"], row["train_cases"]), []).append({str(key): row[key] for key in row})
    return found


def _shown(metrics: set[str]) -> set[str]:
    """Return the metrics that a terminal has room for; summary.json and the report have all."""
    from ggcam.report.study_tables import is_main_metric

    main = set(filter(is_main_metric, metrics))
    findings = {metric for metric in main if metric.startswith("pointing_game/")}
    return main - findings if len(findings) > MAX_FINDINGS else main


def _p_values(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    return row["p_patients_holm"], row["p_seeds_holm"]


def _interval(row: Mapping[str, Any], sign: str = "") -> str:
    """Return a metric with the interval to quote, or alone if it has none."""
    from ggcam.report.study_tables import quoted_ends

    low, high = quoted_ends(row)
    value = _number(row["value"], sign)
    return value if low is None else f"{value} [{_number(low, sign)}, {_number(high, sign)}]"


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:{sign}.3f}"
