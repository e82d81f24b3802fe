"""Run a study: what is checked first, what is kept, repeated and reported; its tables; processes, and a Ray cluster."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.errors import BusyError, ConfigError, RunFolderError
from ggcam.report.run_files import read_metrics
from ggcam.run_folder import open_run_folder
from ggcam.study import local
from ggcam.study.cluster import run_on_ray
from ggcam.study.folder import StudyFolder, open_study_folder
from ggcam.study.local import _Process as Process
from ggcam.study.plan import CONTROLS, PlannedRun, StudyPlan, plan_study
from ggcam.study.results import write_results
from ggcam.study.run import Outcome, Task, run_one
from ggcam.study.study import execute_plan, open_study, run_study
from ggcam.study.validation import validate_plan
from ggcam.training.config import TrainConfig
from study.failing_guidance import CRASHED

BROKEN, KILLED, CRASHES_ONCE = (f"study.failing_guidance:{name}" for name in ("Broken", "Killed", "CrashesOnce"))

BASE = TrainConfig(backbone="test_resnet", batch_size=16, epochs=1, precision="32")
PLAN = plan_study(BASE, ["none", "ggcam-cc"], 2)


@pytest.fixture(scope="module")
def data(prepared: Path) -> PreparedData:
    return load_prepared(prepared)


def finished(tasks: Sequence[Task]) -> Iterator[Outcome]:
    """In place of training: a run folder that looks complete."""
    for task in tasks:
        place = task.study / "runs" / task.run.name
        place.mkdir(parents=True)
        (place / "metrics.json").write_text("{}")
        yield Outcome(task.run.name, None, 0.0)


def interrupted(tasks: Sequence[Task]) -> Iterator[Outcome]:
    raise KeyboardInterrupt
    yield


def test_finished_runs_are_kept_and_half_written_ones_repeated(data, tmp_path):
    study = StudyFolder(tmp_path / "study")
    assert execute_plan(data, PLAN, study.root, finished) == 0
    assert sorted(run.name for run in PLAN.runs) == sorted(path.name for path in (study.root / "runs").iterdir())
    half = study.run(PLAN.runs[1])
    (half / "metrics.json").unlink()
    (half / "config.toml").write_text("half")
    (study.root / "partial-ABCDE" / "x").mkdir(parents=True)
    executed: list[str] = []

    def watched(tasks: Sequence[Task]) -> Iterator[Outcome]:
        executed.extend(task.run.name for task in tasks)
        return finished(tasks)

    assert execute_plan(data, PLAN, study.root, watched) == 3
    assert executed == [PLAN.runs[1].name]
    assert not list(study.root.glob("partial*"))
    assert not (half / "config.toml").exists()
    # More seeds are added to the existing ones.
    assert execute_plan(data, plan_study(BASE, ["none", "ggcam-cc"], 3), study.root, watched) == 4
    assert executed[1:] == ["none-seed2", "ggcam-cc-seed2"]


def test_a_run_that_fails_is_reported_and_the_others_continue(data, tmp_path):
    def some(tasks: Sequence[Task]) -> Iterator[Outcome]:
        for task in tasks:
            if task.run.name == "none-seed1":
                yield Outcome(task.run.name, "no luck", 1.0)
            else:
                yield from finished([task])

    reported: list[tuple[str, str | None, int, int]] = []
    errors = StudyFolder(tmp_path / "study").errors
    execute_plan(
        data,
        PLAN,
        tmp_path / "study",
        some,
        on_run=lambda outcome, done, total: reported.append((outcome.name, outcome.error, done, total)),
    )
    names = [run.name for run in PLAN.runs]
    assert reported == [
        (name, "no luck" if name == "none-seed1" else None, k, 4) for k, name in enumerate(names, start=1)
    ]
    assert json.loads(errors.read_text()) == {"none-seed1": "no luck"}
    execute_plan(data, PLAN, tmp_path / "study", finished)
    assert json.loads(errors.read_text()) == {}


def test_what_exists_in_the_output_folder_stays_as_it_is(data, tmp_path):
    (tmp_path / "other.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="exists and is not a study"):
        execute_plan(data, PLAN, tmp_path, finished)
    with pytest.raises(RunFolderError, match="exists and is not a study"):
        execute_plan(data, PLAN, tmp_path / "other.txt", finished)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "lock").touch()  # of a command that was killed at once
    execute_plan(data, PLAN, tmp_path / "study", finished)
    with pytest.raises(RunFolderError, match=r"(?s)another study.*differs in epochs"):
        execute_plan(data, plan_study(replace(BASE, epochs=2), ["none"], 2), tmp_path / "study", finished)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["other.txt"]
    assert (tmp_path / "other.txt").read_text() == "mine"


def test_a_second_command_is_refused_while_one_is_running(data, tmp_path, monkeypatch):
    monkeypatch.setattr("ggcam.utils.locks.LOCK_TIMEOUT_S", 0.0)
    half = tmp_path / "study" / "partial" / "ABCDE"

    def slow(tasks: Sequence[Task]) -> Iterator[Outcome]:
        half.mkdir(parents=True)
        with pytest.raises(BusyError, match=r"another ggcam command is at work here"):
            execute_plan(data, plan_study(BASE, ["none"], 3), tmp_path / "study", finished)
        assert half.is_dir()
        yield from finished(tasks)

    assert execute_plan(data, PLAN, tmp_path / "study", slow) == 0
    assert open_study_folder(tmp_path / "study")[1].seeds == PLAN.seeds
    # The lock is free afterwards, also after an interruption.
    with pytest.raises(KeyboardInterrupt):
        execute_plan(data, plan_study(BASE, ["none"], 3), tmp_path / "study", interrupted)
    assert execute_plan(data, plan_study(BASE, ["none"], 3), tmp_path / "study", finished) == 2


def test_the_results_are_tables_and_the_same_when_opened_again(data, tmp_path, capfd):
    outcomes: list[Outcome] = []
    plans: list[StudyPlan] = []
    plan = plan_study(BASE, ["none", "ggcam-cc"], 2)
    result = run_study(
        data.root, plan, tmp_path / "study", on_plan=plans.append, on_run=lambda outcome, *_: outcomes.append(outcome)
    )
    assert capfd.readouterr() == ("", "")
    assert plans == [plan] == [result.plan]
    assert (result.failed, result.reused, result.missing) == ({}, 0, 0)
    assert result.notes[0].startswith("2 seeds: p_seeds cannot be below 0.5")
    runs = result.runs[result.runs["metric"] == "macro_auroc"].set_index("run")["value"]
    assert dict(runs) == {outcome.name: outcome.macro_auroc for outcome in outcomes}
    means = result.runs.groupby(["metric", "arm"])["value"].mean()
    for row in result.summary.itertuples():
        assert row.value == pytest.approx(means[row.metric, row.arm], nan_ok=True, abs=1e-9)
    summary = result.summary.set_index(["metric", "arm"])["value"]
    for row in result.differences.itertuples():
        gain = summary[row.metric, row.arm] - summary[row.metric, row.baseline]
        assert row.value == pytest.approx(gain, nan_ok=True, abs=1e-9)
    assert set(zip(result.differences["arm"], result.differences["baseline"], strict=True)) == {("ggcam-cc", "none")}
    assert all(result.differences[f"p_{kind}_holm"].dtype == np.float64 for kind in ("patients", "seeds"))
    assert result.summary["train_cases"].isna().all()
    again = open_study(tmp_path / "study")
    assert again.reused == 4
    for name in ("runs", "summary", "differences"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(result, name))


def test_a_study_without_finished_runs_has_empty_tables(data, tmp_path):
    execute_plan(data, PLAN, tmp_path / "study", lambda tasks: iter([Outcome(tasks[0].run.name, "no luck", 0.0)]))
    result = open_study(tmp_path / "study")
    assert (len(result.runs), len(result.summary), len(result.differences), result.missing) == (0, 0, 0, 4)
    assert result.failed == {"none-seed0": "no luck"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "--workers cannot be 0"),
        ({"threads": 0}, "--threads cannot be 0"),
        ({"workers": 2, "ray": "auto"}, "--workers is for this machine"),
        ({"gpus_per_run": 0.5}, "--gpus-per-run is for a Ray cluster"),
    ],
)
def test_options_that_exclude_each_other_are_refused_first(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        run_study(tmp_path / "no data", PLAN, tmp_path / "study", **options)
    assert not (tmp_path / "study").exists()


def test_results_of_a_folder_that_is_not_a_study_are_refused(data, tmp_path):
    with pytest.raises(RunFolderError, match="the study folder does not exist"):
        write_results(tmp_path / "nothing")
    with pytest.raises(RunFolderError, match="the folder is not a study"):
        write_results(tmp_path)
    execute_plan(data, PLAN, tmp_path / "study", lambda tasks: iter(()))
    with pytest.raises(RunFolderError, match="no run of the study is finished"):
        write_results(tmp_path / "study")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guidances": ["none", "gradcam"]}, "no guidance 'gradcam'.*none, ggcam, ggcam-cc, ggcam-swap, original"),
        ({"base": replace(BASE, backbone="resnet_18")}, "no network 'resnet_18' in timm"),
        ({"folds": 50}, "cannot be divided into 50 folds"),
        ({"train_cases": [1000]}, "cannot choose 1000 training cases.*at most 42"),
        ({"train_cases": [1]}, "cannot choose 1 training cases.*one per class"),
    ],
)
def test_what_cannot_work_is_found_before_anything_is_trained(data, changes, message):
    plan = plan_study(**({"base": BASE, "guidances": ["none", "ggcam"], "seeds": 1} | changes))
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        validate_plan(data, plan)


def test_weights_of_another_network_are_found_before_anything_is_trained(data, tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    plan = plan_study(replace(BASE, weights=tmp_path / "w.pth"), ["none"], 1)
    with pytest.raises(ConfigError, match="does not hold the weights of"):
        validate_plan(data, plan)


def without(data: PreparedData, **cases: object) -> PreparedData:
    return replace(data, cases=data.cases.assign(**cases), fixations=data.fixations.head(0))


def test_guidance_needs_gaze_and_a_study_needs_test_cases(data):
    blind = replace(without(data, has_gaze=False), regions=data.regions.iloc[:0])
    with pytest.raises(ConfigError, match="no training case has attention that guidance ggcam-cc can use"):
        validate_plan(blind, PLAN)
    alone = plan_study(BASE, ["none"], 1)
    assert validate_plan(blind, alone) == alone
    untested = replace(data, cases=data.cases.assign(split=np.where(data.cases["split"] == "test", "train", "valid")))
    with pytest.raises(ConfigError, match="there are no test cases"):
        validate_plan(untested, alone)
    assert validate_plan(untested, plan_study(BASE, ["none"], 1, folds=3))


def test_the_lung_mask_is_left_out_where_there_is_none(data, caplog, monkeypatch):
    plan = plan_study(BASE, ["none", "ggcam"], 1, controls=True)
    assert validate_plan(data, plan) == plan
    monkeypatch.setattr(PreparedData, "read_masks", lambda *_: {})
    names = [arm.control for arm in validate_plan(data, plan).arms[2:]]
    assert names == [control for control in CONTROLS if control != "lung-mask"]
    assert "arm ggcam+lung-mask is left out" in caplog.text


def task(prepared: Path, study: Path, run: PlannedRun = PLAN.runs[0], **changes: object) -> Task:
    return Task(prepared, study, replace(run, config=replace(run.config, **changes)), threads=1)


def test_a_failing_run_says_why_and_leaves_nothing_half(prepared, tmp_path):
    mistake = run_one(task(prepared, tmp_path, backbone="resnet_18"))
    assert mistake.error is not None
    assert "no network 'resnet_18' in timm" in mistake.error
    missing = run_one(task(tmp_path / "nothing", tmp_path))
    assert missing.error is not None
    assert "does not exist" in missing.error
    fault = run_one(task(prepared, tmp_path, guidance=BROKEN))
    assert fault.error is not None
    assert fault.error.startswith("ZeroDivisionError: a fault (failing_guidance.py:")
    assert not list(tmp_path.rglob("*.*"))


def test_a_process_is_used_for_several_runs_and_when_it_is_killed_one_run_fails(prepared, tmp_path, monkeypatch):
    started: list[Process] = []
    monkeypatch.setattr(local, "_Process", lambda gpu: started.append(Process(gpu)) or started[-1])
    done, again = PLAN.runs[:2], PLAN.runs[2]
    runs = [task(prepared, tmp_path / "study", run) for run in (*done, again)]
    runs.append(task(prepared, tmp_path / "study", PLAN.runs[3], guidance=KILLED))
    (tmp_path / "study").mkdir()
    errors = {outcome.name: outcome.error for outcome in local.run_locally(runs, workers=2)}
    assert len(started) == 2
    assert "ended with exit code 9" in str(errors.pop("ggcam-cc-seed1"))
    assert errors == dict.fromkeys(run.name for run in (*done, again))
    assert [path.name for path in (tmp_path / "study").iterdir()] == ["runs"]
    # The run of a process that had executed another one before, by itself.
    (tmp_path / "alone").mkdir()
    assert run_one(task(prepared, tmp_path / "alone", again)).error is None
    one, other = (open_run_folder(tmp_path / name / "runs" / again.name) for name in ("study", "alone"))
    for path in ("weights", "predictions", "calibration"):
        assert getattr(one, path).read_bytes() == getattr(other, path).read_bytes(), path
    assert read_metrics(one) == read_metrics(other)


def test_a_run_on_a_fold_with_a_control_is_tested_on_its_fold_with_real_gaze(data, prepared, tmp_path):
    plan = plan_study(BASE, ["ggcam-cc"], 1, folds=3, controls=True, train_cases=[12])
    chosen = [run for run in plan.runs if run.arm.control == "centre" and run.config.view.fold == 1]
    outcome = run_one(Task(prepared, tmp_path, chosen[0], threads=1))
    assert outcome.error is None
    run = open_run_folder(tmp_path / "runs" / "ggcam-cc+centre-n12-fold1of3-seed0")
    from ggcam.data.views import with_folds
    from ggcam.evaluation.evaluate import evaluate
    from ggcam.training.config import config_from_dict

    cases = with_folds(data, 3, 1, seed=0).cases
    expected = cases.loc[cases["split"] == "test", "case_id"].tolist()
    assert pd.read_parquet(run.predictions)["case_id"].tolist() == expected
    config = config_from_dict(run.settings["train"])
    assert replace(config, devices="auto", workers=None) == chosen[0].config
    gaze = evaluate(run.root).metrics["gaze_agreement"]
    with_gaze = set(data.cases.loc[data.cases["has_gaze"], "case_id"])
    assert gaze["cases"] == len(with_gaze & set(expected))
    assert gaze["readings"] == len([1 for case in expected for _ in data.readings.get(case, ())])


@pytest.mark.filterwarnings("ignore")
def test_a_ray_cluster_repeats_the_run_of_a_lost_worker(prepared, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'ggcam[ray]'")
    from ray.cluster_utils import Cluster

    sources = [str(Path(__file__).parents[2] / "src"), str(Path(__file__).parents[1])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*sources, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv(CRASHED, str(tmp_path / "crashed"))
    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=0, include_dashboard=False)
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        with pytest.raises(ConfigError, match=r"(?s)no machine of the cluster has the resources.*1 cores and 1 GPUs"):
            list(run_on_ray([task(prepared, tmp_path)], cluster.address, gpus_per_run=1))
        runs = [task(prepared, tmp_path), task(prepared, tmp_path, PLAN.runs[1], guidance=CRASHES_ONCE)]
        found = {outcome.name: outcome.error for outcome in run_on_ray(runs, cluster.address)}
    finally:
        cluster.shutdown()
    assert found["none-seed0"] is None
    assert (tmp_path / "runs" / "none-seed0" / "metrics.json").is_file()
    assert "ZeroDivisionError: repeated" in str(found["ggcam-cc-seed0"])


def test_a_missing_ray_is_reported(prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"(?s)Ray is not installed.*ggcam\[ray\]"):
        list(run_on_ray([task(prepared, tmp_path)], "auto"))
