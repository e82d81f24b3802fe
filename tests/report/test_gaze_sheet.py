import cv2
import numpy as np
import pytest

from ggcam.errors import ConfigError
from ggcam.report.gaze_sheet import gaze_sheet

LOOKED = np.array([[0.2, 0.3, 5.0], [0.6, 0.7, 2.0]])


def test_a_sheet_shows_the_paths_and_depends_on_the_seed_alone(tmp_path):
    rng = np.random.default_rng(0)
    readings = {f"1.2.{n}": rng.uniform(0, 1, (9, 3)) for n in range(20)} | {"1.3": np.empty((0, 3))}
    one, same, other = (
        cv2.imread(str(gaze_sheet(readings, tmp_path / "new" / f"{n}.png", max_readings=3, seed=seed)))
        for n, seed in enumerate((1, 1, 2))
    )
    assert one.std() > 10
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_more_than_there_are_are_not_drawn(tmp_path):
    assert gaze_sheet({"1.2": LOOKED}, tmp_path / "a.png", max_readings=50).is_file()


@pytest.mark.parametrize(("readings", "max_readings"), [({}, 1), ({"1.2": np.empty((0, 3))}, 1), ({"1.2": LOOKED}, 0)])
def test_no_gaze_is_told(tmp_path, readings, max_readings):
    with pytest.raises(ConfigError, match="no gaze to draw"):
        gaze_sheet(readings, tmp_path / "a.png", max_readings=max_readings)
