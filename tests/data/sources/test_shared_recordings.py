"""Recordings on which reading failed in the field, where they are at hand. Their kinds are in test_recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ggcam.data.sources import table
from ggcam.errors import GGCamError

CASES = Path(__file__).parents[4] / "shared" / "cases"
POINTS = [(100, 100), (300, 200), (400, 300)]
SCREEN = {"screen": "1920x1080"}
PSYCHOPY = {"columns": "t=device_time,x=left_gaze_x,y=left_gaze_y", "units": "screen_px", "origin": "centre"} | SCREEN
# The recordings of EyeLink state a size that is not the shape of the second image, so that it was stretched.
FOUND: dict[str, tuple[dict[str, Any], list[str]]] = {
    "eyelink/el_2k": ({}, ["img_1"]),
    "eyelink/el_cross": ({}, ["img_1"]),
    "eyelink/el_remote": ({}, ["img_1"]),
    "eyelink/el_vel_res": ({}, ["img_1"]),
    "gazepoint/gp_fixonly": (SCREEN, ["img_1", "img_2"]),
    "tobii/tobii_us": (SCREEN, ["img_1", "img_2"]),
    "tobii/tobii_mcsnorm": (SCREEN, ["img_1", "img_2"]),
    "tobii/tobii_tworec2": (SCREEN, ["img_1"]),
    "placement/el_native": ({}, ["img_1", "img_4"]),
    "placement/tobii_own_size": (SCREEN, ["img_1"]),
    "percent/realeye": ({}, ["img_1", "img_2", "img_3", "img_4"]),
    "other_trackers/pl_fix": ({}, ["img_1", "img_2"]),
    "other_trackers/psychopy": (PSYCHOPY, ["img_1"]),
    "recordings_refused/el_upper": ({}, ["img_1"]),
    "recordings_refused/tobii_tsvgz": (SCREEN, ["img_1", "img_2"]),
    "recordings_refused/gp_summary": (SCREEN, ["img_1", "img_2"]),
}

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the recordings are not at hand")


@pytest.mark.parametrize(("folder", "options", "images"), [(name, *each) for name, each in FOUND.items()], ids=FOUND)
def test_the_rests_of_the_eye_are_where_they_were(folder: str, options: dict[str, Any], images: list[str]):
    source = table.read(CASES / "images", samples=CASES / folder, px_per_degree=40.0, **options)
    readings = {case.case_id: case.readings for case in source.cases}
    for image in images:
        gaze = next(iter(readings[image].values()))
        found = np.stack([gaze.x_px, gaze.y_px], axis=1)
        np.testing.assert_allclose(found, np.resize(POINTS, found.shape), atol=1)
        np.testing.assert_allclose(np.diff(gaze.start_s), 0.5, atol=0.03)
        np.testing.assert_allclose(gaze.duration_s, 0.48, atol=0.03)
    if folder == "tobii/tobii_tworec2":
        second = readings["img_1"]["Participant1 Recording2"]
        np.testing.assert_allclose(second.x_px, [400, 120, 250], atol=1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("damaged.csv.gz", "damaged or cut off"),
        ("tobii_no_row.tsv", "no row of the table is a sample"),
        ("not_finite.asc", "positions are impossible"),
    ],
)
def test_hostile_recordings_are_refused(name: str, message: str):
    with pytest.raises(GGCamError, match=message) as caught:
        table.read(CASES / "images", samples=CASES / "hostile" / name, px_per_degree=40.0)
    assert name in str(caught.value)
