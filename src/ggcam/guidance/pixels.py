"""Images as floats, for the methods that change them or differentiate with respect to them."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


def as_floats(image: Shaped[Tensor, "b i H W"]) -> Float[Tensor, "b i H W"]:
    """Scale images of integers to 0..1, as :class:`ggcam.models.cam.CAMClassifier` does.

    Args:
        image: integers, or floats from 0 to 1.

    Returns:
        Floats; a copy, detached.
    """
    if image.is_floating_point():
        return image.detach().clone()
    return image.float() / torch.iinfo(image.dtype).max
