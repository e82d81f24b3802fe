"""Whether a CAM marks what the score depends on: remove cells in its order, or bring them back, and score again.

Deletion and insertion as in Petsiuk et al., "RISE" (2018). Whether a network relies on a shortcut is measured by
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
"""Function from images to the score of each, such as the probability of its class."""


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Score as cells are removed or brought back in the order of the CAM, highest first.

    Attributes:
        share: shape (s,), fraction of the cells that are removed or brought back, from 0 to 1.
        deletion: shape (n, s), score after removing them from the image.
        insertion: shape (n, s), score after bringing them into the blank image.
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

    `score` is called 2 (steps + 1) times with all n images. For the chance level, call this with a constant `cam`.

    Args:
        images: shape (n, ..., H, W).
        cam: shape (n, h, w), finite; a cell is the block of pixels whose centres lie in it.
        score: function from images to scores, see `Score`.
        blank: shape of `images`; pixels that replace removed ones, such as a blurred image or the mean image. They
            should mean little to `score`.
        steps: number of equal parts in which cells are taken; at most the number of cells.
        seed: seed of the order among equal cells, which for a constant CAM is a random order; or a generator.

    Returns:
        The curves.

    Raises:
        ValueError: a CAM has a cell that is not finite, the grid is finer than the image, or `steps` is below 1.
    """
    check_finite(cam)
    grid, size = cam.shape[1:], images.shape[-2:]
    if grid[0] > size[0] or grid[1] > size[1] or steps < 1:
        raise ValueError(f"cannot take {steps} steps over a grid of {grid} cells on images of {size} pixels")
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
    """Return the rank of each cell, 0 for the highest; equal cells are in random order."""
    flat = cam.reshape(len(cam), math.prod(cam.shape[1:]))
    order = np.lexsort((rng.random(flat.shape), -flat), axis=1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(flat.shape[1])[None], axis=1)
    return rank.reshape(cam.shape)


def _cell_of_pixel(pixels: int, cells: int) -> Int[np.ndarray, " pixels"]:
    """Return the cell of one axis in which the centre of each pixel lies."""
    return ((np.arange(pixels) + 0.5) * cells / pixels).astype(np.int64)
