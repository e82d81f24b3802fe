"""A run whose training diverges says so everywhere, and can be resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ggcam.data.prepared import load_prepared
from ggcam.errors import DivergenceError, RunFolderError
from ggcam.evaluation.run_results import write_report
from ggcam.training.config import TrainConfig
from ggcam.training.run import Run, open_run
from ggcam.training.train import resume, train
from training.diverging_guidance import DivergesOnce

OWN = "training.diverging_guidance:DivergesOnce"
CONFIG = TrainConfig(guidance=OWN, backbone="test_resnet", batch_size=8, epochs=3, accelerator="cpu")


@pytest.fixture
def diverged(prepared: Path, tmp_path: Path) -> Run:
    DivergesOnce.instances = 0
    with pytest.raises(DivergenceError, match=r"training diverged in epoch 2: the \w+.* are not finite"):
        train(load_prepared(prepared), CONFIG, tmp_path, "run")
    return open_run(tmp_path / "run")


def test_a_diverged_run_says_so_and_goes_on_after_its_last_good_epoch(diverged, tmp_path):
    assert diverged.divergence is not None
    assert diverged.divergence.startswith("training diverged in epoch 2")
    assert "lower learning rate" in diverged.divergence
    assert diverged.history["epoch"].tolist() == [0]
    with pytest.raises(RunFolderError, match=r"(?s)no trained network.*training diverged in epoch 2"):
        diverged.load_model()
    written = diverged.folder.html_report.read_text()
    write_report(diverged, tmp_path / "again.html")
    for page in (written, (tmp_path / "again.html").read_text()):
        assert "No results:</strong> training diverged in epoch 2" in page
        assert "Training until then" in page
        assert "not a medical device" in page.lower()

    finished = resume(diverged.folder.root, OWN)
    assert finished.history["epoch"].tolist() == [0, 1, 2]
    assert finished.divergence is None
    finished.load_model()
