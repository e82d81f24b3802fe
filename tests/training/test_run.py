"""An opened run: what it holds, and run folders of earlier versions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from ggcam.data.prepared import load_prepared
from ggcam.errors import ConfigError, MissingFileError, PreparedFolderError, RunFolderError
from ggcam.evaluation.evaluate import evaluate
from ggcam.evaluation.run_results import read_results
from ggcam.training.config import TrainConfig
from ggcam.training.run import Run, open_run
from ggcam.training.train import train

FORMER = {
    "num_stages": "levels",
    "early_stop_patience": "stop_after",
    "min_lr": "lowest_lr",
    "view_seed": "arrange_seed",
    "[train.view]": "[train.arrange]",
}
"""Current name -> name in the files of earlier versions."""


@pytest.fixture(scope="module")
def small(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with options whose names have changed."""
    config = TrainConfig(
        backbone="test_resnet", num_stages=4, epochs=1, batch_size=8, early_stop_patience=3, min_lr=1e-5, sigma_px=4.0
    )
    run = train(load_prepared(prepared), config, tmp_path_factory.mktemp("small"), "small")
    evaluate(run).save()
    return run


@pytest.fixture
def former(small: Run, tmp_path: Path) -> Path:
    """The same run folder as earlier versions wrote it."""
    root = Path(shutil.copytree(small.folder.root, tmp_path / "former"))
    for name in ("config.toml", "params_NetLearn_.txt", "params_CAMClassifier_.txt", "metrics.json"):
        text = (root / name).read_text()
        for current, old in FORMER.items():
            text = text.replace(current, old)
        (root / name).write_text(text.replace('"ece"', '"calibration_error"').replace('"view"', '"arrange"'))
    (root / "case_metrics.parquet").rename(root / "case_figures.parquet")
    assert "levels" in (root / "config.toml").read_text()
    return root


def test_a_run_holds_its_parts(small, prepared):
    run = open_run(str(small.folder.root))
    assert run.name == "small"
    assert run.config == small.config
    assert run.spec == small.spec
    assert run.class_names == ("Normal", "CHF", "pneumonia")
    assert run.data().root == prepared.resolve()
    assert run.history["epoch"].tolist() == [0]
    assert run.metrics["split"] == "test"
    assert not run.load_model().training


def test_a_run_without_files_says_which(small, tmp_path):
    run = open_run(shutil.copytree(small.folder.root, tmp_path / "copy"))
    run.folder.history.write_text("")
    with pytest.raises(RunFolderError, match=r"(?s)history is damaged.*history.csv"):
        _ = run.history
    run.folder.history.unlink()
    with pytest.raises(MissingFileError, match="not finished an epoch"):
        _ = run.history
    run.folder.metrics.unlink()
    with pytest.raises(MissingFileError, match="evaluate"):
        _ = run.metrics
    with pytest.raises(PreparedFolderError, match=r"(?s)do not exist.*gone.*--data DATA"):
        run.data(tmp_path / "gone")


def test_a_run_folder_of_an_earlier_version_opens(former, small):
    run = open_run(former)
    assert run.config == small.config
    assert run.spec == small.spec
    ours, theirs = small.load_model().state_dict(), run.load_model().state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_the_page_of_an_earlier_version_says_to_evaluate_again(former, small):
    with pytest.raises(RunFolderError, match=r"(?s)metrics.json.*evaluate the run again: ggcam evaluate"):
        read_results(open_run(former))
    evaluation = evaluate(former)
    evaluation.save()
    assert read_results(open_run(former)).gallery
    pd.testing.assert_frame_equal(evaluation.case_metrics, pd.read_parquet(small.folder.case_metrics))


def test_an_unknown_key_of_a_run_is_named_with_its_file(small, tmp_path):
    root = Path(shutil.copytree(small.folder.root, tmp_path / "copy"))
    (root / "config.toml").write_text((root / "config.toml").read_text().replace("epochs =", "epoch_count ="))
    with pytest.raises(ConfigError, match=r"(?s)unknown key epoch_count.*config.toml.*epochs"):
        open_run(root)


def test_the_tables_of_an_evaluation_are_those_of_the_run_folder(small):
    evaluation = evaluate(small)
    pd.testing.assert_frame_equal(evaluation.predictions, pd.read_parquet(small.folder.predictions))
    pd.testing.assert_frame_equal(evaluation.case_metrics, pd.read_parquet(small.folder.case_metrics))
    assert evaluation.metrics == {key: value for key, value in small.metrics.items() if key != "evaluation"}
