"""What answers quickly imports nothing heavy, and nothing but training imports Lightning."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ggcam.inference.run_onnx import cached_onnx
from ggcam.run_folder import open_run_folder
from ggcam.training.run import open_run

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "matplotlib",
    "torchmetrics",
    "pandas",
    "scipy",
    "sklearn",
    "sympy",
)

SCRIPT = """
import importlib, json, sys
from ggcam.cli import main
heavy, commands = json.loads(sys.argv[1])
for command in commands:
    importlib.import_module(command[1]) if command[0] == "import" else main(command)
    print(json.dumps([name for name in heavy if name in sys.modules]))
"""


def imported(*commands: list[object]) -> list[list[str]]:
    """Return the heavy modules that a fresh process has imported after each of the commands, or of `import MODULE`."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "OMP_NUM_THREADS": "1"}
    job = json.dumps([HEAVY, [list(map(str, command)) for command in commands]])
    found = subprocess.run([sys.executable, "-c", SCRIPT, job], env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return [json.loads(line) for line in found.stdout.splitlines() if line.startswith("[")]


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory) -> Path:
    root = Path(shutil.copytree(trained, tmp_path_factory.mktemp("imports") / "run"))
    cached_onnx(open_run(root))
    return root


def test_an_onnx_file_and_a_run_with_one_are_predicted_without_torch(run, simulated, tmp_path):
    image, file = next(simulated.rglob("*.dcm")), open_run_folder(run).onnx
    after = imported(
        ["predict", file, image, "--out", tmp_path / "a"],
        ["predict", file, image, "--out", tmp_path / "b", "--engine", "openvino"],
        ["predict", run, image, "--out", tmp_path / "c", "--device", "cpu"],
    )
    assert after == [[], [], []]
    assert len(list(tmp_path.glob("*/*_cam.png"))) == 3


def test_only_training_imports_lightning(run, prepared, simulated, tmp_path):
    image = next(simulated.rglob("*.dcm"))
    after = imported(
        ["predict", run, image, "--out", tmp_path / "a", "--engine", "torch"],
        ["export", run, "--format", "onnx", "--out", tmp_path / "NET.onnx", "--no-verify"],
        ["evaluate", run],
        ["report", run],
        ["inspect", prepared, "--out", tmp_path / "inspect.png"],
        ["prepare", simulated, tmp_path / "data", "--size", "64x64", "--workers", "1"],
        ["import", "ggcam.server.run"],  # `ggcam serve` ends when it is stopped; its processes predict as above
        ["import", "ggcam.server.prediction_queue"],
        ["import", "ggcam.dicomweb.worker"],
    )
    for number, modules in enumerate(after):
        assert "torch" in modules
        assert not {"lightning", "torchmetrics"} & set(modules), number
    assert "matplotlib" not in after[1]
    assert "pandas" not in after[0]
