"""How well a map, such as a CAM, agrees with where readers looked; every metric is one value per case, all at once.

Definitions are those of Bylinskii et al., "What do different evaluation metrics tell us about saliency models?" (2019),
and, for the information gain, of Kuemmerer et al., "Information-theoretic model comparison unifies saliency metrics"
(2015).

A CAM is unbounded, and its zero and scale are arbitrary. So every metric here is invariant to positive affine changes
of the map. NSS, CC and the AUCs are so by themselves; KL, SIM and the gain need a density, which `map_density`
computes: minus the minimum, divided by the sum, and mixed with a little uniform density so that no cell is impossible.
(With a softmax, the CAM's scale would decide how sharp the density is.) Baselines and the other reader are treated
alike.

A constant map scores as if nothing were known: NSS 0, CC 0, AUC 0.5, and KL, SIM and gain of the uniform density. A
case without gaze scores NaN, which `bootstrap_statistics.weighted_mean` leaves out. A cell that is not finite, of any
map, is a ValueError.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from ggcam.metrics.localisation import check_finite
from ggcam.metrics.ranking import tie_ends

UNIFORM_SHARE = 0.01
"""Fraction of every map's density that is spread evenly."""


def map_density(maps: Float[np.ndarray, "n h w"], uniform_share: float = UNIFORM_SHARE) -> Float[np.ndarray, "n h w"]:
    """Turn any finite map into a density.

    Args:
        maps: shape (n, h, w).
        uniform_share: fraction of the density that is spread evenly.

    Returns:
        Shape (n, h, w); each sums to 1 and is above 0 everywhere; uniform for a constant map.

    Raises:
        ValueError: a cell is not finite.
    """
    check_finite(maps)
    above = maps - maps.min(axis=(1, 2), keepdims=True)
    total = above.sum(axis=(1, 2), keepdims=True)
    uniform = 1 / math.prod(maps.shape[1:])
    density = np.divide(above, total, out=np.full(maps.shape, uniform), where=total > 0)
    return (1 - uniform_share) * density + uniform_share * uniform


def nss(maps: Float[np.ndarray, "n h w"], fixations: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Compute the normalised scanpath saliency: mean of the standardised map at the fixations (Peters et al., 2005).

    Args:
        maps: shape (n, h, w), finite.
        fixations: shape (n, h, w), number or weight >= 0 of the fixations in each cell.

    Returns:
        Shape (n,), in standard deviations above the map's mean: 0 by chance and for a constant map; NaN without
        fixations.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    return _mean_at(_standardised(maps), fixations)


def correlation(maps: Float[np.ndarray, "n h w"], gaze: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Compute the Pearson correlation (CC) of the cells of two maps.

    Args:
        maps: shape (n, h, w), finite.
        gaze: shape (n, h, w), gaze map of each case; all zero without gaze.

    Returns:
        Shape (n,), -1 to 1; 0 if one of the maps is constant, NaN without gaze.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    flat = (_standardised(maps) * _standardised(gaze)).mean(axis=(1, 2))
    return np.where(gaze.any(axis=(1, 2)), flat, np.nan)


def kl_divergence(density: Float[np.ndarray, "n h w"], gaze: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Compute the Kullback-Leibler divergence of the gaze from a density that predicts it, in nats.

    Args:
        density: shape (n, h, w), each sums to 1.
        gaze: shape (n, h, w), each sums to 1 or is all zero.

    Returns:
        Shape (n,), lower is better, 0 if both are equal; infinite if gaze lies on a cell of density 0; NaN without
        gaze.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    check_finite(density)
    check_finite(gaze)
    looked_at = gaze > 0
    with np.errstate(divide="ignore"):
        ratio = np.log(np.where(looked_at, gaze, 1)) - np.log(np.where(looked_at, density, 1))
    return np.where(looked_at.any(axis=(1, 2)), (gaze * ratio).sum(axis=(1, 2)), np.nan)


def similarity(density: Float[np.ndarray, "n h w"], gaze: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Compute the overlap of two densities (SIM, histogram intersection).

    Args:
        density: shape (n, h, w), each sums to 1.
        gaze: shape (n, h, w), each sums to 1 or is all zero.

    Returns:
        Shape (n,): 1 if both are equal, 0 if they are disjoint; NaN without gaze.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    check_finite(density)
    check_finite(gaze)
    return np.where(gaze.any(axis=(1, 2)), np.minimum(density, gaze).sum(axis=(1, 2)), np.nan)


def information_gain(
    density: Float[np.ndarray, "n h w"], fixations: Float[np.ndarray, "n h w"], baseline: Float[np.ndarray, "n h w"]
) -> Float[np.ndarray, " n"]:
    """Compute how much better a density predicts each fixation than a baseline does, in bits per fixation.

    Args:
        density: shape (n, h, w), each sums to 1 and is above 0.
        fixations: shape (n, h, w), number or weight >= 0 of the fixations in each cell.
        baseline: shape (n, h, w), densities such as the centre prior.

    Returns:
        Shape (n,): 0 if both are equal, negative if worse than the baseline; NaN without fixations.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    check_finite(density)
    check_finite(baseline)
    return _mean_at(np.log2(density) - np.log2(baseline), fixations)


def fixation_auc(
    maps: Float[np.ndarray, "n h w"], fixations: Float[np.ndarray, "n h w"], others: Float[np.ndarray, "n h w"]
) -> Float[np.ndarray, " n"]:
    """Compute the probability that the map is higher at a fixation than at a negative, ties counting half.

    With `others = (fixations == 0)` it is the AUC of Judd et al. (2009): each fixation is a positive, each cell that
    nobody looked at a negative. With the fixations of other images it is the shuffled AUC (sAUC), in which a mere
    tendency to look at the centre earns nothing.

    Args:
        maps: shape (n, h, w), finite.
        fixations: shape (n, h, w), number or weight >= 0 of the fixations in each cell.
        others: shape (n, h, w), number or weight >= 0 of the negatives in each cell.

    Returns:
        Shape (n,), 0 to 1; 0.5 for a constant map; NaN without fixations or negatives.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    for each in (maps, fixations, others):
        check_finite(each)
    flat = _flat(maps)
    order = np.argsort(flat, axis=1, kind="stable")
    first, last = tie_ends(np.take_along_axis(flat, order, axis=1))
    positive, negative = (np.take_along_axis(_flat(weights), order, axis=1) for weights in (fixations, others))
    # Cumulative weight of the negatives among the lowest 0, 1, ... cells.
    lowest = np.pad(np.cumsum(negative, axis=1), ((0, 0), (1, 0)))
    beaten = (np.take_along_axis(lowest, first, axis=1) + np.take_along_axis(lowest, last + 1, axis=1)) / 2
    pairs = positive.sum(axis=1) * lowest[:, -1]
    return np.divide((positive * beaten).sum(axis=1), pairs, out=np.full(len(maps), np.nan), where=pairs > 0)


def shuffled_partners(cases: int, shuffles: int, seed: int | np.random.Generator = 0) -> Int[np.ndarray, "s n"]:
    """Pair each case with several others, all different and never itself.

    Every case is a partner equally often.

    Args:
        cases: number of cases n.
        shuffles: number of partners per case; from n - 1 on, these are all other cases.
        seed: seed of the pairing, or a generator.

    Returns:
        Shape (s, n), index of the partners, s being at most n - 1.
    """
    order = np.random.default_rng(seed).permutation(cases)
    partners = np.empty((max(min(shuffles, cases - 1), 0), cases), dtype=np.int64)
    for turn in range(len(partners)):
        partners[turn, order] = np.roll(order, turn + 1)
    return partners


def _standardised(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n h w"]:
    """Scale each map to mean 0 and standard deviation 1 over its cells; 0 for a constant map."""
    check_finite(maps)
    # Exactly constant: a deviation that is only rounding error does not count.
    varies = maps.max(axis=(1, 2), keepdims=True) > maps.min(axis=(1, 2), keepdims=True)
    centred = maps - maps.mean(axis=(1, 2), keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True))
    return np.divide(centred, deviation, out=np.zeros(maps.shape), where=varies & (deviation > 0))


def _mean_at(values: Float[np.ndarray, "n h w"], weights: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Return the weighted mean over the cells; NaN where all weights are 0."""
    check_finite(weights)
    total = weights.sum(axis=(1, 2))
    summed = (values * weights).sum(axis=(1, 2))
    return np.divide(summed, total, out=np.full(len(values), np.nan), where=total > 0)


def _flat(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n c"]:
    return maps.reshape(len(maps), math.prod(maps.shape[1:]))
