"""The losses between a CAM and gaze, against numpy, scipy and loops."""

from __future__ import annotations

import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ggcam.guidance.functional import _LOSSES, cam_gaze_loss, pearson, structural_similarity
from ggcam.metrics.saliency import nss

KINDS = tuple(_LOSSES)


def maps(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """CAMs and gaze densities of four cases; the third has no gaze."""
    generator = torch.Generator().manual_seed(seed)
    cam, gaze = torch.randn(4, 8, 6, generator=generator), torch.rand(4, 8, 6, generator=generator)
    gaze[2] = 0
    return cam, gaze / gaze.sum(dim=(1, 2), keepdim=True).clamp_min(1e-9)


def slow_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of maps from 0 to 1, window by window."""
    found = []
    for r, c in itertools.product(range(a.shape[0] - 2), range(a.shape[1] - 2)):
        x, y = a[r : r + 3, c : c + 3].ravel(), b[r : r + 3, c : c + 3].ravel()
        covariance = np.mean((x - x.mean()) * (y - y.mean()))
        luminance = (2 * x.mean() * y.mean() + 0.01**2) / (x.mean() ** 2 + y.mean() ** 2 + 0.01**2)
        structure = (2 * covariance + 0.03**2) / (x.var() + y.var() + 0.03**2)
        found.append(luminance * structure)
    return float(np.mean(found))


def slow_nss(cam: np.ndarray, density: np.ndarray) -> float:
    return float(((cam - cam.mean()) / cam.std() * density).sum())


def slow_loss(kind: str, cam: np.ndarray, density: np.ndarray) -> float:
    peak = density / density.max()
    if kind == "cc":
        return 1 - stats.pearsonr(cam.ravel(), density.ravel()).statistic
    if kind == "mse":
        return float(np.mean((cam - peak) ** 2))
    if kind == "bce":
        cells = zip(cam.flat, peak.flat, strict=True)
        return float(np.mean([-g * math.log(p) - (1 - g) * math.log(1 - p) for p, g in cells]))
    if kind == "kl":
        return float(stats.entropy(density.ravel(), np.exp(cam.ravel()) / np.exp(cam).sum()))
    if kind == "nss":
        return slow_nss(density, density) - slow_nss(cam, density)
    return 1 - slow_ssim(cam, peak)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 30))
def test_each_kind_equals_its_slow_reference(kind, seed):
    cam, density = maps(seed)
    if kind in ("mse", "bce", "ssim"):
        cam = cam.sigmoid()
    pairs = zip(cam.double().numpy(), density.double().numpy(), strict=True)
    expected = [slow_loss(kind, *pair) if pair[1].any() else 0.0 for pair in pairs]
    found = cam_gaze_loss(cam, density, kind, reduction="none")
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert found[2] == 0  # no gaze
    assert cam_gaze_loss(cam[:, None], density, kind).item() == pytest.approx(sum(expected) / 4, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gaze_map_itself_is_the_best_cam(kind):
    _, density = maps()
    density = density[:2]
    peak = density / density.amax(dim=(1, 2), keepdim=True)
    best = {"kl": density.log(), "cc": density, "nss": density}.get(kind, peak)
    found = cam_gaze_loss(best, density, kind, reduction="none")
    others = cam_gaze_loss(best.flip(2), density, kind, reduction="none")
    assert (found < others).all()
    if kind != "bce":  # whose minimum is the entropy of the map
        torch.testing.assert_close(found, torch.zeros(2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_is_negative(kind):
    """Weights that are learned would otherwise lower the loss without end."""
    for seed in range(20):
        cam, density = maps(seed)
        cam = density * 5 + 0.1 * cam if seed % 2 else cam
        cam = cam.sigmoid() if kind in ("mse", "bce", "ssim") else cam
        assert (cam_gaze_loss(cam, density, kind, reduction="none") >= -1e-6).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 1.0, -50.0, 1e4])
def test_a_constant_cam_has_a_finite_loss_and_gradient(kind, value):
    _, density = maps()
    cam = torch.full((4, 8, 6), value, requires_grad=True)
    cam_gaze_loss(cam.sigmoid() if kind in ("mse", "bce", "ssim") else cam, density, kind).backward()
    assert cam.grad is not None
    assert cam.grad.isfinite().all()


def test_the_saliency_agrees_with_the_metric_at_fixations():
    """Gaze in single cells is what the metric of `ggcam evaluate` is defined for."""
    cam, _ = maps()
    density = torch.zeros(1, 8, 6)
    density[0, 2, 3] = density[0, 5, 1] = 0.5
    difference = cam_gaze_loss(cam[:1], density, "nss") - cam_gaze_loss(cam[1:2], density, "nss")
    first, second = nss(cam[:2].numpy(), density.expand(2, -1, -1).numpy())
    assert difference.item() == pytest.approx(second - first, rel=1e-5)


def test_small_grids_have_a_structural_similarity():
    a = torch.rand(2, 1, 2)
    torch.testing.assert_close(structural_similarity(a, a), torch.ones(2))


@given(st.floats(0.01, 100), st.floats(-100, 100))
def test_correlation_is_free_of_scale_and_shift(scale, shift):
    a, b = maps()
    a, b = a[:2], b[:2]
    torch.testing.assert_close(pearson(a * scale + shift, b), pearson(a, b), atol=2e-3, rtol=0)


def test_a_constant_map_has_correlation_0_and_a_finite_gradient():
    a = torch.ones(1, 4, 4, requires_grad=True)
    r = pearson(a, torch.rand(1, 4, 4))
    r.sum().backward()
    assert r.item() == 0
    assert a.grad is not None
    assert a.grad.isfinite().all()


def test_half_precision_is_computed_in_float32():
    cam, density = torch.randn(2, 8, 6), torch.rand(2, 8, 6)
    assert cam_gaze_loss(cam.bfloat16(), density).dtype == torch.float32
    torch.testing.assert_close(cam_gaze_loss(cam.bfloat16(), density), cam_gaze_loss(cam.bfloat16().float(), density))


def test_wrong_arguments_of_the_functional_loss_are_refused():
    unchecked = inspect.unwrap(cam_gaze_loss)  # as outside the tests, without checks of shapes
    with pytest.raises(ValueError, match=r"\(2, 8, 6\).*\(2, 4, 3\).*CAM's grid"):
        unchecked(torch.zeros(2, 8, 6), torch.zeros(2, 4, 3))
    with pytest.raises(ValueError, match="one of cc, mse, bce, kl, nss, ssim, got 'dice'"):
        unchecked(torch.zeros(2, 8, 6), torch.zeros(2, 8, 6), kind="dice")
