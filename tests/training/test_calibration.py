from __future__ import annotations

import json

import pytest

from ggcam.errors import RunFolderError
from ggcam.training.calibration import Calibration, load_calibration, save_calibration


def test_a_calibration_survives_the_file(tmp_path):
    path = tmp_path / "calibration.json"
    assert load_calibration(path, 3) == Calibration.none(3)
    found = Calibration((0.5, 0.5, 0.5), {"youden": {"CHF": 0.25, "Normal": None}}, cases=12)
    save_calibration(found, path)
    assert load_calibration(path, 3) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": [1.0]}, "3 temperatures above 0"),
        ({"temperature": [1.0, 0.0, 1.0]}, "3 temperatures above 0"),
        ({"temperature": "hot"}, "temperature"),
        ({"thresholds": {"youden": {"CHF": "high"}}}, "thresholds"),
        ({"cases": None}, "cases"),
    ],
)
def test_a_damaged_calibration_is_refused(tmp_path, change, message):
    path = tmp_path / "calibration.json"
    save_calibration(Calibration.none(3), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RunFolderError, match=message):
        load_calibration(path, 3)
