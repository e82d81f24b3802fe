import pytest
import torch

from ggcam.errors import ConfigError, MissingFileError, WeightsError
from ggcam.models import backbones
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
def test_cnns_and_transformers_return_a_grid_of_the_expected_size(name, output_stride, grid):
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
def test_a_shortened_network_has_the_expected_grid_and_no_unused_parameters(name, output_stride, num_stages, grid):
    frame = (128, 96)
    backbone = create_backbone(name, frame, output_stride=output_stride, num_stages=num_stages)
    output = CAMClassifier(backbone, 3)(torch.rand(2, 1, *frame))
    assert output.cam.shape == (2, 3, *grid)
    assert (frame[0] // backbone.stride, frame[1] // backbone.stride) == grid
    output.logits.sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_a_shortened_network_computes_the_intermediate_features_of_the_whole_one():
    torch.manual_seed(0)
    whole = create_backbone("resnet10t", (64, 64)).eval()
    part = create_backbone("resnet10t", (64, 64), num_stages=4).eval()
    part.trunk.load_state_dict(whole.trunk.state_dict(), strict=False)
    image, intermediate = torch.rand(1, 1, 64, 64), []
    whole.trunk.layer3.register_forward_hook(lambda module, inputs, output: intermediate.append(output))
    whole(image)
    torch.testing.assert_close(part(image), intermediate[0])


@pytest.mark.parametrize("num_stages", [0, 6])
def test_num_stages_out_of_range_is_refused(num_stages):
    with pytest.raises(ConfigError, match="1 to 5"):
        create_backbone("resnet10t", (64, 64), num_stages=num_stages)


def test_transformer_tokens_are_laid_out_as_their_patches_in_the_image():
    backbone = create_backbone("vit_tiny_patch16_224", (64, 96)).eval()
    trunk = backbone.trunk
    trunk.blocks, trunk.norm = torch.nn.Identity(), torch.nn.Identity()
    torch.nn.init.zeros_(trunk.pos_embed)  # what is left embeds each patch by itself
    image = torch.rand(1, 1, 64, 96)
    features = backbone(image)
    assert features.shape == (1, 192, 4, 6)
    embedding = trunk.patch_embed.proj
    for row in range(4):
        for column in range(6):
            patch = image[0, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
            expected = (embedding.weight * patch).sum(dim=(1, 2, 3)) + embedding.bias
            torch.testing.assert_close(features[0, :, row, column], expected)


def test_local_weights_are_loaded_and_summed_over_the_colours(tmp_path):
    import timm

    colour = timm.create_model("resnet10t", num_classes=10)
    file = tmp_path / "colour.pth"
    torch.save(colour.state_dict(), file)
    backbone = create_backbone("resnet10t", (64, 64), weights=file)
    torch.testing.assert_close(backbone.trunk.conv1[0].weight, colour.conv1[0].weight.sum(dim=1, keepdim=True))


def test_the_grid_of_a_network_is_computed_once(monkeypatch):
    computed = []
    shape = backbones.feature_shape
    monkeypatch.setattr(backbones, "feature_shape", lambda *arguments: computed.append(1) or shape(*arguments))
    create_backbone("resnet10t", (64, 64))
    assert len(computed) == 1


def test_an_unknown_network_is_refused_with_similar_names():
    with pytest.raises(ConfigError, match="resnet18"):
        create_backbone("resnet_18", (64, 64))


def test_an_unsupported_output_stride_is_refused():
    with pytest.raises(ConfigError, match="leave --output-stride out"):
        create_backbone("vit_tiny_patch16_224", (64, 64), output_stride=8)


def test_missing_damaged_and_unrelated_weights_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        create_backbone("resnet10t", (64, 64), weights=tmp_path / "none.pth")
    foreign = tmp_path / "foreign.pth"
    torch.save({"a": torch.zeros(1)}, foreign)
    with pytest.raises(ConfigError, match="does not hold the weights of resnet10t"):
        create_backbone("resnet10t", (64, 64), weights=foreign)
    broken = tmp_path / "broken.pth"
    broken.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="damaged"):
        create_backbone("resnet10t", (64, 64), weights=broken)
