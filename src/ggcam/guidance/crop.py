"""`gaze-crop`: in training, some images are replaced by the part that was looked at."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional

from ggcam.gaze.regions import Attention
from ggcam.guidance.base import Guidance, Network
from ggcam.guidance.cam_maps import cell_centres, centre_of_mass
from ggcam.guidance.options import Fraction
from ggcam.guidance.pairs import Labels
from ggcam.guidance.pixels import as_floats
from ggcam.models.cam import CAMOutput

_GRID = (32, 32)
"""Cells on which the attention is drawn to find its centre and spread."""


class GazeCropGuidance(Guidance):
    """Augmentation: some training images are replaced by the part where the attention is; no loss is added.

    After Rong et al., "Human Attention in Fine-grained Classification" (GAT, BMVC 2021), who train on the image and on
    its crop. The crop is centred on the attention, reaches two standard deviations of it to each side, covers at least
    `smallest` of each side of the image, and stays inside it.

    Args:
        weight: not used.
        probability: probability that a case with attention is cropped.
        smallest: smallest height and width of a crop as a fraction of the image's.
    """

    source = "Rong et al., BMVC 2021"

    def __init__(self, weight: float = 1.0, probability: Fraction = 0.5, smallest: Fraction = 0.5):
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
        grid = self._crop_grid(density, pixels.shape)
        crop = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
        return network(torch.where(chosen[:, None, None, None], crop, pixels))

    def _crop_grid(self, density: Float[Tensor, "b h w"], shape: torch.Size) -> Float[Tensor, "b H W 2"]:
        """Return where each pixel of the crops lies in the images, for `grid_sample`."""
        centre = centre_of_mass(density)  # row and column, 0 to 1
        rows, columns = cell_centres(density)
        spread_y = (density.sum(dim=2) * (rows - centre[:, :1]).square()).sum(dim=1)
        spread_x = (density.sum(dim=1) * (columns - centre[:, 1:]).square()).sum(dim=1)
        half = (2 * torch.stack([spread_y, spread_x], dim=1).sqrt()).clamp(self.smallest / 2, 0.5)
        centre = torch.minimum(torch.maximum(centre, half), 1 - half)  # the crop stays inside the image
        affine = torch.zeros(len(density), 2, 3, device=density.device)
        affine[:, 0, 0], affine[:, 1, 1] = 2 * half[:, 1], 2 * half[:, 0]
        affine[:, 0, 2], affine[:, 1, 2] = 2 * centre[:, 1] - 1, 2 * centre[:, 0] - 1
        return functional.affine_grid(affine, list(shape), align_corners=False)
