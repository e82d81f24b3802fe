"""Whether a CAM shows what the score rests on: take cells away, or bring them back, in its order, and score again.

Deletion and insertion of Petsiuk et al., "RISE" (2018). Whether a network points at a shortcut is told by
`overlap.energy_inside` with the shortcut's marker as the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.integrate import trapezoid

from ggcam.metrics.localisation import check_finite

Score = Callable[[Float[np.ndarray, "n *channels H W"]], Float[np.ndarray, " n"]]
"""Images -> the score of each, such as the probability of its class; batches and devices are its own affair."""


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """How the score changes as cells go and come in the CAM's order, highest first.

    Attributes:
        share: shape (s,), share of the cells taken away or brought back, from 0 to 1.
        deletion: shape (n, s), score after taking them from the image.
        insertion: shape (n, s), score after bringing them into the blank.
    """

    share: Float[np.ndarray, " s"]
    deletion: Float[np.ndarray, "n s"]
    insertion: Float[np.ndarray, "n s"]

    @property
    def deletion_auc(self) -> Float[np.ndarray, " n"]:
        """Area under the deletion curve, shape (n,), in units of the score; lower is more faithful."""
        return trapezoid(self.deletion, self.share, axis=1)

    @property
    def insertion_auc(self) -> Float[np.ndarray, " n"]:
        """Area under the insertion curve, shape (n,), in units of the score; higher is more faithful."""
        return trapezoid(self.insertion, self.share, axis=1)


def deletion_insertion(
    images: Float[np.ndarray, "n *channels H W"],
    cam: Float[np.ndarray, "n h w"],
    score: Score,
    blank: Float[np.ndarray, "n *channels H W"],
    steps: int = 20,
    seed: int | np.random.Generator = 0,
) -> Faithfulness:
    """Delete and insert the cells of each image in the order of its CAM, all images at once.

    `score` is called 2 (steps + 1) times with all n images. Chance is what the same call says of a random `cam`.

    Args:
        images: shape (n, ..., H, W).
        cam: shape (n, h, w), finite; a cell is the block of pixels whose centres lie in it.
        score: see `Score`; pixels that are taken away must mean little to it, which `blank` decides.
        blank: what stands where nothing is: a blurred image, say, or the mean of all; of the images' shape.
        steps: how many equal parts the cells are taken in; no more than there are cells.
        seed: decides the order among equal cells, so that a constant CAM stands for a random order; or the generator
            that does.

    Raises:
        ValueError: a CAM has a cell that is not finite, the grid is finer than the image, or there is no step.
    """
    check_finite(cam)
    grid, size = cam.shape[1:], images.shape[-2:]
    if grid[0] > size[0] or grid[1] > size[1] or steps < 1:
        raise ValueError(f"{steps} steps over a grid of {grid} cells on images of {size} pixels cannot be made")
    rank = _falling_rank(cam, np.random.default_rng(seed))
    counts = np.unique(np.linspace(0, math.prod(grid), steps + 1).round().astype(np.int64))
    rows, columns = (_cell_of_pixel(pixels, cells) for pixels, cells in zip(size, grid, strict=True))
    curves = np.empty((2, len(cam), len(counts)))
    for step, count in enumerate(counts):
        chosen = (rank < count)[:, rows[:, None], columns]
        chosen = chosen.reshape(len(cam), *(1,) * (images.ndim - 3), *size)
        curves[0, :, step] = score(np.where(chosen, blank, images))
        curves[1, :, step] = score(np.where(chosen, images, blank))
    return Faithfulness(counts / math.prod(grid), *curves)


def _falling_rank(cam: Float[np.ndarray, "n h w"], rng: np.random.Generator) -> Int[np.ndarray, "n h w"]:
    """Place of each cell from the highest, 0, to the lowest; equal ones in random order."""
    flat = cam.reshape(len(cam), math.prod(cam.shape[1:]))
    order = np.lexsort((rng.random(flat.shape), -flat), axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(flat.shape[1])[None], axis=1)
    return rank.reshape(cam.shape)


def _cell_of_pixel(pixels: int, cells: int) -> Int[np.ndarray, " pixels"]:
    """Which cell of one axis each pixel's centre lies in."""
    return ((np.arange(pixels) + 0.5) * cells / pixels).astype(np.int64)
