"""CAMs as the methods compare them with attention.

Published losses on Grad-CAM at the last features need no gradients here: with a CAM head, Grad-CAM (Selvaraju et al.,
ICCV 2017) is the CAM divided by the number of its cells, a factor that :func:`peak_scaled` removes.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_TINY = 1e-12


def peak_scaled(cam: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Keep the evidence for the class (above 0) and divide it by its maximum.

    Args:
        cam: CAMs.

    Returns:
        Maps from 0 to 1; all zero where there is no evidence for the class.
    """
    positive = cam.clamp_min(0)
    peak = positive.amax(dim=(1, 2), keepdim=True)
    return positive / torch.where(peak > _TINY, peak, 1)


def min_max_scaled(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Scale maps from their minimum and maximum to 0 and 1.

    Args:
        maps: any maps.

    Returns:
        Maps from 0 to 1; a constant map becomes 0.
    """
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / torch.where(high - low > _TINY, high - low, 1)


def attended(density: Float[Tensor, "b h w"], threshold: float) -> Bool[Tensor, "b h w"]:
    """Find the cells with attention.

    Args:
        density: attention maps; all zero for a case without any.
        threshold: fraction of the map's maximum from which on a cell counts.

    Returns:
        True where there is attention; nowhere for a case without any.
    """
    return (density > 0) & (density >= threshold * density.amax(dim=(1, 2), keepdim=True))
