"""Carrying a study out: what is checked before, what is kept, repeated and reported; processes, and a Ray cluster."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.errors import ConfigError, RunFolderError
from ggcam.run_folder import open_run_folder
from ggcam.study import folder
from ggcam.study.cluster import run_on_ray
from ggcam.study.folder import open_study
from ggcam.study.local import run_locally
from ggcam.study.plan import CONTROLS, plan_study
from ggcam.study.results import write_results
from ggcam.study.run import Outcome, Task, run_one
from ggcam.study.study import run_study, validate_plan
from ggcam.training.config import TrainConfig
from study.on_start import CRASHED, broken, crash_once, killed

BASE = TrainConfig(backbone="test_resnet", batch_size=16, epochs=1)
PLAN = plan_study(BASE, ["none", "ggcam-cc"], 2)


@pytest.fixture(scope="module")
def data(prepared: Path) -> PreparedData:
    return load_prepared(prepared)


def finished(tasks: list[Task]) -> Iterator[Outcome]:
    """In the place of training: a run folder that says it is whole."""
    for task in tasks:
        place = task.study / "runs" / task.run.name
        place.mkdir(parents=True)
        (place / "metrics.json").write_text("{}")
        yield Outcome(task.run.name, None, 0.0)


def interrupted(tasks: list[Task]) -> Iterator[Outcome]:
    raise KeyboardInterrupt
    yield


def test_finished_runs_are_kept_and_half_written_ones_repeated(data, tmp_path):
    study = run_study(data, PLAN, tmp_path / "study", finished).folder
    assert sorted(run.name for run in PLAN.runs) == sorted(path.name for path in (study.root / "runs").iterdir())
    half = study.run(PLAN.runs[1])
    (half / "metrics.json").unlink()
    (half / "config.toml").write_text("half")
    (study.partial / "ABCDE" / "x").mkdir(parents=True)
    asked: list[str] = []

    def watched(tasks):
        asked.extend(task.run.name for task in tasks)
        return finished(tasks)

    result = run_study(data, PLAN, tmp_path / "study", watched)
    assert asked == [PLAN.runs[1].name]
    assert result.kept == 3
    assert not study.partial.exists()
    assert not (half / "config.toml").exists()
    # More seeds are added to what is there.
    assert run_study(data, plan_study(BASE, ["none", "ggcam-cc"], 3), tmp_path / "study", watched).kept == 4
    assert asked[1:] == ["none-seed2", "ggcam-cc-seed2"]


def test_a_run_that_fails_is_reported_and_the_others_go_on(data, tmp_path):
    def some(tasks):
        for task in tasks:
            if task.run.name == "none-seed1":
                yield Outcome(task.run.name, "no luck", 1.0)
            else:
                yield from finished([task])

    told: list[Outcome] = []
    result = run_study(data, PLAN, tmp_path / "study", some, on_outcome=told.append)
    assert result.failed == {"none-seed1": "no luck"}
    assert len(told) == 4
    assert json.loads(result.folder.errors.read_text()) == result.failed
    assert run_study(data, PLAN, tmp_path / "study", finished).failed == {}
    assert json.loads(result.folder.errors.read_text()) == {}


def test_what_is_in_the_way_stays_as_it_is(data, tmp_path):
    (tmp_path / "other.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="in the way that is no study"):
        run_study(data, PLAN, tmp_path, finished)
    with pytest.raises(RunFolderError, match="in the way"):
        run_study(data, PLAN, tmp_path / "other.txt", finished)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "lock").touch()  # of a command that broke off at once
    run_study(data, PLAN, tmp_path / "study", finished)
    with pytest.raises(RunFolderError, match=r"(?s)another study.*differs in epochs"):
        run_study(data, plan_study(replace(BASE, epochs=2), ["none"], 2), tmp_path / "study", finished)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["other.txt"]


def test_a_second_command_is_kept_out_while_one_is_at_work(data, tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "LOCK_WAIT", 0.0)
    half = tmp_path / "study" / "partial" / "ABCDE"

    def slow(tasks):
        half.mkdir(parents=True)
        with pytest.raises(RunFolderError, match=r"(?s)another `ggcam study` is at work.*another --out"):
            run_study(data, plan_study(BASE, ["none"], 3), tmp_path / "study", finished)
        assert half.is_dir()
        yield from finished(tasks)

    assert run_study(data, PLAN, tmp_path / "study", slow).plan == PLAN
    assert open_study(tmp_path / "study")[1].seeds == PLAN.seeds
    # It is let in afterwards, also after a command that broke off.
    with pytest.raises(KeyboardInterrupt):
        run_study(data, plan_study(BASE, ["none"], 3), tmp_path / "study", interrupted)
    assert run_study(data, plan_study(BASE, ["none"], 3), tmp_path / "study", finished).kept == 2


def test_results_of_what_is_no_study_are_refused(data, tmp_path):
    with pytest.raises(RunFolderError, match="no such study"):
        write_results(tmp_path / "nothing")
    with pytest.raises(RunFolderError, match="this is no study"):
        write_results(tmp_path)
    run_study(data, PLAN, tmp_path / "study", lambda tasks: iter(()))
    with pytest.raises(RunFolderError, match="no run of the study is finished"):
        write_results(tmp_path / "study")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"guidances": ["none", "gradcam"]}, "no guidance 'gradcam'.*none, ggcam, ggcam-cc, original"),
        ({"base": replace(BASE, backbone="resnet_18")}, "timm knows no network"),
        ({"folds": 50}, "50 folds cannot be made"),
        ({"train_cases": [1000]}, "1000 training cases cannot be chosen.*42 at most"),
        ({"train_cases": [1]}, "1 training cases cannot be chosen.*one of each class"),
    ],
)
def test_what_cannot_work_is_found_before_anything_is_trained(data, asked, message):
    plan = plan_study(**({"base": BASE, "guidances": ["none", "ggcam"], "seeds": 1} | asked))
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        validate_plan(data, plan)


def without(data: PreparedData, **cases: object) -> PreparedData:
    return replace(data, cases=data.cases.assign(**cases), fixations=data.fixations.head(0))


def test_guidance_needs_gaze_and_a_study_needs_test_cases(data):
    blind = without(data, has_gaze=False)
    with pytest.raises(ConfigError, match="no training case has gaze"):
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


def task(prepared: Path, study: Path, **changes: object) -> Task:
    run = PLAN.runs[0]
    return Task(prepared, study, replace(run, config=replace(run.config, **changes)), threads=1)


def test_a_failing_run_says_why_and_leaves_nothing_half(prepared, tmp_path):
    mistake = run_one(task(prepared, tmp_path, backbone="resnet_18"))
    assert mistake.error is not None
    assert "timm knows no network" in mistake.error
    missing = run_one(task(tmp_path / "nothing", tmp_path))
    assert missing.error is not None
    assert "does not exist" in missing.error
    fault = run_one(replace(task(prepared, tmp_path), on_start=broken))
    assert fault.error is not None
    assert fault.error.startswith("ZeroDivisionError: a fault (on_start.py:")
    assert not list(tmp_path.rglob("*.*"))


def test_a_killed_process_fails_its_run_alone(prepared, tmp_path):
    runs = [
        replace(task(prepared, tmp_path), run=run, on_start=on)
        for run, on in zip(PLAN.runs[:2], (killed, broken), strict=True)
    ]
    errors = {outcome.name: outcome.error for outcome in run_locally(runs, workers=2)}
    assert "ended with code 9" in str(errors["none-seed0"])
    assert "a fault" in str(errors["ggcam-cc-seed0"])


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
def test_a_ray_cluster_repeats_what_a_lost_worker_was_at(prepared, tmp_path, monkeypatch):
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
        with pytest.raises(ConfigError, match=r"(?s)no machine of the cluster has room.*1 cores and 1 GPUs"):
            list(run_on_ray([task(prepared, tmp_path)], cluster.address, gpus_per_run=1))
        runs = [task(prepared, tmp_path), replace(task(prepared, tmp_path), run=PLAN.runs[1], on_start=crash_once)]
        found = {outcome.name: outcome.error for outcome in run_on_ray(runs, cluster.address)}
    finally:
        cluster.shutdown()
    assert found["none-seed0"] is None
    assert (tmp_path / "runs" / "none-seed0" / "metrics.json").is_file()
    assert "ZeroDivisionError: repeated" in str(found["ggcam-cc-seed0"])


def test_no_ray_and_no_cluster_are_said(prepared, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"(?s)Ray is not installed.*ggcam\[ray\]"):
        list(run_on_ray([task(prepared, tmp_path)], "auto"))
