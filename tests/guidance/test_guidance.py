import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ggcam.errors import ConfigError
from ggcam.gaze.batch import GazeBatch
from ggcam.guidance import GUIDANCES, Guidance, cam_gaze_loss, create_guidance
from ggcam.guidance.functional import pearson
from ggcam.models.cam import CAMClassifier, CAMHead, CAMOutput
from ggcam.models.heads import HEADS

FRAME = (64, 48)


def output_and_gaze(cases: int = 3, seed: int = 0) -> tuple[CAMOutput, torch.Tensor, GazeBatch]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(cases, 5, 8, 6, generator=generator)
    labels = torch.randint(0, 3, (cases,), generator=generator)
    points = torch.rand(cases, 10, 2, generator=generator) * torch.tensor([48.0, 64.0])
    gaze = GazeBatch(points, torch.rand(cases, 10, generator=generator), torch.full_like(points, 6.0), FRAME)
    return CAMHead(5, 3)(features), labels, gaze


class Features(nn.Module):
    """A backbone of as many features as those of `output_and_gaze`."""

    num_features = 5

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image


def losses_of(name: str, output: CAMOutput, labels: torch.Tensor, gaze: GazeBatch):
    classification = nn.functional.cross_entropy(output.logits, labels)
    return create_guidance(name)(output, labels, gaze, classification)


def test_correlation_equals_numpys():
    a, b = torch.randn(4, 8, 6), torch.rand(4, 8, 6)
    slow = [np.corrcoef(a[i].flatten(), b[i].flatten())[0, 1] for i in range(4)]
    np.testing.assert_allclose(pearson(a, b).numpy(), slow, atol=1e-5)


@given(st.floats(0.01, 100), st.floats(-100, 100))
def test_correlation_is_free_of_scale_and_shift(scale, shift):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 8, 6, generator=generator), torch.rand(2, 8, 6, generator=generator)
    torch.testing.assert_close(pearson(a * scale + shift, b), pearson(a, b), atol=2e-3, rtol=0)


def test_a_constant_map_has_correlation_0_and_a_finite_gradient():
    a = torch.ones(1, 4, 4, requires_grad=True)
    r = pearson(a, torch.rand(1, 4, 4))
    r.sum().backward()
    assert r.item() == 0
    assert torch.isfinite(a.grad).all()


def test_the_published_loss_equals_its_formula():
    output, labels, gaze = output_and_gaze()
    losses = losses_of("ggcam", output, labels, gaze)
    classification = nn.functional.cross_entropy(output.logits, labels).item()
    errors = []
    for i, label in enumerate(labels.tolist()):
        target = gaze.density((8, 6))[i] / gaze.density((8, 6))[i].max()
        errors.append(((torch.sigmoid(0.3 * output.cam[i, label] - 2.5) - target) ** 2).mean().item())
    guidance, sc, sd = float(np.mean(errors)), 1.0, 0.1
    total = classification / sc**2 + math.log(1 + sc) + guidance / (2 * sd**2) + math.log(1 + sd)
    assert losses.guidance.item() == pytest.approx(guidance, rel=1e-5)
    assert losses.total.item() == pytest.approx(total, rel=1e-5)


def test_correlation_guidance_adds_1_minus_r_of_the_true_class():
    output, labels, gaze = output_and_gaze()
    losses = losses_of("ggcam-cc", output, labels, gaze)
    density = gaze.density((8, 6))
    r = [np.corrcoef(output.cam[i, labels[i]].detach().flatten(), density[i].flatten())[0, 1] for i in range(3)]
    assert losses.guidance.item() == pytest.approx(1 - np.mean(r), abs=1e-5)
    assert losses.total.item() == pytest.approx(losses.classification.item() + 1 - np.mean(r), abs=1e-5)


@pytest.mark.parametrize("name", ["ggcam", "ggcam-cc"])
def test_a_case_without_gaze_adds_nothing_and_changes_no_other(name):
    output, labels, gaze = output_and_gaze(cases=2)
    alone = losses_of(
        name,
        output.select(torch.arange(1)),
        labels[:1],
        GazeBatch(gaze.points_px[:1], gaze.weight[:1], gaze.sigma_px[:1], FRAME),
    )
    silent = gaze._replace(weight=gaze.weight * torch.tensor([[1.0], [0.0]]))
    together = losses_of(name, output, labels, silent)
    assert together.guidance.item() == pytest.approx(alone.guidance.item() / 2, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in GUIDANCES if name != "eg-vit"])  # which has no loss
def test_gradients_stay_finite_when_nobody_has_gaze(name):
    features, labels, gaze = output_and_gaze()
    guidance = create_guidance(name)
    model = CAMClassifier(Features(), 3, head=HEADS[guidance.head](5, 3))
    guidance.initialize(model)
    output = model.head(features.features)
    output.cam.retain_grad()
    classification = nn.functional.cross_entropy(output.logits, labels)
    guidance(output, labels, gaze._replace(weight=torch.zeros(3, 10)), classification).total.backward()
    assert output.cam.grad is not None
    assert torch.isfinite(output.cam.grad).all()


def test_every_learned_parameter_of_the_published_method_gets_a_gradient():
    output, labels, gaze = output_and_gaze()
    guidance = create_guidance("ggcam")
    classification = nn.functional.cross_entropy(output.logits, labels)
    guidance(output, labels, gaze, classification).total.backward()
    assert {name: p.grad is not None and p.grad.item() != 0 for name, p in guidance.named_parameters()} == {
        "log_sigma_classification": True,
        "log_sigma_guidance": True,
        "log_sharpness": True,
        "shift": True,
    }


def test_no_guidance_is_the_classification_loss_alone():
    output, labels, gaze = output_and_gaze()
    losses = losses_of("none", output, labels, gaze)
    assert losses.total.item() == losses.classification.item()
    assert losses.guidance.item() == 0


@given(st.integers(0, 99))
def test_the_functional_losses_equal_numpy(seed):
    generator = torch.Generator().manual_seed(seed)
    cam = torch.randn(4, 8, 6, generator=generator)
    maps = torch.rand(4, 8, 6, generator=generator)
    maps[2] = 0
    density = maps / maps.sum(dim=(1, 2), keepdim=True).clamp_min(1e-9)
    correlation, error = [], []
    for i in (0, 1, 3):
        a, b = cam[i].numpy(), maps[i].numpy()
        correlation.append(1 - np.corrcoef(a.ravel(), b.ravel())[0, 1])
        error.append(((a - b / b.max()) ** 2).mean())
    # Case 2 has no gaze and contributes 0 to the mean over 4 cases.
    assert cam_gaze_loss(cam, density).item() == pytest.approx(sum(correlation) / 4, abs=1e-5)
    assert cam_gaze_loss(cam[:, None], density, kind="mse").item() == pytest.approx(sum(error) / 4, rel=1e-5)
    assert cam_gaze_loss(cam, density, reduction="none")[[0, 1, 3]].numpy() == pytest.approx(correlation, abs=1e-5)
    assert cam_gaze_loss(cam, density, reduction="none")[2] == 0


@pytest.mark.parametrize(("name", "kind"), [("ggcam-cc", "cc"), ("ggcam", "mse"), ("original", "mse")])
def test_the_methods_use_the_functional_losses(name, kind):
    output, labels, gaze = output_and_gaze()
    density, guidance = gaze.density((8, 6)), create_guidance(name)
    cam = output.cam[:, 0] if name == "original" else output.cam_for_labels(labels)
    if name == "ggcam":
        cam = torch.sigmoid(0.3 * cam - 2.5)
    assert losses_of(name, output, labels, gaze).guidance.item() == pytest.approx(
        cam_gaze_loss(cam, density, kind).item(), rel=1e-6
    )
    assert guidance.dissimilarity(output, labels, density).shape == (3,)


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


def test_an_unknown_guidance_lists_the_known_ones():
    with pytest.raises(ConfigError, match="none, ggcam, ggcam-cc"):
        create_guidance("gradcam")


class ShapeOnly(Guidance):
    """A guidance as a user would write it, in this test module."""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("guidance.test_guidance:FRAME", "not a guidance.*subclass of ggcam.Guidance.*(64, 48)"),
        ("guidance.test_guidance:nn", "not a guidance"),
        ("guidance.test_guidance:Missing", "has no Missing"),
        ("no_such_module:Mine", "no module no_such_module"),
    ],
)
def test_what_is_no_guidance_of_ones_own_is_refused(name, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        create_guidance(name)


def test_a_guidance_of_ones_own_is_created_by_its_name():
    found = create_guidance("guidance.test_guidance:ShapeOnly", weight=0.25)
    assert type(found).__name__ == "ShapeOnly"
    assert found.weight == 0.25
