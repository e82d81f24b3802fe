"""A CAM covers the image that the network sees: every pixel counts, and each cell lies on its own part of the image."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.fixations import Fixations
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.models.grid import feature_shape, fit_to_grid, size_in_whole_cells

FRAMES = [(128, 96), (97, 65)]
NETWORKS = ["test_resnet", "test_convnext", "test_efficientnet", "test_nfnet", "test_vit"]


def classifier(name: str, frame: tuple[int, int], **options: object) -> CAMClassifier:
    torch.manual_seed(0)
    return CAMClassifier(create_backbone(name, frame, **options), 2).eval()


def influence(model: CAMClassifier, frame: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return one CAM and, for each of its cells, the squared gradient with respect to each pixel."""
    image = torch.rand(1, 1, *frame, requires_grad=True)
    cam = model(image).cam[0, 0]
    rows = [torch.autograd.grad(cell, image, retain_graph=True)[0][0, 0].square() for cell in cam.flatten()]
    return cam, torch.stack(rows).unflatten(0, cam.shape)


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 64))
def test_whole_cells_are_the_next_multiples(height, width, stride):
    rounded = size_in_whole_cells((height, width), stride)
    for side, multiple in zip((height, width), rounded, strict=True):
        assert multiple % stride == 0
        assert side <= multiple < side + stride


def test_images_of_whole_cells_are_left_as_they_are():
    image = torch.rand(2, 1, 64, 96)
    assert fit_to_grid(image, 32) is image


def test_a_border_is_of_zeros_on_all_sides():
    image = torch.rand(1, 1, 20, 32)
    bordered = fit_to_grid(image, 32, border_px=5)
    assert bordered.shape == (1, 1, 37, 37)
    torch.testing.assert_close(bordered[..., 2:-3, 2:-3], fit_to_grid(image, 32))
    torch.testing.assert_close(bordered.sum(), fit_to_grid(image, 32).sum())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("frame", FRAMES)
def test_every_pixel_has_influence_and_each_cell_lies_on_its_own_part(name, frame):
    cam, gradient = influence(classifier(name, frame), frame)
    assert (gradient.sum(dim=(0, 1)) > 0).all()
    parts = torch.nn.functional.adaptive_avg_pool2d(gradient.flatten(0, 1)[:, None], cam.shape)[:, 0]
    peak = parts.flatten(1).argmax(dim=1)
    row, column = peak // cam.shape[1], peak % cam.shape[1]
    cells = torch.cartesian_prod(torch.arange(cam.shape[0]), torch.arange(cam.shape[1]))
    assert (torch.stack([row, column], dim=1) - cells).abs().max() <= 1


@pytest.mark.parametrize("frame", [(128, 96), (120, 75)])
def test_a_network_without_padding_has_whole_cells_and_ignores_no_pixel(frame):
    model = classifier("inception_v3", frame)
    image = torch.rand(1, 1, *frame, requires_grad=True)
    cam = model(image).cam
    assert cam.shape[2:] == (4, 3)
    (gradient,) = torch.autograd.grad(cam.sum(), image)
    assert (gradient != 0).any(dim=2).all()
    assert (gradient != 0).any(dim=3).all()


def test_the_cells_of_a_network_without_padding_are_centred():
    """With symmetric kernels, the features of a flipped image are the flipped features if the cells are centred."""
    backbone = create_backbone("inception_v3", (96, 64)).eval().double()
    for module in backbone.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = (module.weight.data + module.weight.data.flip(2, 3)) / 2
    image = fit_to_grid(torch.rand(1, 1, 96, 64, dtype=torch.float64), 32, backbone.border_px)
    with torch.no_grad():
        features, flipped = backbone.trunk.forward_features(torch.cat([image, image.flip(2, 3)]))
    torch.testing.assert_close(flipped, features.flip(1, 2))


@pytest.mark.parametrize("name", ["test_convnext", "test_vit", "test_resnet"])
def test_the_features_of_whole_cells_are_those_of_timm(name):
    backbone = create_backbone(name, (64, 96)).eval()
    image = torch.rand(1, 1, 64, 96)
    features = backbone.trunk.forward_features(image)
    if features.ndim == 3:
        features = features[:, backbone.trunk.num_prefix_tokens :].mT.unflatten(2, (4, 6))
    torch.testing.assert_close(backbone(image), features)


@pytest.mark.parametrize("name", ["original-resnet-18", "original-effnet-s"])
def test_the_original_networks_have_whole_cells(name):
    backbone = create_backbone(name, (60, 90)).eval()
    image = torch.rand(1, 1, 60, 90)
    torch.testing.assert_close(backbone(image), backbone(fit_to_grid(image, 32)))


def test_gaze_falls_on_the_cell_that_sees_it():
    """A frame of 3.2 x 2.6 cells: a fixation marks the cell whose features change most where the image changes."""
    frame = (102, 83)
    model = classifier("test_convnext", frame)
    base = torch.full((1, 1, *frame), 0.5)
    with torch.no_grad():
        before = model(base).features
        for x_px, y_px in ((5.0, 5.0), (75.0, 5.0), (40.0, 60.0), (78.0, 97.0)):
            image = base.clone()
            image[..., int(y_px) - 3 : int(y_px) + 4, int(x_px) - 3 : int(x_px) + 4] = 1.0
            change = (model(image).features - before).square().sum(dim=1)[0]
            fixation = Fixations.build(x_px=[x_px], y_px=[y_px], duration_s=[0.3])
            density = GazeBatch.from_fixations([fixation], frame, sigma_px=2.0).density((4, 3))[0]
            assert change.shape == density.shape
            assert change.argmax() == density.argmax()


def test_the_shape_of_features_is_found_without_changing_the_network():
    backbone = create_backbone("test_resnet", (64, 96))
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    shape = feature_shape(backbone, (64, 96), in_channels=1)
    assert backbone.training
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert shape == backbone(torch.rand(1, 1, 64, 96)).shape
