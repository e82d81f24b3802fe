"""All of `saliency`'s metrics for a set of cases at once, with what they are to be read against.

A metric alone says little: gaze on chest X-rays looks alike from case to case. So beside the CAM's own stand the gaze
of other images (`shuffled_agreement`), maps that know no image (`centre_map`, a lung mask: hand them in as maps), and,
as what can be reached, another reader of the same image (`reader_agreement`).
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
"""What `agreement` measures. Higher is better, but for kl."""

SHUFFLES = 20
"""Other images whose gaze each CAM is held against."""


@dataclass(frozen=True, eq=False)
class GazeMaps:
    """Where readers looked, a row a reading.

    Attributes:
        density: shape (n, h, w), each sums to 1; all zero for a reading without gaze.
        fixations: shape (n, h, w), number or weight >= 0 of the fixations in each cell.
        patients: shape (n,), the patient of each reading.
        others: shape (n, h, w), the fixations on all other patients' images together.
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
        """Collect readings; the attributes say of what shape."""
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
    """Every metric of `METRICS` for each map and its gaze, shape (n,) each; NaN for a reading without gaze.

    Args:
        maps: shape (n, h, w), finite, a row a reading: the CAM of the image that was read, say.
        gaze: of n readings.
        baseline: shape (h, w), over which information is gained, such as `centre_map`; it passes through
            `map_density` as the maps do, so that as a map it gains nothing over itself.

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
    """`agreement` of each map with the gaze on other patients' images, the mean over `shuffles` of them.

    What a map earns by knowing how people look at chests in general. NaN for a reading that has no gaze itself, so
    that the plain and the shuffled mean are of the same cases, and where no other patient has any.

    Raises:
        ValueError: a map has a cell that is not finite.
    """
    found = {name: np.full(len(maps), np.nan) for name in METRICS}
    seen = np.flatnonzero(gaze.density.any(axis=(1, 2)))
    total = {name: np.zeros(len(seen)) for name in METRICS}
    count = {name: np.zeros(len(seen)) for name in METRICS}
    for partners in shuffled_partners(len(seen), shuffles, seed):
        partner = gaze[seen[partners]]
        of_another = partner.patients != gaze.patients[seen]
        for name, values in agreement(maps[seen], partner, baseline).items():
            known = of_another & ~np.isnan(values)
            total[name] += np.where(known, values, 0)
            count[name] += known
    for name in METRICS:
        np.divide(total[name], count[name], out=total[name], where=count[name] > 0)
        found[name][seen] = np.where(count[name] > 0, total[name], np.nan)
    return found


def reader_agreement(
    gaze: GazeMaps, images: Shaped[np.ndarray, " n"], baseline: Float[np.ndarray, "h w"]
) -> dict[str, Float[np.ndarray, " n"]]:
    """`agreement` of each reading with a map made of the other readings of its image: what a CAM can hope for.

    NaN for an image that nobody else looked at.

    Args:
        gaze: of n readings.
        images: shape (n,), which image each is of.
        baseline: as in `agreement`.
    """
    names, image = np.unique(images, return_inverse=True)
    together = np.zeros((len(names), *gaze.density.shape[1:]))
    np.add.at(together, image, gaze.density)
    readings = np.bincount(image, weights=gaze.density.any(axis=(1, 2)), minlength=len(names))
    shared = np.flatnonzero((readings[image] > 1) & gaze.density.any(axis=(1, 2)))
    found = {name: np.full(len(gaze), np.nan) for name in METRICS}
    # Less one's own: rounding must not leave a speck below zero.
    maps = np.maximum(together[image[shared]] - gaze.density[shared], 0)
    for name, values in agreement(maps, gaze[shared], baseline).items():
        found[name][shared] = values
    return found


def by_image(
    values: Mapping[str, Float[np.ndarray, " n"]], image: Int[np.ndarray, " n"], images: int
) -> dict[str, Float[np.ndarray, " i"]]:
    """Mean over the readings of each image, shape (images,): one with five readers must not count five times.

    Readings that score NaN are left out; NaN for an image without others.
    """
    means = {}
    for name, each in values.items():
        known = ~np.isnan(each)
        count = np.bincount(image[known], minlength=images)
        total = np.bincount(image[known], weights=each[known], minlength=images)
        means[name] = np.divide(total, count, out=np.full(images, np.nan), where=count > 0)
    return means
