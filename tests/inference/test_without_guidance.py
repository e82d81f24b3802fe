"""A run that was trained with a guidance of the user's own is used where that cannot be imported."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import ggcam
from ggcam.evaluation.evaluate import evaluate
from ggcam.evaluation.run_results import write_report
from ggcam.inference.export import export_run
from ggcam.run_folder import open_run_folder
from ggcam.training.run import open_run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run whose config names a guidance that does not exist."""
    root = Path(shutil.copytree(trained, tmp_path / "run"))
    config = root / "config.toml"
    config.write_text(config.read_text().replace('guidance = "ggcam-cc"', 'guidance = "gone_module:Gone"'))
    return root


def test_it_predicts_is_evaluated_reported_and_exported(run, prepared, trained, tmp_path):
    assert open_run(run).config.guidance == "gone_module:Gone"
    image = np.random.default_rng(0).integers(0, 256, (80, 60), dtype=np.uint8)
    ours, theirs = (ggcam.load_predictor(root, device="cpu", engine="torch")(image) for root in (run, trained))
    assert ours.probabilities == theirs.probabilities
    metrics = evaluate(run, prepared, device="cpu").metrics
    assert metrics["gaze_agreement"] == open_run(trained).metrics["gaze_agreement"]
    write_report(open_run(run), tmp_path / "report.html", prepared)
    assert "gone_module:Gone" in (tmp_path / "report.html").read_text()
    pytest.importorskip("onnxruntime")
    export_run(run, "onnx", tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").is_file()
    assert not open_run_folder(run).onnx.exists()
