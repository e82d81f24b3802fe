"""The tables of the leader board: metrics and ranks of each method, with intervals over patients and seeds.

python -m experiments.leaderboard_tables [FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import rankdata

from experiments.leaderboard_parts import CONTROLLED, CONTROLS, matches
from experiments.markdown_table import markdown_table
from ggcam.metrics.bootstrap_statistics import mean_of_defined
from ggcam.metrics.intervals import bootstrap_draws, resampled_seeds
from ggcam.study.folder import open_study_folder
from ggcam.study.metrics import RunMetrics, read_metrics
from ggcam.study.plan import Arm

METRICS = {
    "auroc": "macro_auroc",
    "hit_rate": "pointing_game/*/hit_rate",
    "energy": "overlap/*/energy_inside/cam",
    "iou": "overlap/*/best_iou/cam",
    "average_precision": "overlap/*/average_precision/cam",
    "nss": "gaze_agreement/nss/cam",
    "cc": "gaze_agreement/cc/cam",
}
"""Column -> metric of a run; * stands for each finding, over which the mean is taken."""

TITLES = {"hit_rate": "hit rate", "energy": "energy inside", "iou": "best IoU", "nss": "NSS", "cc": "CC"}

PLACE = ("hit_rate", "energy", "iou", "nss")
"""Columns whose mean rank orders the rows by place."""

OURS = ("ggcam-cc", "ggcam-swap")
"""Rows of which the differences to all others are computed."""

SUMMARISED = {
    "shortcut": "shortcut",
    "clean": "no shortcut",
    "noisy": "poor gaze",
    "nih": "X-rays with boxes",
    "poet": "photographs",
}
"""Part -> its title in the summary."""

RESAMPLES = 2000

OTHER_TABLES = ("-tuning", "-cost", "-differences")
"""Ends of the names of tables that are not those of a part."""

LEVEL = (0.025, 0.975)


def write_board(study: Path, arms: Mapping[str, Arm], path: Path) -> pd.DataFrame:
    """Write the table of a part, and beside it that of the differences of our own methods to all others.

    Args:
        study: study folder of the part; seeds that are not finished for every arm are left out.
        arms: row -> arm.
        path: CSV file to write.

    Returns:
        The table; see :func:`board`.
    """
    folder, plan = open_study_folder(study)
    runs = {(run.arm.name, run.config.seed): run for run in plan.runs if folder.finished(run)}
    seeds = [seed for seed in plan.seeds if all((arm.name, seed) in runs for arm in arms.values())]
    read = {row: [read_metrics(folder.open(runs[arm.name, seed])) for seed in seeds] for row, arm in arms.items()}
    resampled = Resampled.from_runs(read)
    table = board(resampled)
    table.insert(1, "arm", [arms[row].name for row in table["row"]])
    table.insert(2, "runs", len(seeds))
    path.parent.mkdir(parents=True, exist_ok=True)
    table.round(4).to_csv(path, index=False)
    ahead = pd.concat([differences(resampled, ours) for ours in OURS])
    ahead.round(4).to_csv(path.with_stem(f"{path.stem}-differences"), index=False)
    return table


@dataclass(frozen=True)
class Resampled:
    """Metrics of all rows, and their values in the same resamples of patients and of seeds, so that rows are paired.

    Attributes:
        rows: the rows.
        values: metric -> value of each row; metrics that some row lacks are left out.
        draws: metric -> its values in the resamples, for each row.
    """

    rows: tuple[str, ...]
    values: dict[str, Float[np.ndarray, " rows"]]
    draws: dict[str, Float[np.ndarray, "rows r"]]

    @classmethod
    def from_runs(cls, runs: Mapping[str, list[RunMetrics]], resamples: int = RESAMPLES) -> Resampled:
        """Resample runs.

        Args:
            runs: row -> metrics of its run for each seed, on the same test cases.
            resamples: number of resamples.

        Returns:
            The resampled metrics.
        """
        of_rows = [_resampled(of_seeds, resamples) for of_seeds in runs.values()]
        names = [name for name in METRICS if all(name in of_row for of_row in of_rows)]
        values = {name: np.array([of_row[name][0] for of_row in of_rows]) for name in names}
        draws = {name: np.array([of_row[name][1] for of_row in of_rows]) for name in names}
        return cls(tuple(runs), values, draws)

    def minus(self, name: str, row: str) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, "2 rows"]]:
        """Return the difference of each row to one of them in a metric, and the ends of its interval."""
        values, draws, at = self.values[name], self.draws[name], self.rows.index(row)
        return values - values[at], _ends(draws - draws[at])


def board(resampled: Resampled) -> pd.DataFrame:
    """Compute metrics, differences to no guidance, and ranks, with intervals over patients and seeds.

    Args:
        resampled: metrics of all rows; the row "none" is the baseline.

    Returns:
        One row per row, best mean rank of the place metrics first: for each metric its value, low and high, and its
        rank with low and high; the difference of the AUROC to "none"; and the mean rank in place.
    """
    table = pd.DataFrame({"row": list(resampled.rows)})
    for name, draws in resampled.draws.items():
        table[name] = resampled.values[name]
        table[f"{name}_low"], table[f"{name}_high"] = _ends(draws)
        table[f"{name}_rank"] = rankdata(-table[name])
        table[f"{name}_rank_low"], table[f"{name}_rank_high"] = _ends(_ranks(draws))
    gain, ends = resampled.minus("auroc", "none")
    table["auroc_gain"], (table["auroc_gain_low"], table["auroc_gain_high"]) = gain, ends
    place = [name for name in PLACE if name in resampled.draws]
    mean_rank = np.mean([_ranks(resampled.draws[name]) for name in place], axis=0)
    table["place_rank"] = table[[f"{name}_rank" for name in place]].mean(axis=1)
    table["place_rank_low"], table["place_rank_high"] = _ends(mean_rank)
    return table.sort_values("place_rank", kind="stable").reset_index(drop=True)


def differences(resampled: Resampled, ours: str) -> pd.DataFrame:
    """Compute how far one row is ahead of each other one.

    Args:
        resampled: metrics of all rows.
        ours: the row.

    Returns:
        One row per other row: for each metric the value of `ours` minus that of the row, low and high.
    """
    table = pd.DataFrame({"ours": ours, "row": list(resampled.rows)})
    for name in resampled.draws:
        value, (low, high) = resampled.minus(name, ours)
        table[name], table[f"{name}_low"], table[f"{name}_high"] = -value, -high, -low
    return table.loc[table["row"] != ours].reset_index(drop=True)


def _resampled(runs: list[RunMetrics], resamples: int) -> dict[str, tuple[float, Float[np.ndarray, " r"]]]:
    """Return the mean of each metric over the runs, and its resamples over patients and seeds."""
    found: dict[str, list[tuple[float, np.ndarray]]] = {}
    for run in runs:
        statistics = {}
        for name, pattern in METRICS.items():
            parts = [statistic for path, statistic in run.statistics.items() if matches(path, pattern)]
            if parts:
                statistics[name] = mean_of_defined(parts)
        everyone = np.ones((len(run.cases), 1))
        drawn = bootstrap_draws(statistics, run.cases["patient_id"].to_numpy(np.str_), resamples=resamples, seed=0)
        for name, statistic in statistics.items():
            found.setdefault(name, []).append((float(statistic(everyone)[0]), drawn[name]))
    return {
        name: (float(np.mean([value for value, _ in of_runs])), _over_seeds(np.array([each for _, each in of_runs])))
        for name, of_runs in found.items()
    }


def _over_seeds(draws: Float[np.ndarray, "s r"]) -> Float[np.ndarray, " r"]:
    """Return the mean over resampled seeds, the same ones for every row; of one seed, its draws."""
    return resampled_seeds(draws, seed=0) if len(draws) > 1 else draws[0]


def _ranks(draws: Float[np.ndarray, "rows r"]) -> Float[np.ndarray, "rows r"]:
    """Return the rank of each row in each resample; 1 is the highest value."""
    return rankdata(-np.nan_to_num(draws, nan=-np.inf), axis=0)


def _ends(draws: Float[np.ndarray, "rows r"]) -> Float[np.ndarray, "2 rows"]:
    """Return the ends of the 95 % interval of each row."""
    return np.nanquantile(draws, LEVEL, axis=1)


def board_markdown(path: Path) -> str:
    """Return the table of a part as Markdown.

    Args:
        path: CSV file of the part.

    Returns:
        The table: one line per row, best in place first.
    """
    table = pd.read_csv(path)
    shown = [name for name in METRICS if name in table and name not in ("auroc", "average_precision")]
    heads = ["row", "AUROC", "gain over `none`", "rank", *(TITLES[name] for name in shown), "rank in place"]
    rows = [
        [
            f"`{each['row']}`",
            _interval(each, "auroc"),
            "" if each["row"] == "none" else _interval(each, "auroc_gain", "+.3f"),
            _interval(each, "auroc_rank", ".0f"),
            *(f"{each[name]:.{2 if name == 'nss' else 3}f}" for name in shown),
            _interval(each, "place_rank", ".1f"),
        ]
        for each in table.to_dict("records")
    ]
    return markdown_table(heads, rows)


def gains_markdown(folder: Path) -> str:
    """Return the gains in AUROC over no guidance on all data sets as Markdown.

    Args:
        folder: folder of the tables.

    Returns:
        The table: one line per row that all parts have, highest mean first. Gains whose interval is above 0 are bold,
        those whose interval is below 0 italic.
    """
    gains = {title: pd.read_csv(folder / f"{part}.csv", index_col="row") for part, title in SUMMARISED.items()}
    gain = pd.DataFrame({title: table["auroc_gain"] for title, table in gains.items()}).dropna().drop("none")
    gain["mean"] = gain.mean(axis=1)
    rows = [
        [
            f"`{row}`",
            *(_marked_gain(table.loc[row].to_dict()) for table in gains.values()),
            f"{gain.loc[row, 'mean']:+.3f}",
        ]
        for row in gain.sort_values("mean", ascending=False).index
    ]
    return markdown_table(["gain over `none`", *gain.columns], rows)


def differences_markdown(path: Path) -> str:
    """Return how far our own methods are ahead of some rows as Markdown.

    Args:
        path: CSV file of the part; that of the differences lies beside it.

    Returns:
        A table for each: no guidance, our other method, the controls, and the published methods with the best AUROC and
        the best place.
    """
    board = pd.read_csv(path)
    found = pd.read_csv(path.with_stem(f"{path.stem}-differences"))
    shown = [name for name in METRICS if name in found and name not in ("average_precision", "cc")]
    controls = [f"{CONTROLLED}+{control}" for control in CONTROLS]
    published = board.loc[board["row"].map(is_published)]
    best = (published["row"][published["auroc"].idxmax()], published["row"].iloc[0])
    tables = []
    for ours in OURS:
        table = found.query("ours == @ours").set_index("row")
        compared = dict.fromkeys(("none", *(each for each in OURS if each != ours), *controls, *best))
        rows = [[f"`{row}`", *(_interval(table.loc[row], name, "+.3f") for name in shown)] for row in compared]
        tables.append(markdown_table([f"`{ours}` minus", *(TITLES.get(name, "AUROC") for name in shown)], rows))
    return "\n\n".join(tables)


def is_published(row: str) -> bool:
    """Return whether a row is not our own, nor a control of it, nor the published method with another distance."""
    return not row.startswith((*OURS, "ggcam ("))


def _interval(values: Mapping[Hashable, Any] | pd.Series, name: str, form: str = ".3f") -> str:
    """Return a value and the ends of its interval as text."""
    value, low, high = (format(values[each], form) for each in (name, f"{name}_low", f"{name}_high"))
    return f"{value} [{low}, {high}]"


def _marked_gain(values: Mapping[Hashable, Any]) -> str:
    mark = "**" if values["auroc_gain_low"] > 0 else "*" if values["auroc_gain_high"] < 0 else ""
    return f"{mark}{values['auroc_gain']:+.3f}{mark}"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/leaderboard")
    for path in sorted(folder.glob("*.csv")):
        if not path.stem.endswith(OTHER_TABLES):
            print(f"\n{path.stem}\n\n{board_markdown(path)}\n\n{differences_markdown(path)}")
    if all((folder / f"{part}.csv").is_file() for part in SUMMARISED):
        print(f"\n{gains_markdown(folder)}")


if __name__ == "__main__":
    main()
