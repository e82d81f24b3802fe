"""The leader board: ranks and intervals, choice of configurations, noisy gaze, and the text of its page."""

import importlib
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ggcam.guidance import GUIDANCES
from ggcam.metrics.bootstrap_statistics import weighted_mean
from ggcam.study.metrics import RunMetrics
from ggcam.study.plan import Arm

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "docs" / "leaderboard"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def tables() -> ModuleType:
    return importlib.import_module("experiments.leaderboard_tables")


def run(**values: np.ndarray) -> RunMetrics:
    """Return a run of which each metric is the mean of the values of its cases."""
    paths = {"auroc": "macro_auroc", "hit": "pointing_game/mass/hit_rate", "other_hit": "pointing_game/nodule/hit_rate"}
    number = len(next(iter(values.values())))
    cases = pd.DataFrame({"case_id": range(number), "patient_id": [f"p{case}" for case in range(number)]})
    return RunMetrics(cases, {paths[name]: weighted_mean(per_case) for name, per_case in values.items()})


def test_rows_are_ranked_by_place_and_compared_with_no_guidance(tables: ModuleType):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 200)
    runs = {
        "none": [run(auroc=0.6 + noise, hit=np.full(200, 0.2), other_hit=np.full(200, 0.4))] * 3,
        "same": [run(auroc=0.6 + noise[::-1], hit=np.full(200, 0.5), other_hit=np.full(200, 0.5))] * 3,
        "best": [run(auroc=0.8 + noise, hit=np.full(200, 0.9), other_hit=np.full(200, 0.7))] * 3,
    }
    resampled = tables.Resampled.from_runs(runs, resamples=500)
    board = tables.board(resampled).set_index("row")
    assert list(board.index) == ["best", "same", "none"]
    assert board["hit_rate"].tolist() == pytest.approx([0.8, 0.5, 0.3])  # the mean over both findings
    assert board["place_rank"].tolist() == [1, 2, 3]
    assert board.loc["best", "auroc_gain"] == pytest.approx(0.2)
    assert board.loc["best", "auroc_gain_low"] == pytest.approx(0.2)  # paired: the noise is that of "none"
    assert board.loc["same", "auroc_gain_low"] < 0 < board.loc["same", "auroc_gain_high"]
    assert board.loc["best", ["auroc_rank_low", "auroc_rank_high"]].tolist() == [1, 1]
    assert board.loc["none", ["auroc_rank_low", "auroc_rank_high"]].tolist() == [2, 3]
    assert "nss" not in board
    ahead = tables.differences(resampled, "same").set_index("row")
    assert ahead["hit_rate"].to_dict() == pytest.approx({"none": 0.2, "best": -0.3})
    assert ahead.loc["none", "auroc_low"] == pytest.approx(board.loc["same", "auroc_gain_low"])
    assert ahead.loc["none", "auroc"] == pytest.approx(board.loc["same", "auroc_gain"])


def test_ranks_of_few_seeds_are_uncertain(tables: ModuleType):
    first = [run(auroc=np.full(50, value), hit=np.ones(50)) for value in (0.9, 0.5, 0.9)]
    second = [run(auroc=np.full(50, value), hit=np.ones(50)) for value in (0.7, 0.7, 0.7)]
    resampled = tables.Resampled.from_runs({"none": second, "guided": first}, resamples=500)
    board = tables.board(resampled).set_index("row")
    assert board.loc["guided", "auroc_rank"] == 1
    assert board.loc["guided", "auroc_rank_high"] == 2  # the seed of 0.5 twice


def tried(scores: list[float]) -> tuple[list[int], int]:
    """Return the places of the configurations that tuning tries, and of the one that it chooses."""
    tuning = importlib.import_module("experiments.leaderboard_tuning")
    arms = tuple(Arm("ggcam-cc", weight=float(weight)) for weight in range(1, len(scores) + 1))
    found: dict[str, float] = {}
    while (arm := tuning.next_to_try(arms, found)) is not None:
        found[arm.name] = scores[arms.index(arm)]
    best = max(found, key=lambda name: found[name])
    names = [arm.name for arm in arms]
    return [names.index(name) for name in found], names.index(best)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([9, 9, 1, 2, 1, 9, 9], ([2, 3, 4], 3)),  # the best of the three lies in the middle
        ([9, 0, 2, 1, 1, 9, 9], ([2, 3, 4, 1], 2)),
        ([9, 3, 2, 1, 1, 9, 9], ([2, 3, 4, 1, 0], 0)),
        ([0, 0, 1, 2, 3, 4, 5], ([2, 3, 4, 5, 6], 6)),
        ([1, 2, 3], ([0, 1, 2], 2)),  # there are no others
    ],
)
def test_configurations_beyond_the_end_are_tried_only_where_the_best_one_lies_there(scores, expected):
    assert tried(scores) == expected


def test_finished_configurations_are_read_from_the_table(tmp_path: Path):
    tuning = importlib.import_module("experiments.leaderboard_tuning")
    assert tuning.read_scores(tmp_path / "none.csv") == {}
    table = pd.DataFrame([{"row": "energy", "arm": "energy[weight=1.0]", "macro_auroc": 0.7, "place": 0.25}])
    table.to_csv(tmp_path / "some.csv", index=False)
    assert tuning.read_scores(tmp_path / "some.csv") == {"energy": {"energy[weight=1.0]": 0.95}}


def test_a_configuration_whose_run_was_interrupted_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tuning = importlib.import_module("experiments.leaderboard_tuning")
    parts = importlib.import_module("experiments.leaderboard_parts")
    (tmp_path / "run" / "none").mkdir(parents=True)
    left_over: list[bool] = []
    monkeypatch.setattr(tuning, "train", lambda data, config, folder, guidance: left_over.append(folder.exists()))
    metrics = {"macro_auroc": {"value": 0.75}, "gaze_agreement": {"cc": {"cam": {"value": 0.5}}}}
    monkeypatch.setattr(tuning, "evaluate", lambda run, data, split: SimpleNamespace(metrics=metrics))
    part = parts.parts(tmp_path)["shortcut"]
    assert tuning._validate(part, None, Arm("none"), tmp_path / "run") == (0.75, 0.5)
    assert left_over == [False]


def test_every_method_is_on_the_board():
    parts = importlib.import_module("experiments.leaderboard_parts")
    methods = {arm.guidance for arms in parts.METHODS.values() for arm in arms}
    assert methods == set(GUIDANCES) - {"none", "original"}
    assert {len(set(arms)) for arms in parts.METHODS.values()} == {3, 7}
    of_parts = parts.parts(Path("raw"))
    assert set(of_parts["poet-vit"].methods) - set(of_parts["poet"].methods) == set(parts.FOR_TRANSFORMERS)
    assert set(of_parts["shortcut"].methods) - set(of_parts["poet"].methods) == set(parts.FOR_ONE_PART)
    assert {name for name, part in of_parts.items() if "rrr" in part.methods} == {"shortcut"}


def test_a_star_stands_for_one_name():
    parts = importlib.import_module("experiments.leaderboard_parts")
    assert parts.matches("overlap/CHF/best_iou/cam", "overlap/*/best_iou/cam")
    assert not parts.matches("overlap/CHF/by_size/large/best_iou/cam", "overlap/*/best_iou/cam")


def test_noisy_gaze_is_missing_for_half_of_the_cases_and_wrong_for_30_percent_of_the_others():
    data = importlib.import_module("experiments.leaderboard_data")
    fixations = pd.DataFrame({"DICOM_ID": np.repeat([f"c{case}" for case in range(200)], 3), "CNT": range(600)})
    worse = data._worse(fixations)
    origin = fixations.loc[worse.index, "DICOM_ID"]
    assert origin.nunique() == worse["DICOM_ID"].nunique() == 100
    assert (worse["DICOM_ID"] != origin).mean() == pytest.approx(0.3)
    assert worse.groupby("DICOM_ID")["CNT"].count().eq(3).all()


def test_tables_in_the_text_are_those_of_the_csv_files(tables: ModuleType):
    text = (ROOT / "docs" / "leaderboard.md").read_text(encoding="utf-8")
    for path in TABLES.glob("*.csv"):
        assert f"(leaderboard/{path.name})" in text
        if not path.stem.endswith(tables.OTHER_TABLES):
            assert tables.board_markdown(path) in text
            assert tables.differences_markdown(path) in text
    assert tables.gains_markdown(TABLES) in text


def test_gains_whose_interval_is_on_one_side_of_zero_are_marked(tables: ModuleType, tmp_path: Path):
    for part in tables.SUMMARISED:
        gain = pd.DataFrame(
            {
                "row": ["none", "up", "down", "either", f"only on {part}"],
                "auroc_gain": [0, 0.02, -0.02, 0.01, 0.5],
                "auroc_gain_low": [0, 0.01, -0.03, -0.01, 0.4],
                "auroc_gain_high": [0, 0.03, -0.01, 0.03, 0.6],
            }
        )
        gain.to_csv(tmp_path / f"{part}.csv", index=False)
    marked = [line.split(" | ")[:2] for line in tables.gains_markdown(tmp_path).splitlines()[2:]]
    assert marked == [["| `up`", "**+0.020**"], ["| `either`", "+0.010"], ["| `down`", "*-0.020*"]]


def test_the_plot_has_a_panel_for_each_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plot = importlib.import_module("experiments.leaderboard_plot")
    figures: list[Figure] = []
    monkeypatch.setattr(plot.plt, "close", figures.append)
    for part in ("shortcut", "poet-vit"):
        shutil.copy(TABLES / "shortcut.csv", tmp_path / f"{part}.csv")
    plot.plot_board(tmp_path)
    first, second, *empty = figures[0].axes
    assert [panel.get_title() for panel in (first, second)] == ["shortcut", "photographs, transformer"]
    assert not any(panel.axison for panel in empty)
    table = pd.read_csv(TABLES / "shortcut.csv", index_col="row")
    published = [row for row in table.index if row != "none" and not row.startswith(("ggcam-", "ggcam ("))]
    best = table.loc[published, "auroc_gain"].nlargest(2).index
    assert [text.get_text() for text in first.texts] == list(best)
    assert (tmp_path / "gains.png").is_file()
    monkeypatch.undo()
    plt.close(figures[0])
