"""All metrics of `saliency` for a set of cases, with the baselines to compare them with.

A metric alone says little, because gaze on chest X-rays looks alike from case to case. So the CAM is compared with the
gaze on other images (`shuffled_agreement`), with maps that do not depend on the image (`centre_map`, a lung mask) and,
as an upper limit, with another reader of the same image (`reader_agreement`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from ggcam.metrics.saliency import (
    correlation,
    fixation_auc,
    information_gain,
    kl_divergence,
    map_density,
    nss,
    shuffled_partners,
    similarity,
)

METRICS = ("nss", "cc", "kl", "sim", "auc_judd", "auc_shuffled", "information_gain")
"""Metrics that `agreement` computes. Higher is better, except for kl."""

SHUFFLES = 20
"""Number of other images whose gaze each CAM is compared with."""


@dataclass(frozen=True, eq=False)
class GazeMaps:
    """Where readers looked, one row per reading.

    Attributes:
        density: shape (n, h, w), each sums to 1; all zero for a reading without gaze.
        fixations: shape (n, h, w), number or weight >= 0 of the fixations in each cell.
        patients: shape (n,), patient of each reading.
        others: shape (n, h, w), sum of the fixations on the images of all other patients.
    """

    density: Float[np.ndarray, "n h w"]
    fixations: Float[np.ndarray, "n h w"]
    patients: Shaped[np.ndarray, " n"]
    others: Float[np.ndarray, "n h w"]

    @classmethod
    def from_maps(
        cls,
        density: Float[np.ndarray, "n h w"],
        fixations: Float[np.ndarray, "n h w"],
        patients: Shaped[np.ndarray, " n"],
    ) -> GazeMaps:
        """Collect readings.

        Args:
            density: shape (n, h, w), see the attributes.
            fixations: shape (n, h, w).
            patients: shape (n,).

        Returns:
            The readings.
        """
        names, patient = np.unique(patients, return_inverse=True)
        by_patient = np.zeros((len(names), *fixations.shape[1:]))
        np.add.at(by_patient, patient, fixations)
        return cls(density, fixations, patients, fixations.sum(axis=0) - by_patient[patient])

    def __len__(self) -> int:
        return len(self.density)

    def __getitem__(self, rows: Int[np.ndarray, " m"]) -> GazeMaps:
        return GazeMaps(self.density[rows], self.fixations[rows], self.patients[rows], self.others[rows])


def agreement(
    maps: Float[np.ndarray, "n h w"], gaze: GazeMaps, baseline: Float[np.ndarray, "h w"]
) -> dict[str, Float[np.ndarray, " n"]]:
    """Compute every metric of `METRICS` for each map and its gaze.

    Args:
        maps: shape (n, h, w), finite, one per reading, such as the CAM of the image that was read.
        gaze: n readings.
        baseline: shape (h, w), reference of the information gain, such as `centre_map`; it is converted by
            `map_density` as the maps are, so that its own gain is 0.

    Returns:
        Name of the metric -> shape (n,); NaN for a reading without gaze.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    density, prior = map_density(maps), np.broadcast_to(map_density(baseline[None]), maps.shape)
    unseen = (gaze.fixations == 0).astype(np.float64)
    return {
        "nss": nss(maps, gaze.fixations),
        "cc": correlation(maps, gaze.density),
        "kl": kl_divergence(density, gaze.density),
        "sim": similarity(density, gaze.density),
        "auc_judd": fixation_auc(maps, gaze.fixations, unseen),
        "auc_shuffled": fixation_auc(maps, gaze.fixations, gaze.others),
        "information_gain": information_gain(density, gaze.fixations, prior),
    }


def shuffled_agreement(
    maps: Float[np.ndarray, "n h w"],
    gaze: GazeMaps,
    baseline: Float[np.ndarray, "h w"],
    shuffles: int = SHUFFLES,
    seed: int | np.random.Generator = 0,
) -> dict[str, Float[np.ndarray, " n"]]:
    """Compute `agreement` of each map with the gaze on images of other patients, averaged over several of them.

    This is what a map gains from knowing how people look at chests in general.

    Args:
        maps: shape (n, h, w), finite, one per reading.
        gaze: n readings.
        baseline: shape (h, w), reference of the information gain.
        shuffles: number of other images.
        seed: seed of their choice, or a generator.

    Returns:
        Name of the metric -> shape (n,); NaN for a reading that has no gaze itself, so that means over matched and
        shuffled gaze are of the same cases, and NaN if no other patient has gaze.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    found = {name: np.full(len(maps), np.nan) for name in METRICS}
    seen = np.flatnonzero(gaze.density.any(axis=(1, 2)))
    total = {name: np.zeros(len(seen)) for name in METRICS}
    count = {name: np.zeros(len(seen)) for name in METRICS}
    for partners in shuffled_partners(len(seen), shuffles, seed):
        partner = gaze[seen[partners]]
        differs = partner.patients != gaze.patients[seen]
        for name, values in agreement(maps[seen], partner, baseline).items():
            known = differs & ~np.isnan(values)
            total[name] += np.where(known, values, 0)
            count[name] += known
    for name in METRICS:
        np.divide(total[name], count[name], out=total[name], where=count[name] > 0)
        found[name][seen] = np.where(count[name] > 0, total[name], np.nan)
    return found


def reader_agreement(
    gaze: GazeMaps, images: Shaped[np.ndarray, " n"], baseline: Float[np.ndarray, "h w"]
) -> dict[str, Float[np.ndarray, " n"]]:
    """Compute `agreement` of each reading with the mean map of the other readings of its image.

    It is an upper limit for a CAM.

    Args:
        gaze: n readings.
        images: shape (n,), image of each reading.
        baseline: shape (h, w), reference of the information gain.

    Returns:
        Name of the metric -> shape (n,); NaN for an image with one reading.
    """
    names, image = np.unique(images, return_inverse=True)
    together = np.zeros((len(names), *gaze.density.shape[1:]))
    np.add.at(together, image, gaze.density)
    readings = np.bincount(image, weights=gaze.density.any(axis=(1, 2)), minlength=len(names))
    shared = np.flatnonzero((readings[image] > 1) & gaze.density.any(axis=(1, 2)))
    found = {name: np.full(len(gaze), np.nan) for name in METRICS}
    # Rounding must not leave the difference below zero.
    maps = np.maximum(together[image[shared]] - gaze.density[shared], 0)
    for name, values in agreement(maps, gaze[shared], baseline).items():
        found[name][shared] = values
    return found


def by_image(
    values: Mapping[str, Float[np.ndarray, " n"]], image: Int[np.ndarray, " n"], images: int
) -> dict[str, Float[np.ndarray, " i"]]:
    """Average over the readings of each image, so that an image with five readers does not count five times.

    Args:
        values: name -> shape (n,), value of each reading; NaN is left out.
        image: shape (n,), index of the image of each reading.
        images: number of images.

    Returns:
        Name -> shape (images,); NaN for an image without values.
    """
    means = {}
    for name, each in values.items():
        known = ~np.isnan(each)
        count = np.bincount(image[known], minlength=images)
        total = np.bincount(image[known], weights=each[known], minlength=images)
        means[name] = np.divide(total, count, out=np.full(images, np.nan), where=count > 0)
    return means
