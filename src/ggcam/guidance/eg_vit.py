"""`eg-vit`: a vision transformer that, in training, sees only the patches that were looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from ggcam.errors import ConfigError
from ggcam.gaze.regions import Attention
from ggcam.guidance.base import Guidance, Network
from ggcam.guidance.options import Fraction
from ggcam.guidance.pairs import Labels
from ggcam.models.cam import CAMClassifier, CAMOutput

KEPT = 0.327
"""Fraction of the patches that stay: 64 of 196."""


class EyeGazeViTGuidance(Guidance):
    """In some batches the transformer sees only the attended patches until its last block; no loss is added.

    Ma et al., "Eye-gaze-guided Vision Transformer for Rectifying Shortcut Learning" (EG-ViT, IEEE TMI 2023). The hidden
    patches join again before the last block, as they were before the first one. In such a batch a case without
    attention keeps random patches. The paper smooths labels by 0.1, as --label-smoothing does.

    Args:
        weight: not used.
        probability: probability that a batch loses patches.
        kept: fraction of the patches that stay; 64 of 196 in the paper.
    """

    source = "Ma et al., IEEE TMI 2023"
    needs = "a plain vision transformer (vit_*, deit_*)"
    excludes = ("compile", "checkpointing")

    def __init__(self, weight: float = 1.0, probability: Fraction = 0.5, kept: Fraction = KEPT):
        super().__init__(weight)
        self.probability = probability
        self.kept = kept
        self._backbone: list[Any] = []  # in a list, so that the network's parameters are not the guidance's, too

    def initialize(self, model: CAMClassifier) -> None:
        """Remember the transformer, whose tokens :meth:`forward_pass` selects.

        Args:
            model: the network to train; it is not changed.

        Raises:
            ConfigError: the network is not a plain vision transformer.
        """
        from timm.models.vision_transformer import VisionTransformer

        trunk = getattr(model.backbone, "trunk", None)
        if not isinstance(trunk, VisionTransformer) or len(trunk.blocks) < 2:
            raise ConfigError(
                "guidance eg-vit selects the patches of a vision transformer",
                where="--backbone",
                expected=self.needs,
                got=type(trunk or model.backbone).__name__,
            )
        self._backbone = [model.backbone]

    def forward_pass(
        self, network: Network, image: Shaped[Tensor, "b i H W"], labels: Labels, attention: Attention
    ) -> CAMOutput:
        """Run the network, in some batches on the attended patches; see :meth:`Guidance.forward_pass`."""
        if torch.rand(()).item() >= self.probability:
            return network(image)
        (backbone,) = self._backbone
        grid = (math.ceil(image.shape[-2] / backbone.stride), math.ceil(image.shape[-1] / backbone.stride))
        density = attention.density(grid).flatten(1)
        order = density + 1e-9 * torch.rand_like(density)  # random among patches that nobody looked at
        count = max(1, round(self.kept * density.shape[1]))
        keep = order.argsort(dim=1, descending=True)[:, :count].sort(dim=1).values
        with _only_tokens(backbone.trunk, keep):
            return network(image)


@contextmanager
def _only_tokens(trunk: Any, keep: Shaped[Tensor, "b n"]) -> Iterator[None]:
    """Hide all other patch tokens from the blocks of a transformer, except from the last one."""
    prefix = trunk.num_prefix_tokens
    every: list[Tensor] = []

    def hide(_module: object, _arguments: object, tokens: Tensor) -> Tensor:
        every.append(tokens)
        patches = tokens[:, prefix:].gather(1, keep[..., None].expand(-1, -1, tokens.shape[2]))
        return torch.cat([tokens[:, :prefix], patches], dim=1)

    def join(_module: object, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        seen, rest = arguments[0], every.pop()
        index = keep[..., None].expand(-1, -1, seen.shape[2])
        patches = rest[:, prefix:].to(seen.dtype).scatter(1, index, seen[:, prefix:])
        return (torch.cat([seen[:, :prefix], patches], dim=1), *arguments[1:])

    hooks = [trunk.norm_pre.register_forward_hook(hide), trunk.blocks[-1].register_forward_pre_hook(join)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
