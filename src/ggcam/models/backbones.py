"""Feature extractors by name: CNNs and transformers of timm, and the networks of the original GG-CAM."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
from jaxtyping import Float
from timm.models import load_state_dict
from torch import Tensor, nn

from ggcam.errors import ConfigError, MissingFileError, join_limited
from ggcam.models import original, original_weights
from ggcam.models.depthwise import speed_up_dilated_depthwise
from ggcam.models.original_nets import OriginalBackbone


class TimmBackbone(nn.Module):
    """The trunk of a timm network, which maps images (b, i, H, W) to features (b, c, h, w).

    Args:
        trunk: timm network without pooling and classifier.
        num_stages: number of feature levels to keep, from the first one on; None keeps all.

    Attributes:
        num_features: number of channels c.
        stride: H / h, in pixels.
    """

    def __init__(self, trunk: nn.Module, num_stages: int | None = None):
        super().__init__()
        speed_up_dilated_depthwise(trunk)
        for module in trunk.modules():
            if isinstance(module, nn.SiLU):
                module.inplace = False  # the gradient needs the input, which autograd would copy first if in place
        self.trunk = trunk
        timm_trunk: Any = trunk
        self.num_stages = num_stages
        if num_stages is not None:
            timm_trunk.prune_intermediate_layers([num_stages - 1], prune_norm=False, prune_head=True)
        last = timm_trunk.feature_info[-1 if num_stages is None else num_stages - 1]
        self.num_features: int = timm_trunk.num_features if num_stages is None else last["num_chs"]
        self.stride: int = last["reduction"]
        self._prefix_tokens: int = getattr(timm_trunk, "num_prefix_tokens", 0)
        self._channels_last: bool = getattr(timm_trunk, "output_fmt", "NCHW") == "NHWC"

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Store only the activations between blocks, and recompute the others in the backward pass.

        Args:
            enable: whether to do so.
        """
        self.trunk.set_grad_checkpointing(enable)  # pyright: ignore[reportCallIssue]

    def forward(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Compute features on a grid, without a transformer's class and register tokens.

        Args:
            image: (b, i, H, W), standardised.

        Returns:
            Features of shape (b, c, h, w).
        """
        if self.num_stages is not None:
            (features,) = self.trunk.forward_intermediates(  # pyright: ignore[reportCallIssue]
                image, indices=[self.num_stages - 1], norm=True, stop_early=True, intermediates_only=True
            )
            return features
        features = self.trunk.forward_features(image)  # pyright: ignore[reportCallIssue]
        if features.ndim == 3:
            tokens = features[:, self._prefix_tokens :].transpose(1, 2)
            return tokens.unflatten(2, (image.shape[2] // self.stride, image.shape[3] // self.stride))
        return features.permute(0, 3, 1, 2) if self._channels_last else features


def create_backbone(
    name: str,
    image_size: tuple[int, int],
    in_channels: int = 1,
    output_stride: int | None = None,
    pretrained: bool = False,
    weights: Path | None = None,
    num_stages: int | None = None,
) -> TimmBackbone | OriginalBackbone:
    """Build the trunk of a timm network or of an original GG-CAM network.

    Args:
        name: name of a timm network, such as "resnet50" or "vit_small_patch16_224", or of an original one, such as
            "original-resnet-50".
        image_size: height and width of the images in pixels; only transformers depend on it.
        in_channels: number of image channels, 1 for X-rays. Pretrained weights of the first layer are summed over the
            colours. The original networks accept both 1 and 3.
        output_stride: 8 or 16 refine the grid of a CNN by dilation; None keeps its native stride, mostly 32.
        pretrained: whether to download the weights that timm provides (mostly trained on ImageNet).
        weights: local file with such weights, `.pth` or `.safetensors`; for an original network its `NET.pt`.
        num_stages: number of feature levels to keep, from the first one on, as timm counts them; None keeps all. A CNN
            without its last stage is smaller and has a finer grid. The first level of a CNN is its stem or first stage
            (4 of ResNet-18's 5 levels end with its third stage); the levels of a transformer are its blocks.

    Returns:
        The backbone, in training mode.

    Raises:
        ConfigError: the network does not exist or does not support an option, or its weights cannot be downloaded or
            do not fit.
        MissingFileError: the file `weights` does not exist.
        WeightsError: the file `weights` is not a `NET.pt` of this original network.

    Example:
        >>> import torch
        >>> backbone = create_backbone("resnet18", (256, 224), num_stages=3)
        >>> backbone(torch.rand(1, 1, 256, 224)).shape
        torch.Size([1, 128, 32, 28])
    """
    network = original.find_network(name)
    if network is not None:
        original.check_options(output_stride, pretrained, num_stages)
        if weights is None:
            return network.family.create(network.type)
        backbone = original_weights.load_as(network, weights).backbone
        assert isinstance(backbone, OriginalBackbone)
        return backbone
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=5, cutoff=0.5)
        raise ConfigError(
            f"there is no network {name!r} in timm",
            where="--backbone",
            expected=f"one of {join_limited(close)}" if close else "a name from timm.list_models()",
        )
    if weights is not None and not weights.is_file():
        raise MissingFileError("the weight file does not exist", where=weights)
    options: dict[str, Any] = {"in_chans": in_channels, "num_classes": 0, "global_pool": ""}
    if output_stride is not None:
        options["output_stride"] = output_stride
    config = timm.get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        options["img_size"] = image_size
    if weights is not None:
        options["pretrained_cfg_overlay"] = {"file": str(weights)}
    try:
        trunk = timm.create_model(name, pretrained=pretrained or weights is not None, **options)
    except (TypeError, NotImplementedError, AssertionError) as error:
        raise ConfigError(
            f"{name} cannot be built with these options: {error}",
            where="--backbone, --output-stride, --size",
            got=f"output_stride={output_stride}, image_size={image_size[0]}x{image_size[1]}",
            hint="leave --output-stride out, or choose a network with dilation (a ResNet, ConvNeXt or EfficientNet)",
        ) from error
    except Exception as error:
        if not (pretrained or weights):
            raise
        raise ConfigError(
            f"the weights of {name} could not be {'loaded' if weights else 'downloaded'}",
            where=weights or "--pretrained",
            got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300],
            hint="pass another file with --weights, or train from scratch",
        ) from error
    if weights is not None:
        _check_overlap(trunk, weights, name)
    num_levels = len(trunk.feature_info)  # pyright: ignore[reportArgumentType]
    if num_stages is not None and not 1 <= num_stages <= num_levels:
        raise ConfigError(
            f"{name} does not have this number of feature levels",
            where="--num-stages",
            expected=f"1 to {num_levels}",
            got=num_stages,
        )
    return TimmBackbone(trunk, num_stages)


def _check_overlap(trunk: nn.Module, weights: Path, name: str) -> None:
    """Raise ConfigError if fewer than half of the parameters' names are in the file.

    timm loads the parameters that fit and only warns about the others.
    """
    expected, found = set(trunk.state_dict()), set(load_state_dict(str(weights)))
    if len(expected & found) < len(expected) / 2:
        raise ConfigError(
            f"the file does not hold the weights of {name}",
            where=weights,
            expected=f"names such as {join_limited(sorted(expected), 3)}",
            got=f"{len(expected & found)} of {len(expected)} names; others such as "
            f"{join_limited(sorted(found - expected), 3)}",
        )
