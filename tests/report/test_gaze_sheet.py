"""The sheet of gaze without images: one panel per chosen scanpath, and the histograms of all gaze."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from ggcam.errors import ConfigError
from ggcam.report import gaze_sheet as module
from ggcam.report.gaze_sheet import BINS, gaze_sheet

ONE_READING = np.array([[0.22, 0.32, 5.0], [0.62, 0.72, 2.0]])


def figure_of(monkeypatch: pytest.MonkeyPatch, readings: dict[str, np.ndarray], max_readings: int) -> Figure:
    """The figure that would be written."""
    kept: list[Figure] = []
    monkeypatch.setattr(module, "save_figure", lambda figure, _: kept.append(figure))
    gaze_sheet(readings, Path("unused.png"), max_readings)
    return kept[0]


def test_the_sheet_depends_on_the_seed_alone(tmp_path):
    rng = np.random.default_rng(0)
    readings = {f"1.2.{n}": rng.uniform(0, 1, (9, 3)) for n in range(20)} | {"1.3": np.empty((0, 3))}
    one, same, other = (
        cv2.imread(str(gaze_sheet(readings, tmp_path / "new" / f"{n}.png", max_readings=3, seed=seed)))
        for n, seed in enumerate((1, 1, 2))
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    background = (one == 40).all(axis=2).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(background)
    boxes = stats[1:][stats[1:, cv2.CC_STAT_WIDTH] > 150]  # the frames, as parted by lines as they may be
    assert len({tuple(box[:1] // 20) for box in boxes}) == 3


def test_a_scanpath_is_drawn_where_its_points_are(monkeypatch):
    panel, rows, columns = figure_of(monkeypatch, {"1.2": ONE_READING}, max_readings=50).axes
    image = np.asarray(panel.get_images()[0].get_array())
    side = image.shape[0]
    for row, column, _ in ONE_READING:
        assert tuple(image[round(row * side), round(column * side)]) != (40, 40, 40)
    assert tuple(image[round(0.7 * side), round(0.3 * side)]) == (40, 40, 40)
    assert "2 points" in panel.get_title(loc="left")
    for axes, position in ((rows, (0.22, 0.62)), (columns, (0.32, 0.72))):
        heights = [bar.get_height() for bar in axes.patches]
        assert len(heights) == BINS
        filled = {int(at * BINS): weight for at, weight in zip(position, (5 / 7, 2 / 7), strict=True)}
        assert {n: height for n, height in enumerate(heights) if height} == pytest.approx(filled)


@pytest.mark.parametrize(
    ("readings", "max_readings"), [({}, 1), ({"1.2": np.empty((0, 3))}, 1), ({"1.2": ONE_READING}, 0)]
)
def test_missing_gaze_is_an_error(tmp_path, readings, max_readings):
    with pytest.raises(ConfigError, match="no gaze to draw"):
        gaze_sheet(readings, tmp_path / "a.png", max_readings=max_readings)
