"""The mean absolute difference of evidence and attention; Grad-CAM of a CAM head is its CAM."""

from __future__ import annotations

import numpy as np
import torch

from ggcam.guidance import create_guidance
from ggcam.guidance.cam_maps import peak_scaled
from ggcam.models.cam import CAMHead
from guidance.examples import arrays, evidence, peak, random_maps


def test_the_loss_equals_numpys():
    output, labels, density = random_maps()
    found = create_guidance("gradia").dissimilarity(output, labels, density)
    expected = [np.abs(evidence(cam) - peak(gaze)).mean() for cam, gaze in arrays(output, labels, density)]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


def test_grad_cam_at_the_last_features_is_the_cam_up_to_its_scale():
    """Which is why the losses that are published for Grad-CAM use the CAM."""
    features = torch.randn(2, 5, 8, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([2, 0])
    output = CAMHead(5, 3)(features)
    (gradient,) = torch.autograd.grad(output.logits.gather(1, labels[:, None]).sum(), features)
    grad_cam = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1)
    torch.testing.assert_close(peak_scaled(grad_cam), peak_scaled(output.cam_for_labels(labels)))
