from itertools import product

import pytest
import torch
from torch import nn

from ggcam.models.cam import IMAGENET_MEAN, IMAGENET_STD, CAMClassifier, CAMHead, imagenet_statistics


class Identity(nn.Module):
    """A backbone that returns the image itself as features."""

    num_features = 4

    def forward(self, image):
        return image


def test_logits_equal_global_average_pooling_and_a_linear_layer():
    head, features = CAMHead(6, 3), torch.randn(2, 6, 5, 4)
    expected = nn.functional.linear(features.mean(dim=(2, 3)), head.weight, head.bias)
    torch.testing.assert_close(head(features).logits, expected)


def test_cam_equals_the_weighted_sum_of_features_in_each_cell():
    head, features = CAMHead(3, 2), torch.randn(1, 3, 2, 2)
    cam = head(features).cam
    for class_index, row, column in product(range(2), repeat=3):
        expected = sum(head.weight[class_index, channel] * features[0, channel, row, column] for channel in range(3))
        torch.testing.assert_close(cam[0, class_index, row, column], expected)


def test_mean_reduction_divides_cam_and_logits_by_the_number_of_channels():
    total, mean = CAMHead(8, 3), CAMHead(8, 3, reduction="mean")
    mean.load_state_dict(total.state_dict())
    features = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(mean(features).cam, total(features).cam / 8)
    torch.testing.assert_close(mean(features).logits - mean.bias, (total(features).logits - total.bias) / 8)


def test_cam_for_labels_selects_the_map_of_each_label():
    output = CAMHead(3, 4)(torch.randn(2, 3, 2, 2))
    torch.testing.assert_close(
        output.cam_for_labels(torch.tensor([3, 1])), torch.stack([output.cam[0, 3], output.cam[1, 1]])
    )


@pytest.mark.parametrize(("dtype", "largest"), [(torch.uint8, 255), (torch.uint16, 65535)])
def test_integer_images_are_scaled_to_0_to_1(dtype, largest):
    model = CAMClassifier(Identity(), 2)
    integers = torch.randint(0, largest + 1, (2, 4, 3, 3)).to(dtype)
    torch.testing.assert_close(model(integers).logits, model(integers.float() / largest).logits)


def test_cam_is_float32_under_autocast():
    model = CAMClassifier(Identity(), 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.rand(1, 4, 3, 3)).cam.dtype == torch.float32


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_grey_images_are_standardised_by_one_mean_and_standard_deviation(channels):
    image = torch.rand(2, channels, 3, 3)
    assert torch.equal(CAMClassifier(Identity(), 2).standardise(image), (image - 0.449) / 0.226)


def test_rgb_images_are_standardised_per_channel_as_torchvision_does():
    image = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8)
    standardised = CAMClassifier(Identity(), 2).standardise(image)
    for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)):
        expected = (image[:, channel] / 255 - mean) / std
        torch.testing.assert_close(standardised[:, channel], expected)


@pytest.mark.parametrize(("mean", "std"), [(0.25, (1.0, 2.0)), ((0.25, 0.25), (1, 2)), ([0.25], [1.0, 2.0])])
def test_mean_and_std_are_numbers_or_one_per_channel(mean, std):
    image = torch.rand(3, 2, 4, 4)
    expected = torch.stack([image[:, 0] - 0.25, (image[:, 1] - 0.25) / 2], dim=1)
    torch.testing.assert_close(CAMClassifier(Identity(), 2, mean=mean, std=std).standardise(image), expected)


def test_statistics_per_channel_need_that_number_of_channels():
    model = CAMClassifier(Identity(), 2, mean=(0.1, 0.2, 0.3), std=1.0)
    with pytest.raises(ValueError, match="images of 3 channels, got 1"):
        model.standardise(torch.rand(1, 1, 2, 2))


def test_statistics_are_not_part_of_the_weights():
    names = set(CAMClassifier(Identity(), 2, mean=(0.1, 0.2, 0.3)).state_dict())
    assert names == {"head.weight", "head.bias"}


def test_default_statistics_depend_on_the_number_of_channels():
    assert imagenet_statistics(3) == (IMAGENET_MEAN, IMAGENET_STD)
    assert imagenet_statistics(1) == ((0.449,), (0.226,))
