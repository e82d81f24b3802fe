from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ggcam.errors import ConfigError
from ggcam.simulation import SimulationConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cases": 11}, "--cases"),
        ({"seed": -1}, "--seed"),
        ({"shortcut": 1.2}, "--shortcut"),
        ({"inattentive_prob": -0.1}, "--inattentive-prob"),
        ({"no_gaze_prob": float("nan")}, "--no-gaze-prob"),
        ({"gaze_noise_deg": -1.0}, "--gaze-noise\n"),
        ({"workers": -2}, "--workers"),
        ({"size": "256"}, "such as 256x208"),
        ({"size": "256x"}, "such as 256x208"),
        ({"size": "256x-208"}, "such as 256x208"),
        ({"size": "32x32"}, "sides from 64 to 4096 pixels"),
        ({"size": "8192x8192"}, "sides from 64 to 4096 pixels"),
        ({"size": "512x128"}, "at most twice"),
    ],
)
def test_invalid_values_are_refused_with_the_name_of_the_option(values: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        SimulationConfig(**values)
    assert message in str(caught.value)
    assert repr(next(iter(values.values()))) in str(caught.value)


def test_size_is_parsed_as_height_and_width():
    config = SimulationConfig(size="320X256")
    assert (config.height_px, config.width_px) == (320, 256)


def test_importing_the_configuration_imports_no_heavy_packages():
    heavy = ("cv2", "pydicom", "torch", "pandas")
    code = f"import sys, ggcam.simulation as s; s.SimulationConfig(); print([m for m in {heavy} if m in sys.modules])"
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=source)
    assert done.stdout.strip() == "[]"
