import pytest
import torch
from torch import nn

from ggcam.models.cam import CAMClassifier, CAMHead


class Identity(nn.Module):
    """The image itself as features."""

    num_features = 4

    def forward(self, image):
        return image


def test_logits_equal_global_average_pooling_and_a_linear_layer():
    head, features = CAMHead(6, 3), torch.randn(2, 6, 5, 4)
    slow = nn.functional.linear(features.mean(dim=(2, 3)), head.weight, head.bias)
    torch.testing.assert_close(head(features).logits, slow)


def test_the_cam_is_the_weighted_sum_of_features_in_each_cell():
    head, features = CAMHead(3, 2), torch.randn(1, 3, 2, 2)
    cam = head(features).cam
    for k in range(2):
        for u in range(2):
            for v in range(2):
                slow = sum(head.weight[k, c] * features[0, c, u, v] for c in range(3))
                torch.testing.assert_close(cam[0, k, u, v], slow)


def test_a_mean_over_channels_divides_cam_and_logits_by_their_number():
    total, mean = CAMHead(8, 3), CAMHead(8, 3, reduction="mean")
    mean.load_state_dict(total.state_dict())
    features = torch.randn(2, 8, 3, 3)
    torch.testing.assert_close(mean(features).cam, total(features).cam / 8)
    torch.testing.assert_close(mean(features).logits - mean.bias, (total(features).logits - total.bias) / 8)


def test_the_cam_of_a_label_is_that_classs_map():
    output = CAMHead(3, 4)(torch.randn(2, 3, 2, 2))
    torch.testing.assert_close(output.cam_of(torch.tensor([3, 1])), torch.stack([output.cam[0, 3], output.cam[1, 1]]))


@pytest.mark.parametrize(("dtype", "largest"), [(torch.uint8, 255), (torch.uint16, 65535)])
def test_integer_images_equal_floats_between_0_and_1(dtype, largest):
    model = CAMClassifier(Identity(), 2)
    integers = torch.randint(0, largest + 1, (2, 4, 3, 3)).to(dtype)
    torch.testing.assert_close(model(integers).logits, model(integers.float() / largest).logits)


def test_under_autocast_the_cam_stays_float32():
    model = CAMClassifier(Identity(), 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert model(torch.rand(1, 4, 3, 3)).cam.dtype == torch.float32
