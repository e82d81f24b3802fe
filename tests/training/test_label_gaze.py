"""Which fixations guide a label in training, by `label_gaze` and `label_cues`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ggcam.data.label_gaze import with_label_gaze
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.data.prepared import PreparedData
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.simulator import simulate
from ggcam.training.config import TrainConfig
from ggcam.training.run import open_run
from ggcam.training.train import resume, train

CONFIG = TrainConfig(
    backbone="test_resnet", output_stride=8, epochs=1, batch_size=16, lr=1e-12, weight_decay=0.0, accelerator="cpu"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    root = tmp_path_factory.mktemp("label_gaze")
    simulate(root / "raw", SimulationConfig(cases=24, layout="reflacx", size="64x64", seed=4, workers=1))
    return prepare(root / "raw", root / "data", PrepareConfig(size="64x64", split="source", workers=1))


def guidance_loss(data: PreparedData, out: Path, **options: object) -> float:
    return float(train(data, replace(CONFIG, **options), out).history["train_guidance"][0])


def test_gaze_is_weighted_where_there_are_dictations_unless_told_otherwise(data, tmp_path):
    auto = guidance_loss(data, tmp_path)
    every = guidance_loss(data, tmp_path, label_gaze="all")
    assert auto == guidance_loss(data, tmp_path, label_gaze="weighted")
    assert abs(auto - every) > 1e-3
    assert every == pytest.approx(guidance_loss(data, tmp_path, label_gaze="weighted", label_cues=()), abs=1e-6)
    assert every == guidance_loss(data, tmp_path, label_gaze="own-else-all")
    by_hand = with_label_gaze(data, ("words",))
    words = guidance_loss(data, tmp_path, label_gaze="weighted", label_cues=("words",))
    assert words == guidance_loss(by_hand, tmp_path, label_gaze="own")


def test_an_interrupted_run_goes_on_with_the_same_gaze(data, tmp_path):
    whole = train(data, replace(CONFIG, epochs=2), tmp_path, "whole")

    def interrupt(row: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, replace(CONFIG, epochs=2), tmp_path, "part", on_epoch=interrupt)
    resume(tmp_path / "part")
    assert open_run(tmp_path / "part").config.label_cues == ("prior", "words", "time")
    assert open_run(tmp_path / "part").history["train_guidance"].tolist() == whole.history["train_guidance"].tolist()
