"""The figures of docs/evidence.md, drawn from the tables that `experiments.evidence` wrote, and its tables in Markdown.

python -m experiments.evidence_plots [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from experiments.evidence import PARTS, TRAIN_CASES

METRICS = {
    "macro_auroc": "macro AUROC",
    "auroc/pneumonia": "AUROC, pneumonia",
    "pointing_game/pneumonia/hit_rate": "hit rate, pneumonia",
}
"""What is drawn, and what it is called."""

PLACED = ("macro_auroc", "pointing_game/pneumonia/hit_rate")
"""How well it classifies, and how well it places: what curves and the table of all parts have."""

IN_TEXT = METRICS | {"shortcut/hit_rate": "CAM on the marker"}
"""What the table has."""

RECOMMENDED = "ggcam-cc"

OPPONENTS = {
    "none": "no guidance",
    "ggcam-cc+shuffled-gaze": "shuffled gaze",
    "ggcam-cc+lung-mask": "lung mask",
}
"""Whom the recommended guidance is held against in every part, and what they are called."""

GAINS = {"none": f"gain of `{RECOMMENDED}`", f"{RECOMMENDED}+shuffled-gaze": "its gain over shuffled gaze"}
"""Which of them the tables have, and what they say."""

WHOLE = "resnet18-shortcut"
"""The part with all training cases, where curves end."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Of Okabe and Ito, which the colour-blind tell apart."""


def differences(folder: Path, part: str) -> None:
    """Forest plots of a part: every difference, with its interval over patients and trainings."""
    rows = pd.read_csv(folder / f"{part}-differences.csv")
    rows["pair"] = rows["arm"] + "  -  " + rows["baseline"]
    _forests(rows, list(dict.fromkeys(rows["pair"])), folder / f"{part}-differences.png")


def _forests(rows: pd.DataFrame, pairs: list[str], target: Path, what: str = "difference") -> None:
    """One plot per metric, side by side; a line for each pair, in this order."""
    size = (11, 0.32 * len(pairs) + 1.1)
    figure, axes = plt.subplots(1, len(METRICS), figsize=size, sharey=True, layout="constrained")
    for axis, (name, title) in zip(axes, METRICS.items(), strict=True):
        found = rows[rows["metric"] == name].set_index("pair").reindex(pairs)
        _forest(axis, found)
        axis.set_title(title, fontsize=10)
    axes[0].set_yticks(range(len(pairs)), pairs, fontsize=9)
    axes[0].invert_yaxis()
    figure.supxlabel(f"{what}; line: 95 % over patients and trainings; blue where it excludes zero", fontsize=9)
    figure.savefig(target, dpi=110)
    plt.close(figure)


def _forest(axis: Axes, rows: pd.DataFrame) -> None:
    places = range(len(rows))
    colours = [COLOURS[0] if clear else "#777777" for clear in _clear(rows)]
    axis.axvline(0, color="black", linewidth=0.8)
    axis.hlines(places, rows["low_patients_seeds"], rows["high_patients_seeds"], colors=colours, linewidth=2)
    axis.scatter(rows["value"], places, c=colours, s=26, zorder=3)
    axis.grid(axis="x", alpha=0.3)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.locator_params(axis="x", nbins=5)


def across(folder: Path, parts: Sequence[str]) -> None:
    """Forest plots of the recommended guidance against others, a row for each part in which they were compared."""
    rows = pd.concat([_against(folder, part).assign(part=part) for part in parts])
    pair = [f"{OPPONENTS[baseline]}:  {part}" for baseline, part in zip(rows["baseline"], rows["part"], strict=True)]
    rows = rows.assign(pair=pair)
    pairs = [f"{words}:  {part}" for words in OPPONENTS.values() for part in parts]
    there = [pair for pair in pairs if pair in set(rows["pair"])]
    _forests(rows, there, folder / "across.png", f"{RECOMMENDED} less the arm named at the left, part by part")


def across_markdown(folder: Path, parts: Sequence[str]) -> str:
    """A row a part: the metrics without guidance, and what the recommended one has over that and over shuffled gaze."""
    titles = [f"{METRICS[name]}: {words}" for name in PLACED for words in ("`none`", *GAINS.values())]
    rows = []
    for part in parts:
        arms, against = pd.read_csv(folder / f"{part}-arms.csv"), _against(folder, part)
        cells = [f"`{part}`", str(against["runs"].min())]
        for name in PLACED:
            (value,) = arms.loc[(arms["metric"] == name) & (arms["arm"] == "none"), "value"]
            cells += [f"{value:.3f}", *_gains(against, name)]
        rows.append(cells)
    return _table(["part", "runs per arm", *titles], rows)


def curve_markdown(folder: Path, parts: Sequence[str]) -> str:
    """A row a number of training cases, the last with all: what the recommended guidance has over two others."""
    titles = [f"{METRICS[name]}: {words}" for name in PLACED for words in GAINS.values()]
    rows = []
    for part in (*parts, WHOLE):
        (cases,) = PARTS[part].train_cases or (TRAIN_CASES,)
        against = _against(folder, part)
        rows.append([str(cases), *(cell for name in PLACED for cell in _gains(against, name))])
    return _table(["training cases", *titles], rows)


def _gains(against: pd.DataFrame, metric: str) -> list[str]:
    of_metric = against[against["metric"] == metric].set_index("baseline")
    return [_difference(of_metric.loc[baseline]) for baseline in GAINS]


def arms_markdown(folder: Path, parts: Sequence[str], metric: str) -> str:
    """A row an arm, a column a part: what it has over no guidance; bold where the interval excludes zero."""
    columns: dict[str, dict[str, str]] = {}
    for part in parts:
        rows = pd.read_csv(folder / f"{part}-differences.csv")
        rows = rows.loc[(rows["baseline"] == "none") & (rows["metric"] == metric)]
        columns[f"`{part}`"] = {
            arm: f"**{value:+.3f}**" if clear else f"{value:+.3f}"
            for arm, value, clear in zip(rows["arm"], rows["value"], _clear(rows), strict=True)
        }
    arms = dict.fromkeys(arm for column in columns.values() for arm in column)
    rows = [[f"`{arm}`", *(column.get(arm, "") for column in columns.values())] for arm in arms]
    return _table([METRICS[metric], *columns], rows)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [f"| {' | '.join(cells)} |" for cells in (titles, *rows)]
    return "\n".join([lines[0], "| --- " * len(titles) + "|", *lines[1:]])


def _clear(rows: pd.DataFrame) -> list[bool]:
    """Whether each row's interval over patients and trainings excludes zero."""
    return [
        low > 0 or high < 0 for low, high in zip(rows["low_patients_seeds"], rows["high_patients_seeds"], strict=True)
    ]


def _against(folder: Path, part: str) -> pd.DataFrame:
    rows = pd.read_csv(folder / f"{part}-differences.csv")
    return rows.loc[(rows["arm"] == RECOMMENDED) & rows["baseline"].isin(list(OPPONENTS))]


def curve(folder: Path, parts: Sequence[str], name: str) -> None:
    """Figures against the number of training cases; the last point is the whole training split's."""
    few = pd.concat([pd.read_csv(folder / f"{part}-arms.csv") for part in parts])
    arms = list(dict.fromkeys(few["arm"]))
    rows = pd.concat([few, pd.read_csv(folder / f"{WHOLE}-arms.csv").assign(train_cases=TRAIN_CASES)])
    sizes = sorted(set(rows["train_cases"]))
    figure, axes = plt.subplots(1, len(PLACED), figsize=(9, 3.4), layout="constrained")
    for axis, kind in zip(axes, PLACED, strict=True):
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
    """A row an arm: its metrics, and in brackets their differences to the baseline, with intervals."""
    arms, differences = (pd.read_csv(folder / f"{part}-{table}.csv") for table in ("arms", "differences"))
    baseline = differences["baseline"].iloc[0]
    rows = []
    for arm, of_arm in arms.groupby("arm", sort=False):
        cells = [f"`{arm}`", str(of_arm["runs"].max())]
        for name in IN_TEXT:
            (value,) = of_arm.loc[of_arm["metric"] == name, "value"]
            to = (differences["arm"] == arm) & (differences["baseline"] == baseline) & (differences["metric"] == name)
            cells.append(
                f"{value:.3f}" + "".join(f" ({_difference(row)})" for _, row in differences.loc[to].iterrows())
            )
        rows.append(cells)
    return _table(["arm", "runs", *IN_TEXT.values()], rows)


def _difference(row: pd.Series) -> str:
    return f"{row['value']:+.3f} [{row['low_patients_seeds']:+.3f}, {row['high_patients_seeds']:+.3f}]"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/evidence")
    there = [part for part in PARTS if (folder / f"{part}-differences.csv").is_file()]
    parts = [part for part in there if not part.startswith("curve")]
    for part in parts:
        differences(folder, part)
        print(f"{part}\n\n{markdown(folder, part)}\n")
    if len(parts) > 1:
        across(folder, parts)
        print(f"all\n\n{across_markdown(folder, parts)}\n")
        for metric in PLACED:
            print(f"{arms_markdown(folder, parts, metric)}\n")
    if "curve" in there:
        curve(folder, ["curve"], "curve")
    as_long = [part for part in there if part.startswith("curve-")]
    if len(as_long) > 1:
        curve(folder, as_long, "curve-as-long")
        print(f"curve\n\n{curve_markdown(folder, as_long)}\n")


if __name__ == "__main__":
    main()
