from __future__ import annotations

import numpy as np
import pytest

from ggcam.simulation import findings
from ggcam.simulation.anatomy import SIDES, Chest
from ggcam.simulation.canvas import Canvas
from ggcam.simulation.phantom import Body, Pose, draw_phantom

CANVAS = Canvas(256, 208)


def chest(seed: int, ratio: float = 0.46, canvas: Canvas = CANVAS) -> Chest:
    rng = np.random.default_rng(seed)
    return draw_phantom(canvas, Body.draw(rng), Pose.draw(rng), ratio, rng)


def in_lungs(drawn: Chest) -> np.ndarray:
    return drawn.lungs["left"] | drawn.lungs["right"]


@pytest.mark.parametrize("seed", range(12))
def test_consolidations_lie_in_a_lung_and_brighten_it(seed: int):
    drawn = chest(seed)
    before = drawn.attenuation.copy()
    found = findings.add_findings(CANVAS, drawn, findings.PNEUMONIA, 0.46, np.random.default_rng(seed))
    assert 1 <= len(found) <= 3
    added = drawn.attenuation - before
    truth = np.zeros_like(added, dtype=bool)
    for region in (finding.region for finding in found):
        assert (region.name, region.kind) == ("consolidation", "ellipse")
        x, y = (region.x0_px + region.x1_px) / 2, (region.y0_px + region.y1_px) / 2
        rx, ry = (region.x1_px - region.x0_px) / 2, (region.y1_px - region.y0_px) / 2
        assert 0.04 * 256 <= min(rx, ry) <= max(rx, ry) <= 0.09 * 256
        ellipse = ((CANVAS.x_px - x) / rx) ** 2 + ((CANVAS.y_px - y) / ry) ** 2 <= 1
        assert in_lungs(drawn)[int(y), int(x)]
        assert (ellipse & in_lungs(drawn)).sum() > 0.7 * ellipse.sum()
        assert added[int(y), int(x)] > 0.3 * findings.CONSOLIDATION_CONTRAST[0]
        truth |= ellipse
    assert added[truth].mean() > 8 * added[~truth].mean()


@pytest.mark.parametrize("ratio", [0.40, 0.46, 0.53, 0.60])
def test_heart_has_the_given_cardiothoracic_ratio(ratio: float):
    measured = []
    for seed in range(10):
        drawn = chest(seed, ratio)
        heart, left, right = (drawn.boxes[name] for name in ("cardiac silhouette", "left lung", "right lung"))
        measured.append((heart.x1_px - heart.x0_px) / (left.x1_px - right.x0_px))
    assert np.mean(measured) == pytest.approx(ratio, abs=0.015)


@pytest.mark.parametrize("seed", range(12))
def test_heart_failure_always_adds_visible_findings(seed: int):
    drawn = chest(seed, ratio=0.45 + 0.01 * seed)
    before = drawn.attenuation.copy()
    found = findings.add_findings(CANVAS, drawn, findings.CHF, 0.45 + 0.01 * seed, np.random.default_rng(seed))
    names = [finding.region.name for finding in found]
    assert ("enlarged heart" in names) == (0.45 + 0.01 * seed > findings.MIN_ENLARGED_RATIO)
    assert names.count("basal haze") == names.count("vascular redistribution") == 2
    added = drawn.attenuation - before
    for side in SIDES:
        box = drawn.boxes[f"{side} lower lung zone"]
        zone = drawn.lungs[side] & (CANVAS.y_px > box.y0_px)
        assert added[zone].mean() > 0.3 * findings.HAZE_CONTRAST[0]


def test_a_normal_chest_is_unchanged():
    drawn = chest(0)
    before = drawn.attenuation.copy()
    assert findings.add_findings(CANVAS, drawn, findings.NORMAL, 0.46, np.random.default_rng(0)) == ()
    assert (drawn.attenuation == before).all()


def test_cardiothoracic_ratios_with_and_without_heart_failure_overlap():
    rng = np.random.default_rng(0)
    ratios = {
        label: np.array([findings.draw_cardiothoracic_ratio(label, rng) for _ in range(2000)]) for label in range(3)
    }
    assert ratios[findings.NORMAL].mean() == pytest.approx(ratios[findings.PNEUMONIA].mean(), abs=0.005)
    auc = (ratios[findings.CHF][:, None] > ratios[findings.NORMAL]).mean()
    assert 0.8 < auc < 0.95


@pytest.mark.parametrize("size", [(64, 64), (128, 64), (64, 128), (600, 500)])
def test_every_image_size_shows_the_complete_anatomy(size: tuple[int, int]):
    drawn = chest(3, canvas=Canvas(*size))
    assert len(drawn.boxes) == 17
    for mask in (*drawn.lungs.values(), drawn.mediastinum, drawn.aortic_knob):
        assert mask.shape == size
        assert mask.any()
    assert not (drawn.lungs["left"] & drawn.lungs["right"]).any()
    assert not (drawn.mediastinum & in_lungs(drawn)).any()
    # The patient's left is on the image's right, and air is darker than the surrounding tissue.
    assert drawn.boxes["left lung"].centre[0] > drawn.boxes["right lung"].centre[0]
    assert drawn.attenuation[in_lungs(drawn)].mean() < 0.75 * drawn.attenuation[drawn.mediastinum].mean()
