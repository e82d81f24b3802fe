"""How well a map, such as a CAM, agrees with where readers looked; every metric is a value per case, all at once.

Definitions are those of Bylinskii et al., "What do different evaluation metrics tell us about saliency models?" (2019),
and of Kuemmerer et al., "Information-theoretic model comparison unifies saliency metrics" (2015) for the gain.

A CAM is unbounded: its zero and its scale are the network's own affair. So every metric here ignores a positive affine
change of the map. NSS, CC and the AUCs do so by themselves; KL, SIM and the gain need a density, which `map_density`
makes: less the minimum, divided by the sum, and mixed with a little uniform so that no cell is impossible. (A softmax
would let the CAM's scale decide how sharp the density is.) Floors and the other reader pass through the same door.

A constant map scores what knowing nothing scores: NSS 0, CC 0, AUC 0.5, and KL, SIM and gain of the uniform density.
A case without gaze scores NaN: `weighted.weighted_mean` leaves it out. A cell that is not finite, of any map, is a
ValueError.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from ggcam.metrics.localisation import check_finite
from ggcam.metrics.ranking import tie_ends

UNIFORM_SHARE = 0.01
"""Share of every map's density that is spread evenly."""

CENTRE_SPREAD = 0.25
"""Standard deviation of the centre prior as a share of each side."""


def map_density(maps: Float[np.ndarray, "n h w"], uniform_share: float = UNIFORM_SHARE) -> Float[np.ndarray, "n h w"]:
    """Make any finite map a density, shape (n, h, w): each sums to 1 and is above 0 everywhere; constant: uniform.

    Raises:
        ValueError: a cell is not finite.
    """
    check_finite(maps)
    above = maps - maps.min(axis=(1, 2), keepdims=True)
    total = above.sum(axis=(1, 2), keepdims=True)
    uniform = 1 / math.prod(maps.shape[1:])
    density = np.divide(above, total, out=np.full(maps.shape, uniform), where=total > 0)
    return (1 - uniform_share) * density + uniform_share * uniform


def centre_map(grid: tuple[int, int], spread: float = CENTRE_SPREAD) -> Float[np.ndarray, "h w"]:
    """The centre prior: a Gaussian as wide as the image is, in density, shape `grid`."""
    rows, columns = (np.exp(-(((np.arange(n) + 0.5) / n - 0.5) ** 2) / (2 * spread**2)) for n in grid)
    centre = rows[:, None] * columns
    return centre / centre.sum()


def nss(maps: Float[np.ndarray, "n h w"], fixations: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Normalised scanpath saliency: mean of the standardised map at the fixations (Peters et al., 2005); shape (n,).

    In standard deviations above the map's mean; 0 by chance, 0 for a constant map, NaN without fixations.

    Args:
        maps: shape (n, h, w), finite.
        fixations: shape (n, h, w), number or weight >= 0 of the fixations in each cell.
    """
    return _mean_at(_standardised(maps), fixations)


def correlation(maps: Float[np.ndarray, "n h w"], gaze: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Pearson correlation (CC) of two maps' cells, shape (n,), -1 to 1.

    0 where one of them is constant, NaN where `gaze` is all zero (there was none).
    """
    flat = (_standardised(maps) * _standardised(gaze)).mean(axis=(1, 2))
    return np.where(gaze.any(axis=(1, 2)), flat, np.nan)


def kl_divergence(density: Float[np.ndarray, "n h w"], gaze: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Kullback-Leibler divergence of the gaze from a density that is to predict it, in nats; shape (n,).

    Lower is better, 0 when both are equal; infinite where gaze lies on a cell of density 0; NaN without gaze.

    Args:
        density: shape (n, h, w), each sums to 1.
        gaze: shape (n, h, w), each sums to 1 or is all zero.
    """
    check_finite(density)
    check_finite(gaze)
    looked_at = gaze > 0
    with np.errstate(divide="ignore"):
        ratio = np.log(np.where(looked_at, gaze, 1)) - np.log(np.where(looked_at, density, 1))
    return np.where(looked_at.any(axis=(1, 2)), (gaze * ratio).sum(axis=(1, 2)), np.nan)


def similarity(density: Float[np.ndarray, "n h w"], gaze: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Overlap of two densities (SIM, histogram intersection), shape (n,): 1 when equal, 0 when disjoint.

    NaN without gaze. Arguments are those of `kl_divergence`.
    """
    check_finite(density)
    check_finite(gaze)
    return np.where(gaze.any(axis=(1, 2)), np.minimum(density, gaze).sum(axis=(1, 2)), np.nan)


def information_gain(
    density: Float[np.ndarray, "n h w"], fixations: Float[np.ndarray, "n h w"], baseline: Float[np.ndarray, "n h w"]
) -> Float[np.ndarray, " n"]:
    """How much better a density foretells each fixation than a baseline does, in bits a fixation; shape (n,).

    0 when both are equal, negative when worse than the baseline, NaN without fixations.

    Args:
        density: shape (n, h, w), each sums to 1, above 0.
        fixations: as in `nss`.
        baseline: shape (n, h, w), likewise: the centre prior, say.
    """
    check_finite(density)
    check_finite(baseline)
    return _mean_at(np.log2(density) - np.log2(baseline), fixations)


def fixation_auc(
    maps: Float[np.ndarray, "n h w"], fixations: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"]
) -> Float[np.ndarray, " n"]:
    """Chance that the map is higher at a fixation than at one of the `others`, ties counting half; shape (n,).

    With `others = (fixations == 0)` it is the AUC of Judd et al. (2009), each fixation a positive and each cell that
    nobody looked at a negative. With the fixations of other images it is the shuffled AUC (sAUC), in which a mere
    habit of looking at the centre earns nothing. 0.5 for a constant map; NaN without fixations or others.

    Args:
        maps: shape (n, h, w), finite.
        fixations: as in `nss`.
        others: shape (n, h, w), number or weight >= 0 of the negatives in each cell.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    for each in (maps, fixations, others):
        check_finite(each)
    flat = _flat(maps)
    order = np.argsort(flat, axis=1, kind="stable")
    first, last = tie_ends(np.take_along_axis(flat, order, axis=1))
    positive, negative = (np.take_along_axis(_flat(weights), order, axis=1) for weights in (fixations, others))
    # Weight of the negatives among the lowest 0, 1, ... cells.
    lowest = np.pad(np.cumsum(negative, axis=1), ((0, 0), (1, 0)))
    beaten = (np.take_along_axis(lowest, first, axis=1) + np.take_along_axis(lowest, last + 1, axis=1)) / 2
    pairs = positive.sum(axis=1) * lowest[:, -1]
    return np.divide((positive * beaten).sum(axis=1), pairs, out=np.full(len(maps), np.nan), where=pairs > 0)


def shuffled_partners(cases: int, shuffles: int, seed: int | np.random.Generator = 0) -> Int[np.ndarray, "s n"]:
    """For each case so many others in turn, all different and never itself, shape (s, n).

    Every case serves as often as every other. With `shuffles` >= cases - 1 these are all pairs, and s = cases - 1.
    """
    order = np.random.default_rng(seed).permutation(cases)
    partners = np.empty((max(min(shuffles, cases - 1), 0), cases), dtype=np.int64)
    for turn in range(len(partners)):
        partners[turn, order] = np.roll(order, turn + 1)
    return partners


def _standardised(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n h w"]:
    """Mean 0 and standard deviation 1 over the cells; 0 for a constant map."""
    check_finite(maps)
    # Exactly constant: a deviation of rounding errors is none.
    varies = maps.max(axis=(1, 2), keepdims=True) > maps.min(axis=(1, 2), keepdims=True)
    centred = maps - maps.mean(axis=(1, 2), keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True))
    return np.divide(centred, deviation, out=np.zeros(maps.shape), where=varies & (deviation > 0))


def _mean_at(values: Float[np.ndarray, "n h w"], weights: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Weighted mean over the cells; NaN where nothing weighs."""
    check_finite(weights)
    total = weights.sum(axis=(1, 2))
    summed = (values * weights).sum(axis=(1, 2))
    return np.divide(summed, total, out=np.full(len(values), np.nan), where=total > 0)


def _flat(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n c"]:
    return maps.reshape(len(maps), math.prod(maps.shape[1:]))
