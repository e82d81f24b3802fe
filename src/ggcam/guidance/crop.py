"""`gaze-crop`: in training, some images are replaced by the part that was looked at."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from ggcam.gaze.regions import Attention
from ggcam.guidance.base import Guidance, Network
from ggcam.guidance.consistency import centre_of_mass
from ggcam.guidance.pairs import Labels
from ggcam.guidance.rrr import as_floats
from ggcam.models.cam import CAMOutput

_GRID = (32, 32)


class GazeCropGuidance(Guidance):
    """Attention as augmentation: half of the cases are enlarged to where the attention is; there is no other loss.

    After Rong et al., "Human Attention in Fine-grained Classification" (GAT, BMVC 2021), which trains on the image and
    on its crop. The crop is centred on the attention and reaches two standard deviations to each side, but covers at
    least `smallest` of the image's sides.

    Args:
        weight: not used.
        probability: fraction of the cases with attention that are cropped, in each batch.
        smallest: smallest side of a crop as a fraction of the image's.
    """

    def __init__(self, weight: float = 1.0, probability: float = 0.5, smallest: float = 0.5):
        super().__init__(weight)
        self.probability = probability
        self.smallest = smallest

    def forward_pass(
        self, network: Network, image: Shaped[Tensor, "b i H W"], labels: Labels, attention: Attention
    ) -> CAMOutput:
        """Run the network on the images, some of them cropped; see :meth:`Guidance.forward_pass`."""
        density = attention.density(_GRID)
        chosen = torch.rand(len(image), device=image.device) < self.probability
        chosen &= density.sum(dim=(1, 2)) > 0
        pixels = as_floats(image)
        crop = functional.grid_sample(pixels, self._crop_grid(density, pixels.shape), align_corners=False)
        return network(torch.where(chosen[:, None, None, None], crop, pixels))

    def _crop_grid(self, density: Float[Tensor, "b h w"], shape: torch.Size) -> Float[Tensor, "b H W 2"]:
        """Return where each pixel of the crops lies in the images, for `grid_sample`."""
        centre = centre_of_mass(density)  # row and column, 0 to 1
        rows, columns = ((torch.arange(side, device=density.device) + 0.5) / side for side in density.shape[1:])
        spread_y = (density.sum(dim=2) * (rows - centre[:, :1]).square()).sum(dim=1)
        spread_x = (density.sum(dim=1) * (columns - centre[:, 1:]).square()).sum(dim=1)
        half = (2 * torch.stack([spread_y, spread_x], dim=1).sqrt()).clamp(self.smallest / 2, 0.5)
        centre = torch.minimum(torch.maximum(centre, half), 1 - half)  # the crop stays inside the image
        affine = torch.zeros(len(density), 2, 3, device=density.device)
        affine[:, 0, 0], affine[:, 1, 1] = 2 * half[:, 1], 2 * half[:, 0]
        affine[:, 0, 2], affine[:, 1, 2] = 2 * centre[:, 1] - 1, 2 * centre[:, 0] - 1
        return functional.affine_grid(affine, list(shape), align_corners=False)
