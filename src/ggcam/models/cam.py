"""A classifier whose logits and class activation maps (CAM) come out of one forward pass."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

Reduction = Literal["sum", "mean"]
White = Literal["type", "image"]


class CAMOutput(NamedTuple):
    """What a forward pass yields.

    Attributes:
        logits: (b, k), a score for each class.
        cam: (b, k, h, w), evidence for each class in each cell of the grid: unbounded, without the bias.
        features: (b, c, h, w), what the CAM was computed from.
    """

    logits: Float[Tensor, "b k"]
    cam: Float[Tensor, "b k h w"]
    features: Float[Tensor, "b c h w"]

    def cam_of(self, labels: Int[Tensor, " b"]) -> Float[Tensor, "b h w"]:
        """The CAM of one class for each image."""
        return self.cam[torch.arange(len(labels), device=labels.device), labels]


@runtime_checkable
class FeatureExtractor(Protocol):
    """Any module that turns images into a grid of features and says how many channels these have."""

    num_features: int

    def __call__(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Images -> features."""
        ...


class CAMHead(nn.Module):
    """Features -> CAM -> logits.

    `CAM_k(u, v) = sum_c w_kc f_c(u, v)` and `logit_k = mean_uv CAM_k(u, v) + b_k`, which is global average pooling
    followed by a linear layer (Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016), in an
    order that yields the map on the way. With `reduction="mean"` the sum over channels is a mean, as in GG-CAM (Zhu et
    al., 2022): the same network up to the scale of its weights.

    Args:
        num_features: channels of the features.
        num_classes: classes to tell apart.
        reduction: how channels are put together.
    """

    def __init__(self, num_features: int, num_classes: int, reduction: Reduction = "sum"):
        super().__init__()
        linear = nn.Linear(num_features, num_classes)
        self.weight = linear.weight
        self.bias = linear.bias
        self.reduction = reduction

    def forward(self, features: Float[Tensor, "b c h w"]) -> CAMOutput:
        """Features -> logits and CAM, in float32 also under autocast (a CAM is small, and gaze is compared with it)."""
        with torch.autocast(features.device.type, enabled=False):
            weight = self.weight.float()
            if self.reduction == "mean":
                weight = weight / weight.shape[1]
            cam = torch.einsum("bchw,kc->bkhw", features.float(), weight)
            logits = cam.mean(dim=(2, 3)) + self.bias.float()
        return CAMOutput(logits, cam, features)


class CAMClassifier(nn.Module):
    """A feature extractor and a CAM head.

    Images may be integers, as prepared images are, or floats in 0..1; they are standardised here, so that whoever holds
    the model needs to know nothing else.

    Args:
        backbone: images -> features; see :func:`ggcam.models.backbones.create_backbone`.
        num_classes: classes to tell apart.
        reduction: of the CAM head.
        mean: of the pixels, subtracted after scaling to 0..1 (the default: ImageNet's, averaged over the colours).
        std: of the pixels, divided by.
        white: what becomes 1 before that: the largest integer of the image's "type" (in floats, 1 itself), or the
            largest pixel of each "image", as in GG-CAM.
    """

    def __init__(
        self,
        backbone: FeatureExtractor,
        num_classes: int,
        reduction: Reduction = "sum",
        mean: float = 0.449,
        std: float = 0.226,
        white: White = "type",
    ):
        super().__init__()
        self.backbone = backbone
        self.head = CAMHead(backbone.num_features, num_classes, reduction)
        self.mean = mean
        self.std = std
        self.white: White = white

    def forward(self, image: Shaped[Tensor, "b i H W"]) -> CAMOutput:
        """Images (b, channels, H, W) -> logits (b, k) and CAM (b, k, h, w)."""
        return self.head(self.backbone(self.standardise(image)))

    def standardise(self, image: Shaped[Tensor, "b i H W"]) -> Float[Tensor, "b i H W"]:
        """Pixels are divided by white; then mean and standard deviation are applied. A black image stays black."""
        scaled = image.float()
        if self.white == "image":
            scaled = scaled / scaled.amax(dim=(1, 2, 3), keepdim=True).clamp_min(torch.finfo(scaled.dtype).tiny)
        elif not image.is_floating_point():
            scaled = scaled / torch.iinfo(image.dtype).max
        return (scaled - self.mean) / self.std
