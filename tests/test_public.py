"""The names that other programs rely on; a change here is a change for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import ggcam

PUBLIC = {
    "Batch",
    "CAMClassifier",
    "CAMHead",
    "CAMOutput",
    "Case",
    "DemoResult",
    "Evaluation",
    "Fixations",
    "GGCamError",
    "GUIDANCES",
    "GazeBatch",
    "Guidance",
    "PredictionResult",
    "Predictor",
    "PrepareConfig",
    "PreparedData",
    "PreparedDataset",
    "Region",
    "Run",
    "Sample",
    "SimulationConfig",
    "SimulationSummary",
    "Source",
    "StudyPlan",
    "StudyResult",
    "TrainConfig",
    "Verification",
    "__version__",
    "attention_map",
    "attention_maps",
    "cam_gaze_loss",
    "collate",
    "create_backbone",
    "create_guidance",
    "evaluate",
    "load_predictor",
    "load_prepared",
    "open_run",
    "open_study",
    "plan_study",
    "plots",
    "prepare",
    "run_demo",
    "run_study",
    "simulate",
    "train",
    "verify",
}


def test_the_public_surface_is_this_list():
    assert set(ggcam.__all__) == PUBLIC
    assert len(ggcam.__all__) == len(PUBLIC)
    assert set(dir(ggcam)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_there_and_documented(name):
    value = getattr(ggcam, name)
    if callable(value):
        assert value.__doc__
        assert value.__module__.startswith("ggcam.")


def test_the_version_is_the_installed_one():
    from importlib.metadata import version

    assert ggcam.__version__ == version("ggcam")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'atention_map'"):
        _ = ggcam.atention_map  # pyright: ignore[reportAttributeAccessIssue]


def test_importing_the_package_stays_light():
    code = "import ggcam, sys; print(*sorted(name for name in sys.modules if '.' not in name))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "timm", "lightning", "pandas", "cv2", "matplotlib", "pydicom", "scipy"} & set(loaded)
