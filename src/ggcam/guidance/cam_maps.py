"""CAMs as the methods compare them with attention.

Published losses on Grad-CAM at the last features need no gradients here: with a CAM head, Grad-CAM (Selvaraju et al.,
ICCV 2017) is the CAM divided by the number of its cells, a factor that :func:`peak_scaled` removes.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

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


def smooth(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Blur maps with the binomial kernel of 3x3 cells, a Gaussian of 0.7 cells; borders are repeated.

    Args:
        maps: any maps.

    Returns:
        Maps of the same shape.
    """
    # Sums instead of a convolution, which autocast would compute in half precision.
    padded = functional.pad(maps[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 4


def centre_of_mass(density: Float[Tensor, "b h w"]) -> Float[Tensor, "b 2"]:
    """Compute the centre of mass of maps.

    Args:
        density: maps that sum to 1, or to 0.

    Returns:
        Row and column of each as fractions of the grid, 0 to 1; 0 for a map that sums to 0.
    """
    rows, columns = cell_centres(density)
    return torch.stack([(density.sum(dim=2) * rows).sum(dim=1), (density.sum(dim=1) * columns).sum(dim=1)], dim=1)


def cell_centres(maps: Float[Tensor, "b h w"]) -> tuple[Float[Tensor, " h"], Float[Tensor, " w"]]:
    """Return where the cells of maps are.

    Args:
        maps: any maps.

    Returns:
        Centre of each row and of each column, as a fraction of the grid's height and width.
    """
    rows, columns = ((torch.arange(side, device=maps.device) + 0.5) / side for side in maps.shape[1:])
    return rows, columns
