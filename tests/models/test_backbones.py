import pytest
import torch

from ggcam.errors import ConfigError, MissingFileError
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier


@pytest.mark.parametrize(
    ("name", "output_stride", "grid"),
    [
        ("resnet10t", None, (4, 3)),
        ("resnet10t", 16, (8, 6)),
        ("resnet10t", 8, (16, 12)),
        ("convnext_atto", 16, (8, 6)),
        ("vit_tiny_patch16_224", None, (8, 6)),
        ("swin_tiny_patch4_window7_224", None, (4, 3)),
        ("mobilenetv3_small_050", None, (4, 3)),
    ],
)
def test_cnns_and_transformers_yield_a_grid(name, output_stride, grid):
    frame = (128, 96)
    backbone = create_backbone(name, frame, output_stride=output_stride).eval()
    output = CAMClassifier(backbone, 3)(torch.rand(2, 1, *frame))
    assert output.cam.shape == (2, 3, *grid)
    assert output.features.shape[1] == backbone.num_features


@pytest.mark.parametrize(
    ("name", "output_stride", "num_stages", "grid"),
    [
        ("resnet18", 8, 4, (16, 12)),
        ("resnet18", None, 3, (16, 12)),
        ("efficientnet_b0", None, 4, (8, 6)),
        ("convnext_atto", None, 3, (8, 6)),
        ("vit_tiny_patch16_224", None, 6, (8, 6)),
    ],
)
def test_a_network_may_end_early_and_then_holds_nothing_that_it_does_not_use(name, output_stride, num_stages, grid):
    frame = (128, 96)
    backbone = create_backbone(name, frame, output_stride=output_stride, num_stages=num_stages)
    output = CAMClassifier(backbone, 3)(torch.rand(2, 1, *frame))
    assert output.cam.shape == (2, 3, *grid)
    assert (frame[0] // backbone.stride, frame[1] // backbone.stride) == grid
    output.logits.sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_a_network_that_ends_early_computes_what_the_whole_one_does_on_its_way():
    torch.manual_seed(0)
    whole = create_backbone("resnet10t", (64, 64)).eval()
    part = create_backbone("resnet10t", (64, 64), num_stages=4).eval()
    part.trunk.load_state_dict(whole.trunk.state_dict(), strict=False)
    image, seen = torch.rand(1, 1, 64, 64), []
    whole.trunk.layer3.register_forward_hook(lambda *args: seen.append(args[2]))
    whole(image)
    torch.testing.assert_close(part(image), seen[0])


@pytest.mark.parametrize("num_stages", [0, 6])
def test_more_levels_than_a_network_has_are_refused(num_stages):
    with pytest.raises(ConfigError, match="1 to 5"):
        create_backbone("resnet10t", (64, 64), num_stages=num_stages)


def test_the_tokens_of_a_transformer_stay_where_they_were():
    backbone = create_backbone("vit_tiny_patch16_224", (64, 96)).eval()
    image = torch.zeros(1, 1, 64, 96)
    seen = []
    backbone.trunk.patch_embed.register_forward_hook(lambda *args: seen.append(args[2]))
    features = backbone(image)
    assert features.shape == (1, 192, 4, 6)
    tokens = backbone.trunk.forward_features(image)[:, 1:]
    torch.testing.assert_close(features[0, :, 2, 5], tokens[0, 2 * 6 + 5])


def test_local_weights_load_and_three_colours_become_one_channel(tmp_path):
    import timm

    colour = timm.create_model("resnet10t", num_classes=10)
    file = tmp_path / "colour.pth"
    torch.save(colour.state_dict(), file)
    backbone = create_backbone("resnet10t", (64, 64), weights=file)
    torch.testing.assert_close(backbone.trunk.conv1[0].weight, colour.conv1[0].weight.sum(dim=1, keepdim=True))


def test_an_unknown_network_names_its_neighbours():
    with pytest.raises(ConfigError, match="resnet18"):
        create_backbone("resnet_18", (64, 64))


def test_a_stride_that_the_network_cannot_have_is_refused():
    with pytest.raises(ConfigError, match="leave --output-stride out"):
        create_backbone("vit_tiny_patch16_224", (64, 64), output_stride=8)


def test_missing_and_foreign_weights_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match="not there"):
        create_backbone("resnet10t", (64, 64), weights=tmp_path / "none.pth")
    foreign = tmp_path / "foreign.pth"
    torch.save({"a": torch.zeros(1)}, foreign)
    with pytest.raises(ConfigError, match="another network than resnet10t"):
        create_backbone("resnet10t", (64, 64), weights=foreign)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="could not be had"):
        create_backbone("resnet10t", (64, 64), weights=broken)
