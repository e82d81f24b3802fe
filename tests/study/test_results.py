"""Metrics by arm and their differences, against slow re-implementations, and on arms that do not differ."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ggcam.evaluation.run_metrics import class_metrics, leaves
from ggcam.metrics.bootstrap_statistics import weighted_mean
from ggcam.metrics.significance import holm, seed_test
from ggcam.metrics.threshold_statistics import weighted_auroc
from ggcam.study.metrics import RunMetrics
from ggcam.study.plan import CONTROLS, Arm, StudyPlan, plan_study
from ggcam.study.results import is_compared, resampled, summarise
from ggcam.training.config import TrainConfig

CLASSES = ("Normal", "CHF", "pneumonia")


def run_metrics(labels: np.ndarray, probabilities: np.ndarray, hits: np.ndarray, cases: np.ndarray) -> RunMetrics:
    tree = dict(leaves(class_metrics(probabilities, labels, CLASSES)))
    table = pd.DataFrame({"case_id": [f"c{i}" for i in cases], "patient_id": [f"p{i // 2}" for i in cases]})
    return RunMetrics(table, tree | {"pointing_game/pneumonia/hit_rate": weighted_mean(hits)})


def slow_auroc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    """Share of the weight of all pairs that are in the right order."""
    pair = weights[positive][:, None] * weights[~positive]
    return float((pair * (scores[positive][:, None] > scores[~positive])).sum() / pair.sum())


def guessing_runs(plan: StudyPlan, rng: np.random.Generator, cases: int = 60, better: dict[str, float] | None = None):
    """Runs that guess, but for arms that know something; in folds, each on a part of the cases."""
    labels = rng.integers(0, 3, cases)
    fold = np.arange(cases) % max(1, plan.folds)
    runs = {}
    for run in plan.runs:
        mine = np.flatnonzero(fold == run.config.view.fold)
        known = (better or {}).get(run.arm.name, 0.3)
        raw = rng.gumbel(size=(len(mine), 3)) + known * np.eye(3)[labels[mine]]
        probabilities = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        hits = np.where(labels[mine] == 2, rng.random(len(mine)) < 0.3 + 0.1 * known, np.nan)
        runs[run.arm, run.pair] = run_metrics(labels[mine], probabilities, hits, mine), probabilities, labels[mine]
    return {key: metrics for key, (metrics, _, _) in runs.items()}, runs


def test_metrics_and_differences_equal_slow_ones():
    plan = plan_study(TrainConfig(), ["none", "ggcam", "ggcam-cc"], 3, folds=3)
    metrics, raw = guessing_runs(plan, np.random.default_rng(0), cases=120, better={"ggcam-cc": 1.0})
    found = resampled(metrics, resamples=60)
    summary = summarise(plan, found)

    def auroc(arm: str, seed: int, weights: np.ndarray | None = None) -> list[float]:
        each = []
        for fold in range(3):
            key = (Arm(arm), (seed, fold, None))
            (of_run, p, y) = raw[key]
            at = [int(case[1:]) for case in of_run.cases["case_id"]]
            w = np.ones(len(at)) if weights is None else weights[at]
            each.append(np.mean([slow_auroc(p[:, k], y == k, w) for k in range(3)]))
        return each

    arms = {row["arm"]: row for row in summary["arms"] if row["metric"] == "macro_auroc"}
    differences = {row["arm"]: row for row in summary["differences"] if row["metric"] == "macro_auroc"}
    for arm in ("none", "ggcam", "ggcam-cc"):
        by_seed = {str(seed): np.mean(auroc(arm, seed)) for seed in range(3)}
        assert arms[arm]["by_seed"] == pytest.approx(by_seed)
        assert arms[arm]["value"] == pytest.approx(np.mean(list(by_seed.values())))
        assert arms[arm]["runs"] == 9
    # The very resamples of the bootstrap, one by one.
    rng, draws = np.random.default_rng(0), []
    chosen = rng.integers(0, 60, size=(60, 60))
    names = sorted(f"p{i}" for i in range(60))
    order = list(metrics.values())
    first = pd.concat([run.cases for run in order]).drop_duplicates("case_id")
    for row in chosen:
        count = dict.fromkeys(names, 0)
        for patient in row:
            count[names[patient]] += 1
        weights = np.zeros(120)
        for case in first.to_dict("records"):
            weights[int(case["case_id"][1:])] = count[case["patient_id"]]
        draws.append(
            np.mean([auroc("ggcam-cc", seed, weights) for seed in range(3)])
            - np.mean([auroc("none", seed, weights) for seed in range(3)])
        )
    got = differences["ggcam-cc"]
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (got["low"], got["high"]) == pytest.approx((low, high))
    # Two of the three seeds in each of them, folds averaged before.
    seeds, with_seeds = np.random.default_rng(0).integers(0, 3, size=(2, 60)), []
    for row, drawn in zip(chosen, seeds.T, strict=True):
        count = {name: int(np.sum(row == number)) for number, name in enumerate(names)}
        weights = np.zeros(120)
        for case in first.to_dict("records"):
            weights[int(case["case_id"][1:])] = count[case["patient_id"]]
        with_seeds.append(np.mean([np.subtract(*(auroc(a, s, weights) for a in ("ggcam-cc", "none"))) for s in drawn]))
    ends = np.quantile(with_seeds, [0.025, 0.975])
    assert (got["low_patients_seeds"], got["high_patients_seeds"]) == pytest.approx(tuple(ends))
    tail = min(np.sum(np.array(draws) <= 0), np.sum(np.array(draws) >= 0))
    assert got["p_patients"] == pytest.approx(min(1, 2 * (tail + 1) / 61))
    d = np.array([np.mean(auroc("ggcam-cc", s)) - np.mean(auroc("none", s)) for s in range(3)])
    assert got["p_seeds"] == seed_test(d)
    # Holm over two arms, by hand.
    p = sorted(row["p_patients"] for row in differences.values())
    adjusted = sorted(row["p_patients_holm"] for row in differences.values())
    assert adjusted == pytest.approx([min(1, 2 * p[0]), min(1, max(2 * p[0], p[1]))])


def test_none_against_none_finds_nothing_at_about_the_nominal_rate():
    """200 comparisons of two arms that guess alike, two seeds each: about 5 % are found."""
    rng = np.random.default_rng(5)
    arms, labels = (Arm("none"), Arm("ggcam")), np.arange(80) % 2 == 0
    plan = StudyPlan(TrainConfig(), arms, (0, 1))
    cases = pd.DataFrame({"case_id": [f"c{i}" for i in range(80)], "patient_id": [f"p{i}" for i in range(80)]})
    found = {"macro_auroc": 0, "accuracy": 0}
    for _ in range(200):
        metrics = {}
        for run in plan.runs:
            scores = labels + rng.normal(size=80)
            right = weighted_mean((scores > 0.5) == labels)
            statistics = {"macro_auroc": weighted_auroc(scores, labels), "accuracy": right}
            metrics[run.arm, run.pair] = RunMetrics(cases, statistics)
        drawn = resampled(metrics, resamples=200, seed=int(rng.integers(2**31)))
        for row in summarise(plan, drawn)["differences"]:
            found[row["metric"]] += row["p_patients_holm"] < 0.05
    assert all(0.015 <= count / 200 <= 0.1 for count in found.values()), found


def test_an_arm_that_is_better_is_found_and_against_its_control_too():
    plan = plan_study(TrainConfig(), ["none", "ggcam-cc"], 6, controls=True)
    metrics, _ = guessing_runs(plan, np.random.default_rng(2), cases=90, better={"ggcam-cc": 2.0})
    rows = summarise(plan, resampled(metrics, resamples=500))["differences"]
    auroc = {(row["arm"], row["baseline"]): row for row in rows if row["metric"] == "macro_auroc"}
    for baseline in ("none", *(f"ggcam-cc+{control}" for control in CONTROLS)):
        row = auroc["ggcam-cc", baseline]
        assert row["low"] > 0
        assert row["low_patients_seeds"] > 0
        assert row["p_patients_holm"] < 0.05
        assert row["p_seeds"] == 2 / 64
        assert row["p_seeds_holm"] == pytest.approx((len(CONTROLS) + (baseline == "none")) * 2 / 64)
    assert {row["metric"] for row in rows if row["baseline"] == "ggcam-cc+shuffled-gaze"} == {
        *("macro_auroc", "accuracy", "pointing_game/pneumonia/hit_rate"),
        *(f"auroc/{name}" for name in CLASSES),
    }
    assert auroc["ggcam-cc+centre", "none"]["p_patients_holm"] > 0.05


def test_missing_runs_leave_their_pair_out():
    plan = plan_study(TrainConfig(), ["none", "ggcam"], 3)
    metrics, _ = guessing_runs(plan, np.random.default_rng(3))
    del metrics[Arm("none"), (1, 0, None)]
    found = resampled(metrics, resamples=100)
    row = next(row for row in summarise(plan, found)["differences"] if row["metric"] == "macro_auroc")
    assert row["runs"] == 2
    assert list(row["by_seed"]) == ["0", "2"]
    assert row["value"] == pytest.approx(np.mean(list(row["by_seed"].values())))


def test_one_seed_has_no_test_and_a_note_and_one_patient_no_interval():
    plan = plan_study(TrainConfig(), ["none", "ggcam"], 1)
    metrics, _ = guessing_runs(plan, np.random.default_rng(4))
    summary = summarise(plan, resampled(metrics, resamples=100))
    without = ("p_seeds", "p_seeds_holm", "low_patients_seeds", "high_patients_seeds")
    assert all(np.isnan([row[name] for name in without]).all() for row in summary["differences"])
    assert "one seed" in summary["notes"][0]
    alone = {key: RunMetrics(each.cases.assign(patient_id="p"), each.statistics) for key, each in metrics.items()}
    row = summarise(plan, resampled(alone))["differences"][0]
    assert np.isfinite(row["value"])
    assert np.isnan([row["low"], row["high"], row["low_patients_seeds"], row["p_patients"]]).all()


@pytest.mark.parametrize(
    ("seeds", "controls", "note"),
    [
        (5, False, ["5 seeds: p_seeds cannot be below 0.062, even if all seeds agree; with 6 seeds it can be"]),
        (6, False, []),
        (6, True, ["6 seeds: p_seeds cannot be below 0.031, or 0.19 adjusted for 6 comparisons, even"]),
        (7, True, ["7 seeds: p_seeds cannot be below 0.016, or 0.094 adjusted for 6 comparisons, even"]),
        (8, True, []),
    ],
)
def test_a_note_says_when_there_are_too_few_seeds_for_their_test(seeds, controls, note):
    plan = plan_study(TrainConfig(), ["none", "ggcam"], seeds, controls=controls)
    notes = summarise(plan, {})["notes"]
    assert [told[: len(start)] for told, start in zip(notes, note, strict=True)] == note
    agreed = holm([seed_test(np.linspace(1, 2, seeds))] * (1 + len(CONTROLS) if controls else 1))
    assert (agreed.min() >= 0.05) == bool(note)


def test_each_number_of_training_cases_is_a_study_of_its_own():
    plan = plan_study(TrainConfig(), ["none", "ggcam"], 2, train_cases=[10, 20])
    metrics, _ = guessing_runs(plan, np.random.default_rng(6))
    rows = [r for r in summarise(plan, resampled(metrics, resamples=50))["differences"] if r["metric"] == "macro_auroc"]
    assert [(row["train_cases"], row["runs"]) for row in rows] == [(10, 2), (20, 2)]
    assert all(row["low"] < row["value"] < row["high"] and row["low_patients_seeds"] < row["value"] for row in rows)
    assert rows[0]["value"] != rows[1]["value"]


@pytest.mark.parametrize(
    ("name", "compared"),
    [
        ("macro_auroc", True),
        ("auroc/a/b", True),
        ("auroc/", False),
        ("auroc_delong/CHF", False),
        ("pointing_game/CHF/hit_rate", True),
        ("pointing_game/CHF/distance_px", False),
        ("gaze_agreement/cc/cam", True),
        ("gaze_agreement/cc/centre", False),
        ("shortcut/energy_inside/cam", True),
        ("overlap/CHF/average_precision/cam", True),
        ("overlap/CHF/by_size/small/average_precision/cam", False),
        ("faithfulness/deletion_auc/cam_minus_chance", True),
    ],
)
def test_arms_are_compared_by_these_metrics(name, compared):
    assert is_compared(name) is compared
