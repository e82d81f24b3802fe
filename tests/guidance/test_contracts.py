"""What holds for every guidance method: gradients, cases without attention, several labels, half precision."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from ggcam.data.batches import Batch
from ggcam.guidance import GUIDANCES, Guidance, Losses, create_guidance
from ggcam.guidance.options import hyperparameters
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining
from guidance.examples import CASES, CLASSES, FRAME, SILENT, batch, network_for

WITHOUT_LOSS = ("none", "eg-vit", "gaze-crop")
LABELWISE = [name for name, each in GUIDANCES.items() if each.compares == "label" and name not in WITHOUT_LOSS]
MULTILABEL = [name for name in GUIDANCES if name != "original"]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Methods that draw at random draw the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def module(name: str) -> GuidedTraining:
    guidance = create_guidance(name)
    return GuidedTraining(network_for(guidance), guidance, TrainConfig(guidance=name, sigma_px=6.0), FRAME).train()


def step(training: GuidedTraining, data: Batch) -> Losses:
    """One step's losses, with the same random numbers each time."""
    torch.manual_seed(1)
    return training.compute_losses(data)


def gradients(training: GuidedTraining, loss: Tensor) -> dict[str, Tensor]:
    """The gradient of each parameter of the network; all zero for one that the loss does not depend on."""
    parameters = dict(training.model.named_parameters())
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(parameters, found, strict=True))


def without_gaze(data: Batch) -> Batch:
    return data._replace(duration_s=torch.zeros_like(data.duration_s))


@pytest.mark.parametrize("several_labels", [False, True])
@pytest.mark.parametrize("name", GUIDANCES)
def test_a_step_is_finite_and_reaches_every_parameter(name, several_labels):
    """Every parameter, always: training in several processes fails where one has no gradient."""
    if several_labels and name not in MULTILABEL:
        return
    training = module(name)
    for data in (batch(several_labels=several_labels), without_gaze(batch(several_labels=several_labels))):
        for progress in (0.0, 0.9):
            training.guidance.progress = progress
            training.zero_grad()
            losses = step(training, data)
            assert all(part.isfinite() for part in losses)
            losses.total.backward()
            for parameter, values in training.named_parameters():
                if values.requires_grad:
                    assert values.grad is not None, parameter
                    assert values.grad.isfinite().all(), parameter


@pytest.mark.parametrize("name", [name for name in GUIDANCES if name != "eg-vit"])  # there patches are hidden at random
def test_without_attention_only_the_classification_is_learnt(name):
    training, data = module(name), without_gaze(batch())
    losses = step(training, data)
    assert losses.guidance == 0
    torch.manual_seed(1)
    output = training.guidance.forward_pass(training.model, data.image, data.label, training.build_attention(data))

    def classify(logits: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(logits, data.label)

    expected = training.guidance.combine(classify(output.logits), torch.zeros(()))
    extra = training.guidance.extra_loss(output, classify)
    torch.testing.assert_close(
        gradients(training, losses.total), gradients(training, expected if extra is None else expected + extra)
    )


@pytest.mark.parametrize("name", [name for name in GUIDANCES if name not in WITHOUT_LOSS])
def test_a_case_without_attention_is_not_guided_and_does_not_change_the_others(name):
    training, data = module(name), batch()
    training.guidance.eval()  # batch norm in a decoder makes cases depend on each other
    guidance, attention = training.guidance, training.build_attention(data)
    guidance.progress = 0.2  # in the pre-training of one method, and in the ramp of another
    output = guidance.forward_pass(training.model, data.image, data.label, attention)
    parts = {"cam": output.cam, "features": output.features, **output.extra}
    total = guidance(output, data.label, attention, torch.zeros(())).total
    found = torch.autograd.grad(total, list(parts.values()), allow_unused=True, materialize_grads=True)
    guided = sum(part.reshape(CASES, -1).abs().sum(dim=1) for part in found)
    assert isinstance(guided, Tensor)
    assert guided[SILENT] == 0
    assert (guided.index_select(0, torch.tensor([i for i in range(CASES) if i != SILENT])) > 0).all()


@pytest.mark.parametrize("name", [name for name in LABELWISE if name in MULTILABEL])
def test_no_label_that_is_absent_or_unknown_is_guided(name):
    training, data = module(name), batch(several_labels=True)
    attention = training.build_attention(data)
    output = training.guidance.forward_pass(training.model, data.image, data.label, attention)
    cam = output.cam.detach().requires_grad_()
    training.guidance.progress = 0.2
    training.guidance(output._replace(cam=cam), data.label, attention, torch.zeros(())).total.backward()
    assert cam.grad is not None
    touched = cam.grad.abs().sum(dim=(2, 3)) > 0
    expected = (data.label == 1) & (torch.arange(CASES) != SILENT)[:, None]
    assert not touched[~expected].any()
    assert touched.any(dim=1).tolist() == expected.any(dim=1).tolist()


@pytest.mark.parametrize("name", MULTILABEL)
@pytest.mark.parametrize("value", [0.0, torch.nan])
def test_a_batch_in_which_no_label_is_present_is_finite(name, value):
    training = module(name)
    losses = step(training, batch()._replace(label=torch.full((CASES, CLASSES), value)))
    losses.total.backward()
    assert all(part.isfinite() for part in losses)
    assert all(each.grad is None or each.grad.isfinite().all() for each in training.parameters())
    if name in LABELWISE:
        assert losses.guidance == 0


@pytest.mark.parametrize("name", GUIDANCES)
def test_bfloat16_gives_nearly_the_losses_of_float32(name):
    training, data = module(name), batch()
    exact = step(training, data)
    with torch.autocast("cpu", torch.bfloat16):
        half = step(training, data)
    half.total.backward()
    assert half.total.dtype == torch.float32
    torch.testing.assert_close(tuple(half), tuple(exact), rtol=0.05, atol=0.02)
    assert all(each.grad is None or each.grad.isfinite().all() for each in training.parameters())


@pytest.mark.parametrize("name", GUIDANCES)
def test_even_images_and_maps_are_finite(name):
    """A constant image, whose CAM is constant, and attention that is the same everywhere."""
    training, data = module(name), batch()
    data = data._replace(image=torch.zeros_like(data.image), points_px=torch.full_like(data.points_px, 24.0))
    training.config = TrainConfig(guidance=name, sigma_px=1e6)
    losses = step(training, data)
    losses.total.backward()
    assert all(part.isfinite() for part in losses)
    assert all(each.grad is None or each.grad.isfinite().all() for each in training.parameters())


@pytest.mark.parametrize("name", GUIDANCES)
def test_validation_needs_the_output_of_the_network_alone(name):
    training, data = module(name).eval(), batch()
    with torch.no_grad():
        losses = training.guidance(
            training.model(data.image), data.label, training.build_attention(data), torch.ones(())
        )
    assert all(part.isfinite() for part in losses)


@pytest.mark.parametrize("name", GUIDANCES)
def test_training_leaves_a_network_that_the_guidance_is_no_part_of(name):
    guidance = create_guidance(name)
    before = {key: value.clone() for key, value in network_for(guidance).state_dict().items()}
    model = network_for(guidance)
    training = GuidedTraining(model, guidance, TrainConfig(guidance=name), FRAME)
    torch.testing.assert_close(dict(model.state_dict()), before)
    assert len(list(training.parameters())) == len(list(model.parameters())) + len(list(guidance.parameters()))


@pytest.mark.parametrize("name", GUIDANCES)
def test_each_method_says_in_one_line_what_it_does_and_where_it_is_from(name):
    found = GUIDANCES[name]
    lines = (inspect.getdoc(found) or "").splitlines()
    assert lines[0].endswith(".")
    assert lines[1] == ""
    assert "`" not in lines[0]
    assert bool(found.source) == (name != "none")
    for option in hyperparameters(found):
        assert f"\n    {option}: " in "\n".join(lines), option


def test_only_the_methods_that_read_attention_say_so():
    class Second(Guidance):
        def extra_loss(self, output, classify):
            return classify(output.logits)

    assert [name for name, each in GUIDANCES.items() if not each.uses_attention()] == ["none"]
    assert not Second.uses_attention()
