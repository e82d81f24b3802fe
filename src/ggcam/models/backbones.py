"""Feature extractors by name: CNNs and transformers of timm, and the networks of the original GG-CAM."""

from __future__ import annotations

from bisect import bisect_left
from difflib import get_close_matches
from functools import cache, partial
from pathlib import Path
from typing import Any

import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ggcam.errors import ConfigError, MissingFileError, join_limited
from ggcam.models import original, original_weights
from ggcam.models.backbone_limits import find_limit
from ggcam.models.depthwise import speed_up_dilated_depthwise
from ggcam.models.grid import feature_shape, fit_to_grid, size_in_whole_cells
from ggcam.models.hub import check_download, check_tag
from ggcam.models.initial_weights import InitialWeights, load_weight_file, timm_source
from ggcam.models.original_nets import OriginalBackbone
from ggcam.models.xrv import fetch_weights, find_xrv_network
from ggcam.utils.aliases import canonical_backbone

HINT = "choose another network; `ggcam backbones` lists them"
"""How to go on without a network that cannot be a backbone."""


class TimmBackbone(nn.Module):
    """The trunk of a timm network, which maps images (b, i, H, W) to features (b, c, h, w).

    The cells of the grid are equal parts of the image: h is H / stride, rounded up. An image that is not a multiple of
    the stride is enlarged to one (see :mod:`ggcam.models.grid`).

    Args:
        trunk: timm network without pooling and classifier.
        num_stages: number of feature levels to keep, from the first one on; None keeps all.
        multiple_px: images are enlarged to a multiple of this; None is the stride.

    Attributes:
        num_features: number of channels c.
        stride: side of a cell in pixels of the enlarged image.
        border_px: number of rows and of columns that are added around the image, for a network that does not pad its
            convolutions.
        initial_weights: which weights the network started from, and what did not fit; None for random ones.
        frozen: layers that stay in evaluation mode; see :func:`ggcam.models.freezing.freeze_stages`.
    """

    initial_weights: InitialWeights | None = None
    frozen: tuple[nn.Module, ...] = ()

    def __init__(self, trunk: nn.Module, num_stages: int | None = None, multiple_px: int | None = None):
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
        self.multiple_px = multiple_px or self.stride
        self.border_px = 0
        self._prefix_tokens: int = getattr(timm_trunk, "num_prefix_tokens", 0)
        self._channels_last: bool = getattr(timm_trunk, "output_fmt", "NCHW") == "NHWC"

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Store only the activations between blocks, and recompute the others in the backward pass.

        Args:
            enable: whether to do so.
        """
        self.trunk.set_grad_checkpointing(enable)  # pyright: ignore[reportCallIssue]

    def train(self, mode: bool = True) -> TimmBackbone:
        """Set training or evaluation mode, except for frozen layers.

        Args:
            mode: whether to train.

        Returns:
            The backbone.
        """
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def forward(self, image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b c h w"]:
        """Compute features on a grid, without a transformer's class and register tokens.

        Args:
            image: (b, i, H, W), standardised.

        Returns:
            Features of shape (b, c, h, w).
        """
        image = fit_to_grid(image, self.multiple_px, self.border_px)
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
    *,
    output_stride: int | None = None,
    pretrained: bool = False,
    weights: Path | None = None,
    num_stages: int | None = None,
) -> TimmBackbone | OriginalBackbone:
    """Build the trunk of a timm network or of an original GG-CAM network.

    Args:
        name: name of a timm network, such as "resnet50" or "vit_small_patch16_224", of an original one, such as
            "original-resnet-50", or of one of torchxrayvision's, such as "xrv:densenet121-res224-all".
        image_size: height and width of the images in pixels; only transformers depend on it.
        in_channels: number of image channels, 1 for X-rays. Pretrained weights of the first layer are summed over the
            colours. The original networks accept both 1 and 3.
        output_stride: 8 or 16 refine the grid of a CNN by dilation; None keeps its native stride, mostly 32.
        pretrained: whether to download the weights that timm provides (mostly trained on ImageNet), or those of
            torchxrayvision unless they are in its cache.
        weights: local file with weights of this network, `.pth` or `.safetensors`; for an original network its
            `NET.pt`. What does not fit is listed in the backbone's `initial_weights`; see
            :mod:`ggcam.models.initial_weights`.
        num_stages: number of feature levels to keep, from the first one on, as timm counts them; None keeps all. A CNN
            without its last stage is smaller and has a finer grid. The first level of a CNN is its stem or first stage
            (4 of ResNet-18's 5 levels end with its third stage); the levels of a transformer are its blocks.

    Returns:
        The backbone, in training mode.

    Raises:
        ConfigError: the network does not exist or does not support an option, or its weights cannot be downloaded, or
            the file `weights` holds those of another network.
        MissingFileError: the file `weights` does not exist.
        WeightsError: the file `weights` is not a `NET.pt` of this original network.

    Example:
        >>> import torch
        >>> backbone = create_backbone("resnet18", (256, 224), num_stages=3)
        >>> backbone(torch.rand(1, 1, 256, 224)).shape
        torch.Size([1, 128, 32, 28])
    """
    name = canonical_backbone(name)
    network = original.find_network(name)
    if network is not None:
        original.check_options(output_stride, pretrained, num_stages)
        if weights is None:
            return network.family.create(network.type)
        backbone = original_weights.load_as(network, weights).backbone
        assert isinstance(backbone, OriginalBackbone)
        return backbone
    xrv_network = find_xrv_network(name)
    if xrv_network is not None:
        if pretrained and weights is None:
            weights = fetch_weights(xrv_network)
        name = xrv_network.timm_name
    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=5, cutoff=0.5)
        raise ConfigError(
            f"there is no network {name!r} in timm",
            where="--backbone",
            expected=f"one of {join_limited(close)}" if close else "a name from timm.list_models()",
            hint="for weights from another repository, pass the name of its architecture, and its file with --weights"
            if ":" in name
            else None,
        )
    check_tag(name)
    limit = find_limit(name)
    if limit is not None and not limit.allows(*image_size):
        raise ConfigError(
            f"{name} cannot be the backbone for these images: {limit.reason}",
            where="--backbone",
            got=f"images of {image_size[0]}x{image_size[1]} pixels",
            hint=HINT,
        )
    if weights is not None and not weights.is_file():
        raise MissingFileError(
            "the weight file does not exist",
            where=weights,
            hint="run the command in the folder of the file, or pass its path with --weights",
        )
    options: dict[str, Any] = {"in_chans": in_channels, "num_classes": 0}
    if output_stride is not None:
        options["output_stride"] = output_stride
    multiple_px = None
    config = timm.get_pretrained_cfg(name)
    if config is not None and config.fixed_input_size:
        with torch.device("meta"):  # without values, which takes no time
            multiple_px = _create_trunk(name, options).feature_info[-1]["reduction"]
        options["img_size"] = size_in_whole_cells(image_size, multiple_px)
    trunk = _create_trunk(name, options, pretrained and weights is None)
    num_levels = len(trunk.feature_info)
    if num_stages is not None and not 1 <= num_stages <= num_levels:
        raise ConfigError(
            f"{name} does not have this number of feature levels",
            where="--num-stages",
            expected=f"1 to {num_levels}",
            got=num_stages,
        )
    initial_weights = None
    if weights is not None:
        with torch.device("meta"):
            kept = TimmBackbone(_create_trunk(name, options), num_stages, multiple_px).trunk.state_dict()
        initial_weights = load_weight_file(trunk, name, weights, in_channels, kept)
    elif pretrained:
        initial_weights = InitialWeights(timm_source(trunk))
    backbone = TimmBackbone(trunk, num_stages, multiple_px)
    backbone.initial_weights = initial_weights
    _set_border(backbone, name, image_size, in_channels)
    return backbone


def _create_trunk(name: str, options: dict[str, Any], pretrained: bool = False) -> Any:
    """Create a timm network without pooling and classifier; whatever prevents it is an error in words."""
    if pretrained:
        check_download(name)
    create = partial(timm.create_model, name, pretrained=pretrained, **options)
    try:
        try:
            return create(global_pool="")
        except AssertionError:  # a few networks are not built without pooling, which is dropped with their head
            trunk = create()
            trunk.head = nn.Identity()
            return trunk
    except Exception as error:  # the code of a thousand networks raises anything
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]
        if pretrained and not isinstance(error, (TypeError, NotImplementedError, AssertionError)):
            raise ConfigError(
                f"the weights of {name} could not be downloaded",
                where="--pretrained",
                got=reason,
                hint="pass a file of them with --weights, or train from scratch",
            ) from error
        refused = [f"{option}={options[option]}" for option in ("output_stride", "img_size") if option in options]
        raise ConfigError(
            f"{name} cannot be built with these options: {reason}",
            where="--backbone, --output-stride, --size",
            got=", ".join(refused) or None,
            hint="leave --output-stride out, or choose a network with dilation (a ResNet, ConvNeXt or EfficientNet)"
            if "output_stride" in options
            else HINT,
        ) from error


def _set_border(backbone: TimmBackbone, name: str, image_size: tuple[int, int], in_channels: int) -> None:
    """Set the smallest border with which the backbone returns one feature vector per cell of the image.

    Raises:
        ConfigError: there is none: the network returns something else than a grid, or fails at this image size.
    """
    enlarged = size_in_whole_cells(image_size, backbone.multiple_px)
    expected = (1, backbone.num_features, *(side // backbone.stride for side in enlarged))

    @cache  # each shape costs as much time as loading the weights
    def shape(border_px: int) -> tuple[int, ...]:
        backbone.border_px = border_px
        return feature_shape(backbone, image_size, in_channels)

    def is_large_enough(border_px: int) -> bool:
        try:
            return all(ours >= theirs for ours, theirs in zip(shape(border_px), expected, strict=True))
        except Exception:  # too small for the network, or not a network that returns a grid
            return False

    least = _unpadded_px(backbone.trunk)
    candidates = range(least, least + 2 * backbone.stride)
    smallest = least if is_large_enough(least) else least + bisect_left(candidates, True, key=is_large_enough)
    backbone.border_px = smallest
    try:
        found: object = shape(smallest)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"[:300]
    if found != expected:
        raise ConfigError(
            f"{name} does not return one feature vector per cell of {backbone.stride}x{backbone.stride} pixels",
            where="--backbone",
            expected=f"features of shape {expected} from an image of {image_size[0]}x{image_size[1]}",
            got=found,
            hint=HINT,
        )


def _unpadded_px(trunk: nn.Module) -> int:
    """Return the number of rows, and of columns, at the end of an even image that the first layer would ignore."""
    first = next((module for module in trunk.modules() if isinstance(module, nn.Conv2d)), None)
    if type(first) is not nn.Conv2d or first.padding != (0, 0):  # a subclass of timm's may pad by itself
        return 0
    return max(0, first.kernel_size[0] - first.stride[0])
