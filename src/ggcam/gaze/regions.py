"""The marked regions of a batch of cases (boxes, ellipses, masks), and attention that is gaze or regions."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from ggcam.gaze.batch import GazeBatch


@runtime_checkable
class Attention(Protocol):
    """What guides CAMs: :class:`GazeBatch`, :class:`RegionBatch` or :class:`GazeElseRegions`."""

    def density(self, grid: tuple[int, int]) -> Float[Tensor, "b h w"]:
        """Draw the attention map of each case; see :meth:`GazeBatch.density`."""
        ...

    def for_labels(self, case: Int[Tensor, " m"], label: Int[Tensor, " m"]) -> Attention:
        """Select the attention that belongs to labels of cases; see :meth:`GazeBatch.for_labels`."""
        ...


class RegionBatch(NamedTuple):
    """The marked regions of a batch of cases, as maps of the image at a lower resolution.

    Attributes:
        maps: (b, r, h, w), >= 0: how much of each cell a region covers; all zero where padded.
        label: (b, r), index of the class that each region belongs to; -1 for one that belongs to none, and therefore to
            every label of its case.

    Example:
        >>> left, right = torch.tensor([1.0, 0.0]).expand(4, 2), torch.tensor([0.0, 1.0]).expand(4, 2)
        >>> regions = RegionBatch(torch.stack([left, right])[None], torch.tensor([[0, 1]]))
        >>> regions.for_labels(torch.tensor([0]), torch.tensor([1])).density((2, 2))
        tensor([[[0.0000, 0.5000],
                 [0.0000, 0.5000]]])
    """

    maps: Float[Tensor, "b r h w"]
    label: Int[Tensor, "b r"]

    def density(self, grid: tuple[int, int]) -> Float[Tensor, "b h w"]:
        """Draw the attention map of each case. Where regions overlap, they add up.

        Args:
            grid: height and width of the maps in cells.

        Returns:
            Maps that sum to 1; all zero for a case without regions.
        """
        density = functional.interpolate(self.maps.sum(dim=1, keepdim=True), grid, mode="area")[:, 0]
        total = density.sum(dim=(1, 2), keepdim=True)
        return density / torch.where(total > 0, total, 1)

    def for_labels(self, case: Int[Tensor, " m"], label: Int[Tensor, " m"]) -> RegionBatch:
        """Select the regions that belong to labels of cases, for m pairs of a case and a class.

        Args:
            case: position of the case in this batch, for each pair.
            label: index of the class, for each pair.

        Returns:
            A batch of m rows: the regions of the class, and those that belong to no class; others are all zero.
        """
        own = self.label[case]
        applies = (own == label[:, None]) | (own == -1)
        return RegionBatch(self.maps[case] * applies[..., None, None], own)


class GazeElseRegions(NamedTuple):
    """Attention that is gaze where there is any, otherwise the marked regions.

    Attributes:
        gaze: gaze of the cases.
        regions: regions of the same cases.
    """

    gaze: GazeBatch
    regions: RegionBatch

    def density(self, grid: tuple[int, int]) -> Float[Tensor, "b h w"]:
        """Draw the attention map of each case.

        Args:
            grid: height and width of the maps in cells.

        Returns:
            Maps that sum to 1; all zero for a case with neither gaze nor regions.
        """
        gaze = self.gaze.density(grid)
        has_gaze = gaze.sum(dim=(1, 2), keepdim=True) > 0
        return torch.where(has_gaze, gaze, self.regions.density(grid))

    def for_labels(self, case: Int[Tensor, " m"], label: Int[Tensor, " m"]) -> GazeElseRegions:
        """Select the attention that belongs to labels of cases, for m pairs of a case and a class.

        Args:
            case: position of the case in this batch, for each pair.
            label: index of the class, for each pair.

        Returns:
            A batch of m rows.
        """
        return GazeElseRegions(self.gaze.for_labels(case, label), self.regions.for_labels(case, label))
