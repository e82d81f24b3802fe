"""Initial weights: what fits is loaded, whatever a wrapper has put around the names, and the rest is listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from ggcam.errors import ConfigError
from ggcam.models.backbones import create_backbone
from ggcam.models.initial_weights import InitialWeights

NAME, SIZE = "resnet10t", (64, 64)


def colour_state(name: str = NAME) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return timm.create_model(name, num_classes=10).state_dict()


def saved(state: dict[str, Tensor], folder: Path, name: str = "w.pth") -> Path:
    path = folder / name
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def loaded(path: Path, name: str = NAME, **options) -> InitialWeights:
    found = create_backbone(name, SIZE, weights=path, **options).initial_weights
    assert found is not None
    return found


@pytest.mark.parametrize("file", ["w.pth", "w.safetensors"])
def test_everything_but_the_classifier_is_loaded_and_the_file_is_named(tmp_path, file):
    report = loaded(saved(colour_state(), tmp_path, file))
    assert report.loaded == report.expected == len([n for n in colour_state() if "num_batches" not in n]) - 2
    assert report.complete
    assert (report.source, len(report.sha256)) == (file, 64)
    assert report.adapted == ("conv1.0.weight",)
    assert set(report.unused) == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize("prefix", ["model.", "backbone.", "module.model.", "backbone.trunk.", "net.encoder.0."])
def test_the_prefix_of_a_wrapper_is_removed(tmp_path, prefix):
    state = colour_state()
    wrapped = {"state_dict": {prefix + name: value for name, value in state.items()}, "epoch": 3}
    report = loaded(saved(wrapped, tmp_path))
    assert report.complete
    assert report.prefix == prefix.removeprefix("module.")


def test_the_entries_of_other_parts_are_listed(tmp_path):
    state = {f"encoder.{name}": value for name, value in colour_state().items()} | {"decoder.weight": torch.zeros(2)}
    report = loaded(saved(state, tmp_path))
    assert report.unexpected == ("decoder.weight",)
    assert report.loaded == report.expected


def test_what_does_not_fit_is_listed_and_keeps_its_initial_values(tmp_path):
    state = colour_state()
    del state["layer1.0.conv1.weight"]
    state["layer2.0.conv1.weight"] = torch.zeros(1, 2, 3, 3)
    state["layer9.weight"] = torch.zeros(1)
    backbone = create_backbone(NAME, SIZE, weights=saved(state, tmp_path))
    report = backbone.initial_weights
    assert isinstance(report, InitialWeights)
    assert not report.complete
    assert report.missing == ("layer1.0.conv1.weight",)
    assert report.unexpected == ("layer9.weight",)
    assert report.other_shape == ("layer2.0.conv1.weight (1x2x3x3 instead of 128x64x3x3)",)
    assert report.loaded == report.expected - 2
    assert torch.equal(backbone.trunk.state_dict()["layer3.0.conv1.weight"], state["layer3.0.conv1.weight"])
    assert backbone.trunk.state_dict()["layer2.0.conv1.weight"].abs().sum() > 0
    text = report.summary()
    assert all(
        part in text for part in ("missing: layer1.0.conv1.weight", "another shape", "unexpected: layer9.weight")
    )


@pytest.mark.parametrize("name", ["resnet18", "resnet14t"])
def test_the_weights_of_another_network_are_refused(tmp_path, name):
    path = saved(colour_state("test_vit"), tmp_path)
    with pytest.raises(ConfigError, match=rf"does not hold the weights of {name}(.|\n)*w\.pth(.|\n)*0 of"):
        create_backbone(name, SIZE, weights=path)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("test_efficientnet", "conv_stem.weight"),
        ("test_vit", "patch_embed.proj.weight"),
        ("densenet121", "features.conv0.weight"),
        ("convnext_atto", "stem.0.weight"),
        ("tresnet_m", "body.conv1.conv.weight"),  # rearranges space to depth first: 3 x 16 channels
    ],
)
def test_a_colour_stem_is_summed_for_grey_images_wherever_it_is(tmp_path, name, stem):
    path = saved(colour_state(name), tmp_path)
    colour = create_backbone(name, (160, 160), in_channels=3, weights=path).eval()
    backbone = create_backbone(name, (160, 160), weights=path).eval()
    assert backbone.initial_weights is not None
    assert backbone.initial_weights.adapted == (stem,)
    grey = torch.rand(1, 1, 160, 160)
    with torch.inference_mode():
        torch.testing.assert_close(backbone(grey), colour(grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


def test_a_transformer_gets_the_position_embedding_of_its_image_size_as_timm_resizes_it(tmp_path):
    state = colour_state("test_vit")
    backbone = create_backbone("test_vit", (96, 64), weights=saved(state, tmp_path))
    options = {"num_classes": 0, "global_pool": "", "in_chans": 1, "img_size": (96, 64)}
    overlay = {"state_dict": dict(state), "num_classes": 10, "input_size": (3, 160, 160)}
    expected = timm.create_model("test_vit", pretrained=True, pretrained_cfg_overlay=overlay, **options)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(backbone.trunk.state_dict()[name], value)


def test_a_grey_stem_is_spread_over_the_colours(tmp_path):
    grey = timm.create_model(NAME, in_chans=1)
    backbone = create_backbone(NAME, SIZE, in_channels=3, weights=saved(grey.state_dict(), tmp_path))
    spread = backbone.trunk.state_dict()["conv1.0.weight"]
    torch.testing.assert_close(spread.sum(dim=1, keepdim=True), grey.state_dict()["conv1.0.weight"])
    assert torch.equal(spread[:, 0], spread[:, 1])


def test_stages_that_are_cut_off_are_neither_missing_nor_unexpected(tmp_path):
    state = colour_state()
    report = loaded(saved(state, tmp_path), num_stages=3)
    assert report.complete
    assert any(name.startswith("layer4") for name in report.unused)
    shortened = {name: value for name, value in state.items() if not name.startswith(("layer3", "layer4"))}
    assert loaded(saved(shortened, tmp_path), num_stages=3).complete


def test_torchvision_names_of_densenet_before_its_renaming_are_understood(tmp_path):
    state = colour_state("densenet121")
    state = {name: value for name, value in state.items() if "num_batches_tracked" not in name}
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name): value for name, value in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert loaded(saved(old, tmp_path), "densenet121").complete


def test_a_real_file_gives_the_features_of_timm(real_data):
    file = real_data / "weights" / "tf_efficientnet_lite0.pth"
    name, state = "tf_efficientnet_lite0", torch.load(file, weights_only=True)
    network = timm.create_model(name).eval()
    network.load_state_dict(state)
    image = torch.rand(1, 3, 64, 96)
    colour = create_backbone(name, (64, 96), in_channels=3, weights=file).eval()
    grey = create_backbone(name, (64, 96), weights=file).eval()
    with torch.inference_mode():
        assert torch.equal(colour(image), network.forward_features(image))
        expected = network.forward_features(image[:, :1].expand(-1, 3, -1, -1))
        torch.testing.assert_close(grey(image[:, :1]), expected, rtol=1e-4, atol=1e-4)
