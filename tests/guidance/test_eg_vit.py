"""Patches outside the gaze are hidden from the middle blocks of a transformer, and join again: against a loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ggcam.errors import ConfigError
from ggcam.gaze.batch import GazeBatch
from ggcam.guidance import create_guidance
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from guidance.examples import FRAME, Cells, batch, network_for

PATCHES = (4, 3)  # of 16x16 pixels


def made(num_stages: int | None = None, **options: float):
    guidance = create_guidance("eg-vit", options={"probability": 1.0, **options})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = create_backbone("test_vit", FRAME, num_stages=num_stages)
        model = CAMClassifier(backbone, 3).eval()
    guidance.initialize(model)
    data = batch()
    gaze = GazeBatch(data.points_px, data.duration_s, torch.full_like(data.points_px, 4.0), FRAME)
    return guidance, model, data, gaze


def by_hand(trunk: nn.Module, image: Tensor, seen: list[list[int]]) -> Tensor:
    """Features of the patches, case by case: the middle blocks see the chosen patches alone."""
    found = []
    for case, patches in enumerate(seen):
        tokens = trunk._pos_embed(trunk.patch_embed(image[case : case + 1]))
        tokens = trunk.norm_pre(tokens)
        prefix = trunk.num_prefix_tokens
        middle = torch.cat([tokens[:, :prefix], tokens[:, [prefix + patch for patch in patches]]], dim=1)
        for block in trunk.blocks[:-1]:
            middle = block(middle)
        whole = tokens.clone()
        whole[:, :prefix] = middle[:, :prefix]
        for position, patch in enumerate(patches):
            whole[:, prefix + patch] = middle[:, prefix + position]
        found.append(trunk.norm(trunk.blocks[-1](whole))[0, prefix:])
    return torch.stack(found)


@pytest.mark.parametrize(("num_stages", "kept"), [(None, 0.327), (None, 0.5), (4, 0.25)])
def test_the_forward_pass_equals_one_by_hand(num_stages, kept):
    guidance, model, data, gaze = made(num_stages, kept=kept)
    count = round(kept * 12)
    density = gaze.density(PATCHES).flatten(1)
    attended = [sorted(each.argsort(descending=True)[:count].tolist()) for each in density]
    guided = [case for case in range(4) if density[case].sum() > 0]
    with torch.no_grad():
        found = guidance.forward_pass(model, data.image, data.label, gaze).features.flatten(2).transpose(1, 2)
        expected = by_hand(model.backbone.trunk, model.standardise(data.image), attended)
        plain = model(data.image).features.flatten(2).transpose(1, 2)
    torch.testing.assert_close(found[guided], expected[guided], atol=1e-5, rtol=1e-4)
    assert (found - plain).abs().amax() > 1e-3


def test_hidden_patches_cannot_change_the_middle_of_the_network():
    """The value of a hidden patch reaches the others in the last block alone."""
    guidance, model, data, gaze = made(kept=0.25)
    inputs: list[Tensor] = []
    handle = model.backbone.trunk.blocks[-1].register_forward_hook(
        lambda _block, given, _output: inputs.append(given[0])
    )
    hidden = gaze.density(PATCHES)[0].flatten().argmin().item()
    row, column = divmod(int(hidden), PATCHES[1])
    other = data.image.clone()
    other[0, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = 255
    with torch.no_grad():
        for image in (data.image, other):
            guidance.forward_pass(model, image[:1], data.label[:1], GazeBatch(*(part[:1] for part in gaze[:3]), FRAME))
    handle.remove()
    prefix = model.backbone.trunk.num_prefix_tokens
    changed = (inputs[0] - inputs[1]).abs().amax(dim=2)[0] > 0
    assert changed.nonzero().flatten().tolist() == [prefix + hidden]


def test_a_case_without_attention_keeps_random_patches():
    guidance, model, data, gaze = made(kept=0.25)
    with torch.no_grad():
        first, second = (guidance.forward_pass(model, data.image, data.label, gaze).features for _ in range(2))
    different = (first - second).flatten(1).abs().amax(dim=1) > 1e-6
    assert different.tolist() == [False, False, True, False]


def test_the_network_sees_everything_outside_of_training_and_in_some_batches():
    guidance, model, data, gaze = made(probability=0.0)
    before = {key: len(module._forward_hooks) + len(module._forward_pre_hooks) for key, module in model.named_modules()}
    with torch.no_grad():
        plain = model(data.image).logits
        torch.testing.assert_close(guidance.forward_pass(model, data.image, data.label, gaze).logits, plain)
        hiding, other, _, _ = made(probability=1.0)
        assert not torch.allclose(hiding.forward_pass(other, data.image, data.label, gaze).logits, plain)
        torch.testing.assert_close(other(data.image).logits, plain)
    hooks = {key: len(module._forward_hooks) + len(module._forward_pre_hooks) for key, module in other.named_modules()}
    assert hooks == before


def test_hooks_are_removed_when_the_network_fails():
    guidance, model, data, gaze = made()
    with pytest.raises(RuntimeError, match="stop"):
        guidance.forward_pass(lambda _image: (_ for _ in ()).throw(RuntimeError("stop")), data.image, data.label, gaze)
    assert not model.backbone.trunk.norm_pre._forward_hooks
    assert not model.backbone.trunk.blocks[-1]._forward_pre_hooks


def test_another_network_is_refused():
    guidance = create_guidance("eg-vit")
    with pytest.raises(ConfigError, match=r"(?s)vision transformer.*--backbone.*vit_\*.*Cells"):
        guidance.initialize(CAMClassifier(Cells(), 3))
    assert list(network_for(guidance).parameters())
