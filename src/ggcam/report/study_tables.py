"""The tables and charts of a study: summary.json in rows, the guided arms apart from their controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ggcam.report.charts import STYLES, Axis, Chart, Dot, Shape, band, line, x_of, y_of
from ggcam.report.run_tables import ANATOMY_NAMES, OVERALL

NAMES: Mapping[str, str] = {
    **{metric: name for metric, (name, _) in OVERALL.items()},
    "shortcut/hit_rate": "CAM peaks on the simulated marker (lower is better)",
    "shortcut/energy_inside/cam": "Share of the CAM on the simulated marker (lower is better)",
    "gaze_agreement/cc/cam": "CC of CAM and gaze",
    "gaze_agreement/nss/cam": "NSS of CAM and gaze",
    "gaze_agreement/cc/cam_minus_shuffled_gaze": "CC with gaze, above that with other patients’ gaze",
}
"""Metric of summary.json -> what it says."""

PATTERNS: Mapping[tuple[str, str], str] = {
    ("auroc/", ""): "AUROC, {}",
    ("pointing_game/", "/hit_rate"): "CAM peaks on the finding, {}",
    ("overlap/", "/average_precision/cam"): "Average precision of the CAM on the finding, {}",
}
"""Beginning and end of a metric by class -> what it says."""

ENDS = ("value", "low", "high", "low_patients_seeds", "high_patients_seeds")

GROUPS = (
    "Guidance against the baseline",
    "Guidance against its controls: what it gains from where readers looked on each image",
    "Controls against the baseline",
)


@dataclass(frozen=True)
class DifferenceRow:
    """A difference between two arms in one metric.

    Attributes:
        label: the two arms, and the number of training cases where there are several.
        value: the difference; None where undefined, like all that follows.
        low: lower end of its interval for other patients and other trainings; for other patients where there is one
            seed, which tells nothing of other trainings.
        high: upper end.
        patients: "low" and "high" of the interval for other patients under these very trainings.
        seeds: the difference of each seed.
        runs: pairs of runs it rests on.
        p: by test ("patients", "seeds") the p-value as it is, and adjusted for the number of comparisons (Holm).
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
        """Whether the interval excludes zero."""
        if self.low is None or self.high is None:
            return "no interval"
        return "interval excludes zero" if self.low > 0 or self.high < 0 else "interval includes zero"


@dataclass(frozen=True)
class ForestTable:
    """All differences in one metric, on one axis: (title of a group, its rows)."""

    metric: str
    name: str
    axis: Axis
    groups: tuple[tuple[str, tuple[DifferenceRow, ...]], ...]


@dataclass(frozen=True)
class ArmTable:
    """Metrics by arm: rows of (name of the metric, one arm's row of summary.json or None for each arm)."""

    train_cases: int | None
    arms: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Mapping[str, Any] | None, ...]], ...]


def metric_label(metric: str) -> str:
    """What a metric says, in words."""
    if metric in NAMES:
        return NAMES[metric]
    if metric.startswith("anatomy/"):
        target = metric.removeprefix("anatomy/").removesuffix("/hit_rate")
        return f"CAM peaks on the target, {ANATOMY_NAMES.get(target, target)}"
    for (start, end), words in PATTERNS.items():
        if metric.startswith(start) and metric.endswith(end):
            return words.format(metric.removeprefix(start).removesuffix(end))
    return metric


def is_main(metric: str) -> bool:
    """Whether a metric is shown at once; the others are folded away."""
    return metric in ("macro_auroc", "gaze_agreement/cc/cam") or metric.startswith("pointing_game/")


def arm_tables(summary: Mapping[str, Any], controls: frozenset[str]) -> tuple[ArmTable, ...]:
    """One a number of training cases, the largest first; the controls are the last columns."""
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
    """One a metric, in the order of the summary."""
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
    """Each guidance against the baseline in macro AUROC, with the most training cases there are."""
    size = max(summary["train_cases"], default=None)
    return tuple(
        difference_row(row)
        for row in summary["differences"]
        if row["metric"] == "macro_auroc" and row["train_cases"] == size and _group(row, controls) == 0
    )


def difference_row(row: Mapping[str, Any]) -> DifferenceRow:
    """A row of summary.json's "differences"."""
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


def size_charts(summary: Mapping[str, Any], controls: frozenset[str]) -> tuple[Chart, ...]:
    """Main metrics over the number of training cases, a line an arm; none where there are not several numbers."""
    sizes: list[int] = summary["train_cases"]
    if len(sizes) < 2:
        return ()
    metrics = dict.fromkeys(row["metric"] for row in summary["arms"] if is_main(row["metric"]))
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
        described.append(f"{arm} " + ", ".join(f"{b:.3f} at {a:.0f}" for a, b in zip(at, value, strict=True)))
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
    """Of the interval to quote: over patients and trainings; over patients alone where there is one training."""
    with_seeds = row.get("low_patients_seeds"), row.get("high_patients_seeds")
    return (row["low"], row["high"]) if None in with_seeds else with_seeds


def _seeds(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    return [value for row in rows for value in row["by_seed"].values() if value is not None]


def _group(row: Mapping[str, Any], controls: frozenset[str]) -> int:
    return 2 if row["arm"] in controls else 1 if row["baseline"] in controls else 0
