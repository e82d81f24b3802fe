"""A name -> a feature extractor that yields a grid of features: timm's CNNs and transformers, and GG-CAM's own."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
from jaxtyping import Float
from timm.models import load_state_dict
from torch import Tensor, nn

from ggcam.errors import ConfigError, MissingFileError, join_limited
from ggcam.models import original
from ggcam.models.depthwise import quicken_depthwise
from ggcam.models.original_nets import OriginalBackbone


class TimmBackbone(nn.Module):
    """The trunk of a timm network: images (b, i, H, W) -> features (b, c, h, w).

    Args:
        trunk: the network, without pooling and classifier.
        num_stages: how many of its levels of features to keep; None keeps all.

    Attributes:
        num_features: c.
        stride: H / h, in pixels.
    """

    def __init__(self, trunk: nn.Module, num_stages: int | None = None):
        super().__init__()
        quicken_depthwise(trunk)
        for module in trunk.modules():
            if isinstance(module, nn.SiLU):
                module.inplace = False  # its gradient needs its input: in place, autograd would copy that first
        self.trunk = trunk
        described: Any = trunk
        self.num_stages = num_stages
        if num_stages is not None:
            described.prune_intermediate_layers([num_stages - 1], prune_norm=False, prune_head=True)
        last = described.feature_info[-1 if num_stages is None else num_stages - 1]
        self.num_features: int = described.num_features if num_stages is None else last["num_chs"]
        self.stride: int = last["reduction"]
        self._prefix_tokens: int = getattr(described, "num_prefix_tokens", 0)
        self._channels_last: bool = getattr(described, "output_fmt", "NCHW") == "NHWC"

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only what passes from block to block, and compute the rest again on the way back."""
        self.trunk.set_grad_checkpointing(enable)  # pyright: ignore[reportCallIssue]

    def forward(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Images -> features on a grid; a transformer's class and register tokens are left out."""
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
    """Build the trunk of any timm network, or of one of the original GG-CAM's.

    Args:
        name: as timm knows it, such as "resnet50" or "vit_small_patch16_224"; or "original-resnet-50" and the like.
        image_size: height and width of the images in pixels (transformers lay out their tokens for it).
        in_channels: 1 for X-rays; pretrained weights of the first layer are summed over the colours. The original's
            networks take 1 and 3.
        output_stride: 8 or 16 make the grid of a CNN finer than its native 32, by dilation.
        pretrained: fetch the weights that timm names (ImageNet's, mostly).
        weights: a local file of such weights instead, `.pth` or `.safetensors`; for a network of the original's, its
            `NET.pt`.
        num_stages: how many of the levels of features that timm counts are kept, from the first on; None keeps all. A CNN
            without its last stage is smaller and has a finer grid. (A CNN's first level is its stem or first stage:
            4 of ResNet-18's 5 end with its third stage. A transformer's levels are its blocks.)

    Raises:
        ConfigError: no such network, or it can't do what is asked, or its weights can't be had or don't fit.
        MissingFileError: `weights` is not there.
        WeightsError: `weights` is no `NET.pt` of that network.
    """
    network = original.find(name)
    if network is not None:
        original.check_plain(output_stride, pretrained, num_stages)
        if weights is None:
            return network.family.create(network.type)
        backbone = original.load_as(network, weights).backbone
        assert isinstance(backbone, OriginalBackbone)
        return backbone
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=5, cutoff=0.5)
        raise ConfigError(
            f"timm knows no network {name!r}",
            where="--backbone",
            expected=f"one of {join_limited(near)}" if near else "a name from timm.list_models()",
        )
    if weights is not None and not weights.is_file():
        raise MissingFileError("the file of weights is not there", where=weights)
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
            f"{name} cannot be built this way: {error}",
            where="--backbone, --output-stride, --size",
            got=f"output_stride={output_stride}, image_size={image_size[0]}x{image_size[1]}",
            hint="leave --output-stride out, or choose a network that can dilate (a ResNet, ConvNeXt or EfficientNet)",
        ) from error
    except Exception as error:
        if not (pretrained or weights):
            raise
        raise ConfigError(
            f"the weights of {name} could not be had: {str(error).splitlines()[0][:300]}",
            where=weights or "--pretrained",
            hint="pass a file that fits with --weights FILE, or train from scratch",
        ) from error
    if weights is not None:
        _check_overlap(trunk, weights, name)
    most = len(trunk.feature_info)  # pyright: ignore[reportArgumentType]
    if num_stages is not None and not 1 <= num_stages <= most:
        raise ConfigError(
            f"{name} has not so many levels of features",
            where="--num-stages",
            expected=f"1 to {most}",
            got=num_stages,
        )
    return TimmBackbone(trunk, num_stages)


def _check_overlap(trunk: nn.Module, weights: Path, name: str) -> None:
    """Timm loads what fits and only warns of the rest, so a file of another network would go unnoticed."""
    wanted, found = set(trunk.state_dict()), set(load_state_dict(str(weights)))
    if len(wanted & found) < len(wanted) / 2:
        raise ConfigError(
            f"the file holds the weights of another network than {name}",
            where=weights,
            expected=f"names such as {join_limited(sorted(wanted), 3)}",
            got=f"{len(wanted & found)} of {len(wanted)} names, and such as {join_limited(sorted(found - wanted), 3)}",
        )
