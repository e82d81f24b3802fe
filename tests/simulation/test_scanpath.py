from __future__ import annotations

import numpy as np
import pytest

from ggcam.data.case import Region
from ggcam.gaze.visual_angle import fallback_px_per_degree
from ggcam.simulation import scanpath
from ggcam.simulation.anatomy import Chest
from ggcam.simulation.canvas import Canvas
from ggcam.simulation.findings import Finding
from ggcam.simulation.phantom import Body, Pose, draw_phantom
from ggcam.simulation.scanpath import SimulatedGaze, draw_gaze

CANVAS = Canvas(256, 208)


@pytest.fixture(scope="module")
def chest() -> Chest:
    rng = np.random.default_rng(0)
    return draw_phantom(CANVAS, Body.draw(rng), Pose.draw(rng), 0.46, rng)


def somewhere(chest: Chest) -> Finding:
    x, y = chest.boxes["left mid lung zone"].centre
    return Finding(Region("consolidation", "ellipse", x - 14, y - 14, x + 14, y + 14), pull=1.0)


def share_inside(gaze: SimulatedGaze, finding: Finding, margin_px: float = 9.0) -> float:
    r = finding.region
    inside = (gaze.x_px > r.x0_px - margin_px) & (gaze.x_px < r.x1_px + margin_px)
    inside &= (gaze.y_px > r.y0_px - margin_px) & (gaze.y_px < r.y1_px + margin_px)
    return float(gaze.duration_s[inside].sum() / gaze.duration_s.sum())


def gazes(
    chest: Chest, findings: tuple[Finding, ...], noise_deg: float = 1.0, attentive: bool = True
) -> list[SimulatedGaze]:
    return [draw_gaze(chest, findings, noise_deg, attentive, np.random.default_rng(seed)) for seed in range(150)]


def test_count_and_durations_do_not_depend_on_what_there_is_to_see(chest: Chest):
    finding = somewhere(chest)
    for with_it, without in zip(gazes(chest, (finding,)), gazes(chest, ()), strict=True):
        assert (with_it.duration_s == without.duration_s).all()
        assert (with_it.start_s == without.start_s).all()


def test_an_attentive_reader_dwells_on_the_finding_and_an_inattentive_one_does_not(chest: Chest):
    finding = somewhere(chest)
    seen = np.mean([share_inside(gaze, finding) for gaze in gazes(chest, (finding,))])
    missed = np.mean([share_inside(gaze, finding) for gaze in gazes(chest, (finding,), attentive=False)])
    absent = np.mean([share_inside(gaze, finding) for gaze in gazes(chest, ())])
    assert seen > 0.35
    assert missed == absent < 0.2


def test_the_numbers_are_those_of_a_reading(chest: Chest):
    drawn = gazes(chest, (somewhere(chest),))
    counts = [len(gaze.x_px) for gaze in drawn]
    durations = np.concatenate([gaze.duration_s for gaze in drawn])
    assert 25 <= min(counts) < 32
    assert 60 < max(counts) <= 70
    assert 0.25 <= np.median(durations) <= 0.30
    assert 0.002 < (durations == 0).mean() < 0.012
    x = np.concatenate([gaze.x_px for gaze in drawn])
    assert 0.005 < ((x < 0) | (x > 208)).mean() < 0.04
    for gaze in drawn:
        assert (np.diff(gaze.start_s) >= gaze.duration_s[:-1]).all()


def test_the_noise_is_in_degrees(chest: Chest):
    still, shaken = gazes(chest, (), noise_deg=0.0), gazes(chest, (), noise_deg=3.0)
    # The search's randomness is the same, so the difference is the noise alone, but for points beside the image.
    off = np.concatenate([b.y_px - a.y_px for a, b in zip(still, shaken, strict=True)])
    assert off.std() == pytest.approx(3 * fallback_px_per_degree((256, 208)), rel=0.05)
    assert fallback_px_per_degree((256, 208)) == pytest.approx(8.98, abs=0.01)


def test_both_lungs_and_the_mediastinum_are_searched(chest: Chest):
    hits = dict.fromkeys(("left lung", "right lung", "cardiac silhouette"), 0)
    drawn = gazes(chest, (), noise_deg=0.0)
    for gaze in drawn:
        for name in hits:
            box = chest.boxes[name]
            inside = (
                (gaze.x_px > box.x0_px) & (gaze.x_px < box.x1_px) & (gaze.y_px > box.y0_px) & (gaze.y_px < box.y1_px)
            )
            hits[name] += bool(inside.any())
    assert min(hits.values()) == len(drawn)
