"""The best epoch chosen on the test cases, as in some published tables: it works, and every result is marked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ggcam.cli import main
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.errors import ConfigError
from ggcam.evaluation.evaluate import evaluate
from ggcam.guidance import create_guidance
from ggcam.report.result_schemas import SELECTED_ON_TEST
from ggcam.run_folder import open_run_folder
from ggcam.study.plan import plan_study
from ggcam.study.results import summarise
from ggcam.training.checkpoints import best_state
from ggcam.training.config import TrainConfig
from ggcam.training.data_checks import check_training_data
from ggcam.training.train import train

CONFIG = TrainConfig(backbone="test_resnet", epochs=3, batch_size=8, seed=1, selection="test", precision="32")


def without_validation(data: PreparedData) -> PreparedData:
    """The data as a published split leaves them: what was for validation is for training."""
    cases = data.cases.assign(split=data.cases["split"].replace("valid", "train"))
    return replace(data, cases=cases)


@pytest.fixture(scope="module")
def data(prepared: Path) -> PreparedData:
    return without_validation(load_prepared(prepared))


@pytest.fixture(scope="module")
def run(data: PreparedData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = train(data, CONFIG, tmp_path_factory.mktemp("runs"), "published").folder.root
    evaluate(root, data).save()
    return root


def test_without_validation_cases_selection_on_test_has_to_be_asked_for(data):
    with pytest.raises(ConfigError, match=r"no valid cases(?s:.*)--selection test"):
        check_training_data(data, TrainConfig(), create_guidance("none"))


def test_the_warning_comes_before_the_training(data, prepared):
    guidance = create_guidance("none")
    assert SELECTED_ON_TEST in check_training_data(data, CONFIG, guidance)
    assert SELECTED_ON_TEST not in check_training_data(load_prepared(prepared), TrainConfig(), guidance)


def test_the_kept_network_is_that_of_the_epoch_with_the_best_test_auroc(run, data):
    history = np.genfromtxt(run / "history.csv", delimiter=",", names=True)
    assert "valid_macro_auroc" not in history.dtype.names
    best = best_state(open_run_folder(run).checkpoints)["epoch"]
    assert best == history["test_macro_auroc"].argmax()
    found = evaluate(run, data).metrics["macro_auroc"]["value"]
    assert found == pytest.approx(history["test_macro_auroc"].max(), abs=1e-6)


def test_neither_temperature_nor_typical_images_are_taken_from_the_test_cases(run):
    assert not (run / "calibration.json").exists()
    assert not (run / "typicality.json").exists()


def test_every_result_is_marked(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["selected_on"] == "test"
    page = (run / "report.html").read_text()
    assert SELECTED_ON_TEST in page
    assert "Test cases, which decide on the best epoch" in page
    assert ">Validation<" not in page


def test_the_command_says_so(prepared, tmp_path, capsys):
    options = ["--backbone", "test_resnet", "--epochs", "1", "--selection", "test"]
    main(["train", str(prepared), *options, "--out", str(tmp_path), "--name", "one"])
    printed = capsys.readouterr().out
    assert "test loss" in printed
    assert SELECTED_ON_TEST in printed


def test_a_run_selected_on_validation_cases_has_no_mark(trained):
    assert "selected_on" not in json.loads((trained / "metrics.json").read_text())
    assert SELECTED_ON_TEST not in (trained / "report.html").read_text()


@pytest.mark.parametrize("selection", ["valid", "test"])
def test_the_tables_of_a_study_are_marked(selection):
    plan = plan_study(replace(CONFIG, selection=selection), ["none", "ggcam-cc"], 2)
    summary = summarise(plan, {})
    assert (SELECTED_ON_TEST in summary["notes"]) == (selection == "test")
    assert summary.get("selected_on") == ("test" if selection == "test" else None)
