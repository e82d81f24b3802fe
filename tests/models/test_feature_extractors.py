"""CAMHead on the feature extractors of other packages: with their own weights it gives their own logits."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from ggcam.models.cam import CAMClassifier, CAMHead

CLASSES = 5


def head_with(linear: nn.Linear) -> CAMHead:
    """A CAM head with the weights of a linear layer."""
    head = CAMHead(linear.in_features, linear.out_features)
    head.load_state_dict(linear.state_dict())
    return head.eval()


@torch.no_grad()
def check_logits(head: CAMHead, features: torch.Tensor, logits: torch.Tensor) -> None:
    output = head(features)
    torch.testing.assert_close(output.logits, logits, atol=1e-4, rtol=1e-4)
    assert output.cam.shape == (len(features), CLASSES, *features.shape[2:])
    torch.testing.assert_close(output.cam.mean(dim=(2, 3)) + head.bias, output.logits)


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2_035"])
def test_timm_forward_features(name):
    model = timm.create_model(name, num_classes=CLASSES, in_chans=1).eval()
    image = torch.rand(2, 1, 64, 96)
    check_logits(head_with(model.get_classifier()), model.forward_features(image), model(image))


@torch.no_grad()
def test_timm_features_only():
    model = timm.create_model("resnet18", in_chans=1, features_only=True, out_indices=(2,)).eval()
    output = CAMHead(model.feature_info.channels()[-1], CLASSES)(model(torch.rand(2, 1, 64, 96))[-1])
    assert output.logits.shape == (2, CLASSES)
    assert output.cam.shape == (2, CLASSES, 8, 12)


@torch.no_grad()
def test_torchvision_resnet():
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.resnet18(num_classes=CLASSES).eval()
    image = torch.rand(2, 3, 64, 96)
    features = nn.Sequential(*list(model.children())[:-2])
    check_logits(head_with(model.fc), features(image), model(image))


@torch.no_grad()
def test_torchvision_densenet():
    torchvision = pytest.importorskip("torchvision")
    model = torchvision.models.densenet121(num_classes=CLASSES).eval()
    image = torch.rand(2, 3, 64, 96)
    check_logits(head_with(model.classifier), model.features(image).relu(), model(image))


@torch.no_grad()
def test_torchxrayvision_densenet():
    xrv = pytest.importorskip("torchxrayvision")
    model = xrv.models.DenseNet(weights=None, num_classes=CLASSES, op_threshs=None, apply_sigmoid=False).eval()
    image = torch.rand(2, 1, 64, 64)
    check_logits(head_with(model.classifier), model.features(image).relu(), model.classifier(model.features2(image)))


def test_a_classifier_takes_any_extractor_with_num_features():
    class Extractor(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = timm.create_model("resnet18", in_chans=1, features_only=True, out_indices=(3,))
            self.num_features = self.trunk.feature_info.channels()[-1]

        def forward(self, image):
            return self.trunk(image)[-1]

    output = CAMClassifier(Extractor(), CLASSES)(torch.randint(0, 256, (2, 1, 64, 96), dtype=torch.uint8))
    output.cam_for_labels(torch.tensor([0, 4])).mean().backward()
    assert output.cam.shape == (2, CLASSES, 4, 6)
