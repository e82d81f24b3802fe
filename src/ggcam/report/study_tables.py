"""Tables and charts of a study: rows of summary.json, with the guided arms apart from their controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ggcam.report.charts import STYLES, Axis, Chart, Dot, Shape, band, line, x_of, y_of
from ggcam.report.run_tables import ANATOMY_NAMES, OVERALL

NAMES: Mapping[str, str] = {
    **{metric: name for metric, (name, _) in OVERALL.items()},
    "shortcut/hit_rate": "CAM peaks on the simulated marker (lower is better)",
    "shortcut/energy_inside/cam": "Fraction of the CAM on the simulated marker (lower is better)",
    "gaze_agreement/cc/cam": "Correlation (CC) of CAM and gaze",
    "gaze_agreement/nss/cam": "NSS of CAM and gaze",
    "gaze_agreement/cc/cam_minus_shuffled_gaze": "CC of CAM and gaze, minus that with other patients’ gaze",
}
"""Metric of summary.json -> its label."""

PATTERNS: Mapping[tuple[str, str], str] = {
    ("auroc/", ""): "AUROC, {}",
    ("pointing_game/", "/hit_rate"): "CAM peaks on the finding, {}",
    ("overlap/", "/average_precision/cam"): "Average precision of the CAM on the finding, {}",
}
"""Prefix and suffix of a metric by class -> its label."""

ENDS = ("value", "low", "high", "low_patients_seeds", "high_patients_seeds")
"""Keys of a row of summary.json that must fit on its axis."""

GROUPS = (
    "Guidance against the baseline",
    "Guidance against its controls: the effect of where readers looked on each image",
    "Controls against the baseline",
)
"""Titles of the groups of differences."""


@dataclass(frozen=True)
class DifferenceRow:
    """A difference between two arms in one metric.

    Attributes:
        label: the two arms, and the number of training cases where there are several.
        value: the difference; None where undefined, as all numbers below.
        low: lower end of the interval for other patients and other seeds; for other patients only with a single seed.
        high: upper end.
        patients: "low" and "high" of the interval for other patients and the same runs.
        seeds: difference of each seed.
        runs: number of pairs of runs.
        p: by test ("patients", "seeds") the p-value, and the same adjusted for the number of comparisons (Holm).
    """

    label: str
    value: float | None
    low: float | None
    high: float | None
    patients: Mapping[str, float | None]
    seeds: tuple[float, ...]
    runs: int
    p: Mapping[str, tuple[float | None, float | None]]

    @property
    def verdict(self) -> str:
        """Statement whether the interval excludes zero."""
        if self.low is None or self.high is None:
            return "no interval"
        return "interval excludes zero" if self.low > 0 or self.high < 0 else "interval includes zero"


@dataclass(frozen=True)
class ForestTable:
    """All differences in one metric.

    Attributes:
        metric: name of the metric in summary.json.
        name: its label.
        axis: axis that holds all differences.
        groups: title and rows of each group.
    """

    metric: str
    name: str
    axis: Axis
    groups: tuple[tuple[str, tuple[DifferenceRow, ...]], ...]


@dataclass(frozen=True)
class ArmTable:
    """Metrics by arm.

    Attributes:
        train_cases: number of training cases; None for all.
        arms: names of the arms, controls last.
        rows: label of the metric, and a row of summary.json, or None, for each arm.
    """

    train_cases: int | None
    arms: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Mapping[str, Any] | None, ...]], ...]


def metric_label(metric: str) -> str:
    """Return the label of a metric.

    Args:
        metric: name of the metric in summary.json.

    Returns:
        The label; the name itself for an unknown metric.
    """
    if metric in NAMES:
        return NAMES[metric]
    if metric.startswith("anatomy/"):
        target = metric.removeprefix("anatomy/").removesuffix("/hit_rate")
        return f"CAM peaks on the target, {ANATOMY_NAMES.get(target, target)}"
    for (start, end), words in PATTERNS.items():
        if metric.startswith(start) and metric.endswith(end):
            return words.format(metric.removeprefix(start).removesuffix(end))
    return metric


def is_main_metric(metric: str) -> bool:
    """Return whether a metric is always shown; the others are collapsed.

    Args:
        metric: name of the metric in summary.json.

    Returns:
        Whether it is a main metric.
    """
    return metric in ("macro_auroc", "gaze_agreement/cc/cam") or metric.startswith("pointing_game/")


def arm_tables(summary: Mapping[str, Any], controls: frozenset[str]) -> tuple[ArmTable, ...]:
    """Build one table per number of training cases, the largest number first.

    Args:
        summary: content of summary.json.
        controls: names of the control arms.

    Returns:
        The tables.
    """
    arms = tuple(sorted(summary["arms_compared"], key=lambda arm: arm in controls))
    tables: list[ArmTable] = []
    for size in reversed(summary["train_cases"] or [None]):
        found = {(row["metric"], row["arm"]): row for row in summary["arms"] if row["train_cases"] == size}
        metrics = dict.fromkeys(metric for metric, _ in found)
        rows = tuple((metric_label(name), tuple(found.get((name, arm)) for arm in arms)) for name in metrics)
        if rows:
            tables.append(ArmTable(size, arms, rows))
    return tuple(tables)


def forest_tables(summary: Mapping[str, Any], controls: frozenset[str]) -> tuple[ForestTable, ...]:
    """Build one table of differences per metric, in the order of the summary.

    Args:
        summary: content of summary.json.
        controls: names of the control arms.

    Returns:
        The tables.
    """
    tables: list[ForestTable] = []
    for metric in dict.fromkeys(row["metric"] for row in summary["differences"]):
        rows = [row for row in summary["differences"] if row["metric"] == metric]
        values = [0.0, *(row.get(end) for row in rows for end in ENDS), *(_seeds(rows))]
        groups = tuple(
            (title, tuple(difference_row(row) for row in rows if _group(row, controls) == number))
            for number, title in enumerate(GROUPS)
        )
        axis = Axis.around("difference", [value for value in values if value is not None], pad=0.08)
        filled = tuple((title, of_group) for title, of_group in groups if of_group)
        tables.append(ForestTable(metric, metric_label(metric), axis, filled))
    return tuple(tables)


def headline_rows(summary: Mapping[str, Any], controls: frozenset[str]) -> tuple[DifferenceRow, ...]:
    """List the difference of each guidance to the baseline in macro AUROC, with the most training cases.

    Args:
        summary: content of summary.json.
        controls: names of the control arms.

    Returns:
        One row per guidance.
    """
    size = max(summary["train_cases"], default=None)
    return tuple(
        difference_row(row)
        for row in summary["differences"]
        if row["metric"] == "macro_auroc" and row["train_cases"] == size and _group(row, controls) == 0
    )


def difference_row(row: Mapping[str, Any]) -> DifferenceRow:
    """Parse a row of "differences" in summary.json.

    Args:
        row: the row.

    Returns:
        Its content.
    """
    size = "" if row["train_cases"] is None else f", {row['train_cases']:,} training cases"
    low, high = quoted_ends(row)
    return DifferenceRow(
        label=f"{row['arm']} − {row['baseline']}{size}",
        value=row["value"],
        low=low,
        high=high,
        patients={"low": row["low"], "high": row["high"]},
        seeds=tuple(_seeds([row])),
        runs=row["runs"],
        p={name: (row[f"p_{name}"], row[f"p_{name}_holm"]) for name in ("patients", "seeds")},
    )


def diverged_runs(failed: Mapping[str, str]) -> list[str]:
    """List the runs whose training diverged.

    Args:
        failed: name of a run -> why it failed.

    Returns:
        Their names.
    """
    return [name for name, reason in failed.items() if reason.startswith("training diverged")]


def size_charts(summary: Mapping[str, Any], controls: frozenset[str]) -> tuple[Chart, ...]:
    """Build charts of the main metrics over the number of training cases, with one line per arm.

    Args:
        summary: content of summary.json.
        controls: names of the control arms.

    Returns:
        The charts; none if there is only one number of training cases.
    """
    sizes: list[int] = summary["train_cases"]
    if len(sizes) < 2:
        return ()
    metrics = dict.fromkeys(row["metric"] for row in summary["arms"] if is_main_metric(row["metric"]))
    return tuple(_size_chart(summary, controls, metric, sizes) for metric in metrics)


def _size_chart(summary: Mapping[str, Any], controls: frozenset[str], metric: str, sizes: Sequence[int]) -> Chart:
    rows = [row for row in summary["arms"] if row["metric"] == metric]
    ends = [row[end] for row in rows for end in ENDS if row.get(end) is not None]
    around = Axis.around("training cases", sizes, pad=0.06)
    x, y = Axis(around.label, around.low, around.high, tuple(sizes)), Axis.around("", ends)
    shapes: list[Shape] = []
    dots: list[Dot] = []
    names: list[tuple[int, str]] = []
    described: list[str] = []
    for style, arm in enumerate(summary["arms_compared"]):
        of_arm = {row["train_cases"]: row for row in rows if row["arm"] == arm}
        at = np.array(sorted(of_arm), dtype=np.float64)
        in_order = [of_arm[size] for size in sorted(of_arm)]
        value = np.array([row["value"] for row in in_order], np.float64)
        low, high = (np.array(each, np.float64) for each in zip(*map(quoted_ends, in_order), strict=True))
        if not np.isfinite(value).any():
            continue
        if arm not in controls:
            shapes.insert(0, band(x, y, at, low, high, style))
        shapes.append(line(x, y, at, value, style))
        dots += [
            Dot(style % STYLES, x_of(x, a), y_of(y, b), 3, f"{arm}, {a:.0f} training cases: {b:.3f}")
            for a, b in zip(at.tolist(), value.tolist(), strict=True)
            if np.isfinite(b)
        ]
        names.append((style % STYLES, arm))
        pairs = [(a, b) for a, b in zip(at, value, strict=True) if np.isfinite(b)]
        described.append(f"{arm} " + ", ".join(f"{b:.3f} at {a:.0f}" for a, b in pairs))
    name = metric_label(metric)
    return Chart(
        title=name,
        note="",
        alt_text=f"{name} by number of training cases: " + "; ".join(described),
        x=x,
        y=y,
        shapes=tuple(shapes),
        dots=tuple(dots),
        names=tuple(names),
    )


def quoted_ends(row: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the interval to report: over patients and seeds, or over patients only with a single seed.

    Args:
        row: a row of summary.json.

    Returns:
        Lower and upper end, None where undefined.
    """
    for ends in (("low_patients_seeds", "high_patients_seeds"), ("low", "high")):
        low, high = (row.get(end) for end in ends)
        if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
            return low, high
    return None, None


def _seeds(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    return [value for row in rows for value in row["by_seed"].values() if value is not None]


def _group(row: Mapping[str, Any], controls: frozenset[str]) -> int:
    return 2 if row["arm"] in controls else 1 if row["baseline"] in controls else 0
