from __future__ import annotations

import numpy as np
import pytest

from ggcam.data.case import Region
from ggcam.gaze.visual_angle import fallback_px_per_degree
from ggcam.simulation.anatomy import Chest
from ggcam.simulation.canvas import Canvas
from ggcam.simulation.findings import SimulatedFinding
from ggcam.simulation.phantom import Body, Pose, draw_phantom
from ggcam.simulation.scanpath import SimulatedGaze, draw_gaze

CANVAS = Canvas(256, 208)


@pytest.fixture(scope="module")
def chest() -> Chest:
    rng = np.random.default_rng(0)
    return draw_phantom(CANVAS, Body.draw(rng), Pose.draw(rng), 0.46, rng)


def consolidation(chest: Chest) -> SimulatedFinding:
    x, y = chest.boxes["left mid lung zone"].centre
    return SimulatedFinding(Region("consolidation", "ellipse", x - 14, y - 14, x + 14, y + 14), dwell_weight=1.0)


def share_inside(gaze: SimulatedGaze, finding: SimulatedFinding, margin_px: float = 9.0) -> float:
    region = finding.region
    inside = (gaze.x_px > region.x0_px - margin_px) & (gaze.x_px < region.x1_px + margin_px)
    inside &= (gaze.y_px > region.y0_px - margin_px) & (gaze.y_px < region.y1_px + margin_px)
    return float(gaze.duration_s[inside].sum() / gaze.duration_s.sum())


def draw_gazes(
    chest: Chest, findings: tuple[SimulatedFinding, ...], noise_deg: float = 1.0, attentive: bool = True
) -> list[SimulatedGaze]:
    return [draw_gaze(chest, findings, noise_deg, attentive, np.random.default_rng(seed)) for seed in range(150)]


def test_times_do_not_depend_on_the_findings(chest: Chest):
    finding = consolidation(chest)
    for with_finding, without in zip(draw_gazes(chest, (finding,)), draw_gazes(chest, ()), strict=True):
        assert (with_finding.duration_s == without.duration_s).all()
        assert (with_finding.start_s == without.start_s).all()


def test_only_attentive_readers_dwell_on_the_finding(chest: Chest):
    finding = consolidation(chest)
    seen = np.mean([share_inside(gaze, finding) for gaze in draw_gazes(chest, (finding,))])
    inattentive = np.mean([share_inside(gaze, finding) for gaze in draw_gazes(chest, (finding,), attentive=False)])
    absent = np.mean([share_inside(gaze, finding) for gaze in draw_gazes(chest, ())])
    assert seen > 0.35
    assert inattentive == absent < 0.2


def test_counts_and_durations_are_realistic(chest: Chest):
    drawn = draw_gazes(chest, (consolidation(chest),))
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


def test_noise_is_in_degrees_of_visual_angle(chest: Chest):
    without_noise, with_noise = draw_gazes(chest, (), noise_deg=0.0), draw_gazes(chest, (), noise_deg=3.0)
    # All other random numbers are the same, so the difference is the noise alone.
    noise = np.concatenate([noisy.y_px - exact.y_px for exact, noisy in zip(without_noise, with_noise, strict=True)])
    assert noise.std() == pytest.approx(3 * fallback_px_per_degree((256, 208)), rel=0.05)
    assert fallback_px_per_degree((256, 208)) == pytest.approx(8.98, abs=0.01)


def test_both_lungs_and_the_mediastinum_are_searched(chest: Chest):
    hits = dict.fromkeys(("left lung", "right lung", "cardiac silhouette"), 0)
    drawn = draw_gazes(chest, (), noise_deg=0.0)
    for gaze in drawn:
        for name in hits:
            box = chest.boxes[name]
            inside = (
                (gaze.x_px > box.x0_px) & (gaze.x_px < box.x1_px) & (gaze.y_px > box.y0_px) & (gaze.y_px < box.y1_px)
            )
            hits[name] += bool(inside.any())
    assert min(hits.values()) == len(drawn)
