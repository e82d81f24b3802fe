"""What the dataset and its loaders deliver: a sample of one case, and a batch of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.utils.data import default_collate

from ggcam.data.augment import Augmentation

FILLER_ROW = -1
"""`row` of a sample that only fills up the share of a process in a distributed run."""


class Sample(NamedTuple):
    """One case as tensors.

    Attributes:
        image: (1, H, W), or (3, H, W) for RGB; uint8 or uint16.
        label: (), index of the class; in multi-label data (k,), 1, 0 or NaN (unknown) for each class.
        points_px: (n, 2), x_px and y_px of each fixation in the image.
        duration_s: (n,), duration of each fixation in seconds.
        px_per_degree: (n, 2), pixels per degree of visual angle along x and y; NaN where unknown.
        point_label: (n,), index of the class that each fixation belongs to; -1 for no class.
        row: row of the case in :attr:`PreparedDataset.cases`.
        region_maps: (r, h, w), maps of the case's regions, see :mod:`ggcam.data.region_maps`; None in data that are
            not guided by regions.
        region_label: (r,), index of the class that each region belongs to; -1 for no class.
    """

    image: Shaped[Tensor, "i H W"]
    label: Int[Tensor, ""] | Float[Tensor, " k"]
    points_px: Float[Tensor, "n 2"]
    duration_s: Float[Tensor, " n"]
    px_per_degree: Float[Tensor, "n 2"]
    point_label: Int[Tensor, " n"]
    row: int
    region_maps: Float[Tensor, "r h w"] | None = None
    region_label: Int[Tensor, " r"] | None = None


class Batch(NamedTuple):
    """Several cases as tensors. The images become floating-point on the device.

    Attributes:
        image: (b, 1, H, W), or (b, 3, H, W) for RGB; uint8 or uint16.
        label: (b,), index of the class; in multi-label data (b, k), 1, 0 or NaN (unknown) for each class.
        points_px: (b, p, 2), x_px and y_px of each fixation in the image; 0 where padded.
        duration_s: (b, p), duration of each fixation in seconds; 0 where padded.
        px_per_degree: (b, p, 2), pixels per degree of visual angle along x and y; NaN where unknown or padded.
        row: (b,), row of each case in its split; -1 for a filler, see :data:`FILLER_ROW`.
        point_label: (b, p), index of the class that each fixation belongs to; -1 for no class, or where padded.
        present: (m, 2), in multi-label data the index of the case and of the class of each label that is 1; found
            here because on a GPU the host would have to wait for their number.
        augmentation: parameters drawn for a training batch before it is copied to the device; None for none.
        region_maps: (b, r, h, w), maps of the regions of each case; all zero where padded. None in data that are not
            guided by regions.
        region_label: (b, r), index of the class that each region belongs to; -1 for no class, or where padded.
    """

    image: Shaped[Tensor, "b i H W"]
    label: Int[Tensor, " b"] | Float[Tensor, "b k"]
    points_px: Float[Tensor, "b p 2"]
    duration_s: Float[Tensor, "b p"]
    px_per_degree: Float[Tensor, "b p 2"]
    row: Int[Tensor, " b"]
    point_label: Int[Tensor, "b p"]
    present: Int[Tensor, "m 2"] | None = None
    augmentation: Augmentation | None = None
    region_maps: Float[Tensor, "b r h w"] | None = None
    region_label: Int[Tensor, "b r"] | None = None


def collate(samples: Sequence[Sample]) -> Batch:
    """Collate samples to a batch, with fixations padded to the longest case.

    Args:
        samples: at least one sample; the images have the same size.

    Returns:
        The batch, with at least one point per case.

    Example:
        >>> import ggcam
        >>> dataset = ggcam.PreparedDataset(ggcam.load_prepared("DATA"), "train")
        >>> batch = ggcam.collate([dataset[0], dataset[1]])
        >>> batch.row
        tensor([0, 1])
    """

    def padded(parts: Sequence[Tensor], value: float) -> Tensor:
        longest = max(1, *map(len, parts))
        filled = parts[0].new_full((len(parts), longest, *parts[0].shape[1:]), value)
        for row, part in zip(filled, parts, strict=True):
            row[: len(part)] = part
        return filled

    label = torch.stack([sample.label for sample in samples])
    region_maps = [sample.region_maps for sample in samples if sample.region_maps is not None]
    region_label = [sample.region_label for sample in samples if sample.region_label is not None]
    return Batch(
        # In a worker process this stacks the images directly in the memory that it shares with the main process.
        image=default_collate([sample.image for sample in samples]),
        label=label,
        points_px=padded([sample.points_px for sample in samples], 0),
        duration_s=padded([sample.duration_s for sample in samples], 0),
        px_per_degree=padded([sample.px_per_degree for sample in samples], np.nan),
        row=torch.tensor([sample.row for sample in samples]),
        point_label=padded([sample.point_label for sample in samples], -1),
        present=torch.nonzero(label == 1) if label.ndim == 2 else None,
        region_maps=padded(region_maps, 0) if region_maps else None,
        region_label=padded(region_label, -1) if region_label else None,
    )
