"""Plots and Markdown tables of docs/evidence.md, from the CSV tables that `experiments.evidence` wrote.

python -m experiments.evidence_plots [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from experiments.evidence import PARTS, TRAIN_CASES
from experiments.markdown_table import markdown_table

METRICS = {
    "macro_auroc": "macro AUROC",
    "auroc/pneumonia": "AUROC, pneumonia",
    "pointing_game/pneumonia/hit_rate": "hit rate, pneumonia",
}
"""Metrics in the plots -> their titles."""

MAIN_METRICS = ("macro_auroc", "pointing_game/pneumonia/hit_rate")
"""Metrics of classification and localisation in the curves and in the table of all parts."""

TABLE_METRICS = METRICS | {"shortcut/hit_rate": "CAM on the marker"}
"""Metrics in the table of one part -> their titles."""

RECOMMENDED = "ggcam-cc"

BASELINES = {
    "none": "no guidance",
    "ggcam-cc+shuffled-gaze": "shuffled gaze",
    "ggcam-cc+lung-mask": "lung mask",
}
"""Arms that the recommended guidance is compared with in every part -> their titles."""

GAINS = {"none": f"gain of `{RECOMMENDED}`", f"{RECOMMENDED}+shuffled-gaze": "its gain over shuffled gaze"}
"""Those of them in the tables -> the title of the column."""

FULL_PART = "resnet18-shortcut"
"""The part with all training cases, which is the last point of the curves."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Colours of Okabe and Ito, which colour-blind people can distinguish."""


def plot_differences(folder: Path, part: str) -> None:
    """Draw the forest plots of a part: all differences, with their intervals over patients and runs."""
    rows = pd.read_csv(folder / f"{part}-differences.csv")
    rows["pair"] = rows["arm"] + "  -  " + rows["baseline"]
    _forests(rows, list(dict.fromkeys(rows["pair"])), folder / f"{part}-differences.png")


def _forests(rows: pd.DataFrame, pairs: list[str], target: Path, what: str = "difference") -> None:
    """Draw one plot per metric, side by side, with a line per pair in this order."""
    size = (11, 0.32 * len(pairs) + 1.1)
    figure, axes = plt.subplots(1, len(METRICS), figsize=size, sharey=True, layout="constrained")
    for axis, (name, title) in zip(axes, METRICS.items(), strict=True):
        found = rows[rows["metric"] == name].set_index("pair").reindex(pairs)
        _forest(axis, found)
        axis.set_title(title, fontsize=10)
    axes[0].set_yticks(range(len(pairs)), pairs, fontsize=9)
    axes[0].invert_yaxis()
    figure.supxlabel(f"{what}; line: 95 % over patients and runs; blue if it excludes zero", fontsize=9)
    figure.savefig(target, dpi=110)
    plt.close(figure)


def _forest(axis: Axes, rows: pd.DataFrame) -> None:
    places = range(len(rows))
    colours = [COLOURS[0] if clear else "#777777" for clear in _excludes_zero(rows)]
    axis.axvline(0, color="black", linewidth=0.8)
    axis.hlines(places, rows["low_patients_seeds"], rows["high_patients_seeds"], colors=colours, linewidth=2)
    axis.scatter(rows["value"], places, c=colours, s=26, zorder=3)
    axis.grid(axis="x", alpha=0.3)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.locator_params(axis="x", nbins=5)


def plot_across_parts(folder: Path, parts: Sequence[str]) -> None:
    """Draw forest plots of the recommended guidance against others, with a row per part that compares them."""
    rows = pd.concat([_against(folder, part).assign(part=part) for part in parts])
    pair = [f"{BASELINES[baseline]}:  {part}" for baseline, part in zip(rows["baseline"], rows["part"], strict=True)]
    rows = rows.assign(pair=pair)
    pairs = [f"{words}:  {part}" for words in BASELINES.values() for part in parts]
    existing = [pair for pair in pairs if pair in set(rows["pair"])]
    _forests(rows, existing, folder / "across.png", f"{RECOMMENDED} minus the arm at the left, part by part")


def across_markdown(folder: Path, parts: Sequence[str]) -> str:
    """Return one row per part: metrics without guidance, and the gains of the recommended one over it and a control."""
    titles = [f"{METRICS[name]}: {words}" for name in MAIN_METRICS for words in ("`none`", *GAINS.values())]
    rows = []
    for part in parts:
        arms, against = pd.read_csv(folder / f"{part}-arms.csv"), _against(folder, part)
        cells = [f"`{part}`", str(against["runs"].min())]
        for name in MAIN_METRICS:
            (value,) = arms.loc[(arms["metric"] == name) & (arms["arm"] == "none"), "value"]
            cells += [f"{value:.3f}", *_gains(against, name)]
        rows.append(cells)
    return markdown_table(["part", "runs per arm", *titles], rows)


def curve_markdown(folder: Path, parts: Sequence[str]) -> str:
    """Return one row per number of training cases, the last with all: gains of the recommended guidance."""
    titles = [f"{METRICS[name]}: {words}" for name in MAIN_METRICS for words in GAINS.values()]
    rows = []
    for part in (*parts, FULL_PART):
        (cases,) = PARTS[part].train_cases or (TRAIN_CASES,)
        against = _against(folder, part)
        rows.append([str(cases), *(cell for name in MAIN_METRICS for cell in _gains(against, name))])
    return markdown_table(["training cases", *titles], rows)


def _gains(against: pd.DataFrame, metric: str) -> list[str]:
    of_metric = against[against["metric"] == metric].set_index("baseline")
    return [_difference(of_metric.loc[baseline]) for baseline in GAINS]


def arms_markdown(folder: Path, parts: Sequence[str], metric: str) -> str:
    """Return one row per arm and one column per part: gains over no guidance, bold if the interval excludes zero."""
    columns: dict[str, dict[str, str]] = {}
    for part in parts:
        rows = pd.read_csv(folder / f"{part}-differences.csv")
        rows = rows.loc[(rows["baseline"] == "none") & (rows["metric"] == metric)]
        columns[f"`{part}`"] = {
            arm: f"**{value:+.3f}**" if clear else f"{value:+.3f}"
            for arm, value, clear in zip(rows["arm"], rows["value"], _excludes_zero(rows), strict=True)
        }
    arms = dict.fromkeys(arm for column in columns.values() for arm in column)
    rows = [[f"`{arm}`", *(column.get(arm, "") for column in columns.values())] for arm in arms]
    return markdown_table([METRICS[metric], *columns], rows)


def _excludes_zero(rows: pd.DataFrame) -> list[bool]:
    """Return whether the interval over patients and runs of each row excludes zero."""
    return [
        low > 0 or high < 0 for low, high in zip(rows["low_patients_seeds"], rows["high_patients_seeds"], strict=True)
    ]


def _against(folder: Path, part: str) -> pd.DataFrame:
    rows = pd.read_csv(folder / f"{part}-differences.csv")
    return rows.loc[(rows["arm"] == RECOMMENDED) & rows["baseline"].isin(list(BASELINES))]


def plot_curve(folder: Path, parts: Sequence[str], name: str) -> None:
    """Plot metrics against the number of training cases; the last point is the whole training split."""
    subsets = pd.concat([pd.read_csv(folder / f"{part}-arms.csv") for part in parts])
    arms = list(dict.fromkeys(subsets["arm"]))
    rows = pd.concat([subsets, pd.read_csv(folder / f"{FULL_PART}-arms.csv").assign(train_cases=TRAIN_CASES)])
    sizes = sorted(set(rows["train_cases"]))
    figure, axes = plt.subplots(1, len(MAIN_METRICS), figsize=(9, 3.4), layout="constrained")
    for axis, kind in zip(axes, MAIN_METRICS, strict=True):
        for number, (arm, colour) in enumerate(zip(arms, COLOURS, strict=False)):
            found = rows.loc[(rows["arm"] == arm) & (rows["metric"] == kind)].sort_values(by=["train_cases"])
            error = (found["value"] - found["low_patients_seeds"], found["high_patients_seeds"] - found["value"])
            where = found["train_cases"] * 1.03 ** (number - 1)  # side by side, not on top of each other
            axis.errorbar(where, found["value"], error, color=colour, marker="osv"[number], capsize=2, label=arm)
        axis.set(xscale="log", xlabel="training cases", title=METRICS[kind])
        axis.set_xticks(sizes, [f"{count:.0f}" for count in sizes])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=9)
    figure.savefig(folder / f"{name}.png", dpi=110)
    plt.close(figure)


def markdown(folder: Path, part: str) -> str:
    """Return one row per arm: its metrics, and in brackets the differences to the baseline with intervals."""
    arms, differences = (pd.read_csv(folder / f"{part}-{table}.csv") for table in ("arms", "differences"))
    baseline = differences["baseline"].iloc[0]
    rows = []
    for arm, of_arm in arms.groupby("arm", sort=False):
        cells = [f"`{arm}`", str(of_arm["runs"].max())]
        for name in TABLE_METRICS:
            (value,) = of_arm.loc[of_arm["metric"] == name, "value"]
            to = (differences["arm"] == arm) & (differences["baseline"] == baseline) & (differences["metric"] == name)
            cells.append(
                f"{value:.3f}" + "".join(f" ({_difference(row)})" for _, row in differences.loc[to].iterrows())
            )
        rows.append(cells)
    return markdown_table(["arm", "runs", *TABLE_METRICS.values()], rows)


def _difference(row: pd.Series) -> str:
    return f"{row['value']:+.3f} [{row['low_patients_seeds']:+.3f}, {row['high_patients_seeds']:+.3f}]"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/evidence")
    existing = [part for part in PARTS if (folder / f"{part}-differences.csv").is_file()]
    parts = [part for part in existing if not part.startswith("curve")]
    for part in parts:
        plot_differences(folder, part)
        print(f"{part}\n\n{markdown(folder, part)}\n")
    if len(parts) > 1:
        plot_across_parts(folder, parts)
        print(f"all\n\n{across_markdown(folder, parts)}\n")
        for metric in MAIN_METRICS:
            print(f"{arms_markdown(folder, parts, metric)}\n")
    if "curve" in existing:
        plot_curve(folder, ["curve"], "curve")
    same_steps = [part for part in existing if part.startswith("curve-")]
    if len(same_steps) > 1:
        plot_curve(folder, same_steps, "curve-as-long")
        print(f"curve\n\n{curve_markdown(folder, same_steps)}\n")


if __name__ == "__main__":
    main()
