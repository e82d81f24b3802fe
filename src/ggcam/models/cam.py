"""A classifier whose logits and class activation maps (CAM) come out of one forward pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

Reduction = Literal["sum", "mean"]
PixelScale = Literal["dtype", "image"]
Statistic = float | Sequence[float]
"""A mean or standard deviation of pixels: one for all channels, or one per channel."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of the red, green and blue pixels of ImageNet, scaled to 0..1."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of the red, green and blue pixels of ImageNet, scaled to 0..1."""

GREY_MEAN, GREY_STD = 0.449, 0.226
"""The mean over the channels of :data:`IMAGENET_MEAN` and of :data:`IMAGENET_STD`, for grey images."""


class CAMOutput(NamedTuple):
    """Output of a forward pass.

    Attributes:
        logits: (b, k), score of each class.
        cam: (b, k, h, w), evidence for each class in each cell of the grid: unbounded, without the bias.
        features: (b, c, h, w), the features that the CAM was computed from.
        extra: further tensors with one row per image, by name, that a guidance needs in training.
    """

    logits: Float[Tensor, "b k"]
    cam: Float[Tensor, "b k h w"]
    features: Float[Tensor, "b c h w"]
    extra: Mapping[str, Tensor] = {}  # a plain dict, which torch.compile can trace; never changed

    def cam_for_labels(self, labels: Int[Tensor, " b"]) -> Float[Tensor, "b h w"]:
        """Select the CAM of one class per image.

        Args:
            labels: (b,), class index for each image.

        Returns:
            CAMs of shape (b, h, w).
        """
        return self.cam[torch.arange(len(labels), device=labels.device), labels]

    def select(self, rows: Int[Tensor, " m"]) -> CAMOutput:
        """Select images, each any number of times.

        Args:
            rows: index of the image for each row of the result.

        Returns:
            The output for these images.
        """
        extra = {name: part[rows] for name, part in self.extra.items()}
        return CAMOutput(self.logits[rows], self.cam[rows], self.features[rows], extra)


@runtime_checkable
class FeatureExtractor(Protocol):
    """A module that maps images to a grid of features, and knows their number of channels.

    Attributes:
        num_features: number of channels.
    """

    num_features: int

    def __call__(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Map images (b, i, H, W) to features (b, c, h, w)."""
        ...


class CAMHead(nn.Module):
    """A classification head that computes the CAM first, and the logits from it.

    `CAM_k(u, v) = sum_c w_kc f_c(u, v)` and `logit_k = mean_uv CAM_k(u, v) + b_k`. This equals global average pooling
    followed by a linear layer (Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016). With
    `reduction="mean"`, the sum over channels is a mean, as in GG-CAM (Zhu et al., 2022): the same network up to the
    scale of its weights.

    Args:
        num_features: number of channels of the features.
        num_classes: number of classes.
        reduction: reduction over channels, "sum" or "mean".

    Example:
        >>> output = CAMHead(num_features=512, num_classes=3)(torch.rand(2, 512, 8, 7))
        >>> output.logits.shape, output.cam.shape
        (torch.Size([2, 3]), torch.Size([2, 3, 8, 7]))
    """

    def __init__(self, num_features: int, num_classes: int, reduction: Reduction = "sum"):
        super().__init__()
        linear = nn.Linear(num_features, num_classes)
        self.weight = linear.weight
        self.bias = linear.bias
        self.reduction = reduction

    def start_at(self, logits: Float[Tensor, " k"]) -> None:
        """Set the initial bias to logits that hold for all images, such as those of the classes' frequencies.

        The bias is no part of the CAM. Without this start, a CAM of rare classes learns their rarity first: it becomes
        negative in every cell, and shows no evidence for a class anywhere.

        Args:
            logits: (k,), logit of each class for an image about which nothing is known.
        """
        with torch.no_grad():
            self.bias.copy_(logits)

    def forward(self, features: Float[Tensor, "b c h w"]) -> CAMOutput:
        """Compute CAM and logits from features.

        Args:
            features: (b, c, h, w).

        Returns:
            Logits and CAM in float32, and the features as they are.
        """
        # In float32 also under autocast: a CAM is small, and is compared with the gaze map.
        with torch.autocast(features.device.type, enabled=False):
            weight = self.weight.float()
            if self.reduction == "mean":
                weight = weight / weight.shape[1]
            cam = torch.einsum("bchw,kc->bkhw", features.float(), weight)
            logits = cam.mean(dim=(2, 3)) + self.bias.float()
        return CAMOutput(logits, cam, features)


def imagenet_statistics(in_channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation by which images are standardised by default.

    Args:
        in_channels: number of channels of the images.

    Returns:
        Mean and standard deviation of the pixels scaled to 0..1: ImageNet's own for three channels (RGB), otherwise
        those for grey images, once for all channels.
    """
    return (IMAGENET_MEAN, IMAGENET_STD) if in_channels == 3 else ((GREY_MEAN,), (GREY_STD,))


class CAMClassifier(nn.Module):
    """A feature extractor with a CAM head.

    Images may be integers, as prepared images are, or floats from 0 to 1. The model standardises them itself.

    Args:
        backbone: feature extractor; see :func:`ggcam.models.backbones.create_backbone`.
        num_classes: number of classes.
        reduction: reduction over channels in the CAM head, "sum" or "mean".
        mean: mean of the pixels after scaling to 0..1, which is subtracted: one for all channels, or one per channel.
            None takes that of ImageNet for the number of channels of the images; see :func:`imagenet_statistics`.
        std: standard deviation of the pixels, by which they are divided; likewise.
        scale_by: pixel value that is scaled to 1: "dtype" takes the largest value of the integer type (for floats, 1),
            "image" the largest value of each image, as in GG-CAM.
        head: head to use instead of a new :class:`CAMHead`.
    """

    _channel_mean: Tensor
    _channel_std: Tensor

    def __init__(
        self,
        backbone: FeatureExtractor,
        num_classes: int,
        reduction: Reduction = "sum",
        mean: Statistic | None = None,
        std: Statistic | None = None,
        scale_by: PixelScale = "dtype",
        head: CAMHead | None = None,
    ):
        super().__init__()
        self.backbone = backbone
        self.head = head or CAMHead(backbone.num_features, num_classes, reduction)
        self.mean = mean
        self.std = std
        self.scale_by: PixelScale = scale_by
        # Buffers, which move to the device once and not with each batch; not part of the weights.
        self.register_buffer("_channel_mean", _per_channel(mean, IMAGENET_MEAN), persistent=False)
        self.register_buffer("_channel_std", _per_channel(std, IMAGENET_STD), persistent=False)

    def forward(self, image: Shaped[Tensor, "b i H W"]) -> CAMOutput:
        """Compute logits and CAM from images.

        Args:
            image: (b, channels, H, W), integers or floats from 0 to 1.

        Returns:
            Logits (b, k), CAM (b, k, h, w) and features (b, c, h, w).
        """
        return self.head(self.backbone(self.standardise(image)))

    def standardise(self, image: Shaped[Tensor, "b i H W"]) -> Float[Tensor, "b i H W"]:
        """Scale pixels to 0..1, then subtract the mean and divide by the standard deviation.

        Args:
            image: (b, channels, H, W), integers or floats from 0 to 1.

        Returns:
            Floats of the same shape; a black image is scaled to 0.

        Raises:
            ValueError: the number of channels is not that of `mean` or `std`.
        """
        scaled = image.float()
        if self.scale_by == "image":
            scaled = scaled / scaled.amax(dim=(1, 2, 3), keepdim=True).clamp_min(torch.finfo(scaled.dtype).tiny)
        elif not image.is_floating_point():
            scaled = scaled / torch.iinfo(image.dtype).max
        channels = image.shape[1]
        mean = _for_channels(self.mean, self._channel_mean, GREY_MEAN, channels)
        std = _for_channels(self.std, self._channel_std, GREY_STD, channels)
        return (scaled - mean) / std


def _per_channel(value: Statistic | None, default: Sequence[float]) -> Float[Tensor, "i 1 1"]:
    """Return the values of the channels as a tensor that broadcasts over rows and columns."""
    if isinstance(value, int | float):
        value = (value,)
    return torch.tensor(default if value is None else tuple(value), dtype=torch.float32).reshape(-1, 1, 1)


def _for_channels(
    value: Statistic | None, per_channel: Float[Tensor, "i 1 1"], grey: float, channels: int
) -> float | Float[Tensor, "i 1 1"]:
    """Return what to subtract from, or divide by, images of a number of channels."""
    if value is None and channels != 3:
        return grey
    if isinstance(value, int | float):
        return value
    if value is not None and len(value) == 1:
        return value[0]
    if len(per_channel) != channels:
        raise ValueError(f"the model standardises images of {len(per_channel)} channels, got {channels}")
    return per_channel
