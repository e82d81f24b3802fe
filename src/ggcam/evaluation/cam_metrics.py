"""Metrics of the CAM: where it peaks, what it covers, and whether it agrees with gaze or follows a marker.

Each function returns a part of the tree that `run_metrics.measure` evaluates: statistics of case weights, and numbers
of cases. Chance levels are means over cases like the metrics beside them, so they have intervals as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int, Shaped

from ggcam.data.case import SHORTCUT_MARKER, Region
from ggcam.data.prepared import PreparedData
from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.centre_prior import centre_map
from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import fixation_histogram
from ggcam.metrics.agreement import METRICS, GazeMaps, agreement, by_image, reader_agreement, shuffled_agreement
from ggcam.metrics.bootstrap_statistics import CaseMean, weighted_mean
from ggcam.metrics.localisation import (
    Pointing,
    anatomy_pointing,
    chance_level,
    mask_to_grid,
    regions_to_mask,
)
from ggcam.metrics.overlap import (
    SIZES,
    OverlapMetric,
    best_iou,
    cell_average_precision,
    energy_inside,
    mean_iou,
    shuffled_chance,
    size_group,
)

OVERLAP: dict[str, OverlapMetric] = {
    "energy_inside": energy_inside,
    "mean_iou": mean_iou,
    "best_iou": best_iou,
    "average_precision": cell_average_precision,
}
"""Name in metrics.json -> overlap metric."""

MAX_AREA_GRID = 256
"""Maximum number of rows and of columns of the grid on which the area of a finding is measured."""


@dataclass(frozen=True)
class Blur:
    """Standard deviation of the Gaussian of a gaze map.

    Attributes:
        sigma_px: in pixels of the frame; None uses `sigma_deg`.
        sigma_deg: in degrees of visual angle.
    """

    sigma_px: float | None = None
    sigma_deg: float = 1.0

    def densities(
        self, readings: Sequence[Fixations], grid: tuple[int, int], image_size: tuple[int, int]
    ) -> Float[np.ndarray, "n h w"]:
        """Draw the attention maps of several readings.

        Args:
            readings: the readings.
            grid: number of rows and columns of the maps.
            image_size: height and width of the frame in pixels.

        Returns:
            Shape (n, h, w); each sums to 1, or is all zero without gaze.
        """
        gaze = GazeBatch.from_fixations(
            readings, image_size, sigma_deg=self.sigma_deg, sigma_px=self.sigma_px, dtype=torch.float64
        )
        return gaze.density(grid).numpy()


@dataclass(frozen=True, eq=False)
class CaseMasks:
    """Masks of each case on the grid of the CAM.

    Attributes:
        image_size: height and width of the images in pixels.
        mediastinum: shape (n, h, w).
        lung: shape (n, h, w), both lungs.
        finding: shape (n, h, w), cells that any finding touches.
        finding_share: shape (n,), fraction of the image's area that its findings cover.
        marker: shape (n, h, w), cells that a shortcut's marker touches.
    """

    image_size: tuple[int, int]
    mediastinum: Bool[np.ndarray, "n h w"]
    lung: Bool[np.ndarray, "n h w"]
    finding: Bool[np.ndarray, "n h w"]
    finding_share: Float[np.ndarray, " n"]
    marker: Bool[np.ndarray, "n h w"]

    @classmethod
    def from_data(
        cls, data: PreparedData, cases: pd.DataFrame, grid: tuple[int, ...], findings: Sequence[str] | None = None
    ) -> CaseMasks:
        """Read masks and regions of some cases of a prepared folder; those that a case lacks are empty.

        Args:
            data: the prepared folder.
            cases: (n rows), some of its cases, possibly repeated.
            grid: number of rows and columns of the CAM.
            findings: name of the regions that count as findings, for each case; None counts all regions of findings.

        Returns:
            The masks.
        """
        rows, columns = grid
        image_size = data.frame.shape
        fine = (min(image_size[0], MAX_AREA_GRID), min(image_size[1], MAX_AREA_GRID))
        mediastinum, lung, finding, marker = np.zeros((4, len(cases), rows, columns), dtype=bool)
        share = np.zeros(len(cases))
        for i, case_id in enumerate(cases["case_id"]):
            for name, mask in data.read_masks(case_id).items():
                (mediastinum if name == "mediastinum" else lung)[i] |= mask_to_grid(mask, (rows, columns))
            regions = data.boxes.get(case_id, ())
            candidates = [region for region in regions if findings is None or region.name == findings[i]]
            found = _corners(candidates, lambda region: region.is_finding and region.kind != "mask")
            names = {region.name for region in candidates if region.is_finding and region.kind == "mask"}
            drawn = [mask for name, mask in data.read_region_masks(case_id).items() if name in names] if names else []
            finding[i], on_fine_grid = (
                np.logical_or.reduce(
                    [regions_to_mask(found, image_size, each), *(mask_to_grid(mask, each, 0) for mask in drawn)]
                )
                for each in ((rows, columns), fine)
            )
            share[i] = on_fine_grid.mean()
            markers = _corners(regions, lambda region: region.name == SHORTCUT_MARKER)
            marker[i] = regions_to_mask(markers, image_size, (rows, columns))
        return cls(image_size, mediastinum, lung, finding, share, marker)


@dataclass(frozen=True, eq=False)
class Overlap:
    """An overlap metric of each CAM and, as its chance level, of the same cells in random order; NaN without a truth.

    Attributes:
        values: shape (n,).
        chance: shape (n,).
    """

    values: Float[np.ndarray, " n"]
    chance: Float[np.ndarray, " n"]

    @classmethod
    def from_cams(
        cls, metric: OverlapMetric, cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]
    ) -> Overlap:
        """Measure every case that has a truth.

        Args:
            metric: the metric.
            cam: shape (n, h, w).
            truth: shape (n, h, w).

        Returns:
            The values.
        """
        case = np.flatnonzero(truth.any(axis=(1, 2)))
        values, chance = np.full((2, len(cam)), np.nan)
        values[case] = metric(cam[case], truth[case])
        chance[case] = shuffled_chance(metric, cam[case], truth[case])
        return cls(values, chance)

    def metrics(self, chosen: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        """Create the means of the CAM, of chance and of their difference over some of the cases.

        Args:
            chosen: shape (n,), the cases.

        Returns:
            "cam", "chance" and "cam_minus_chance".
        """
        values, chance = (np.where(chosen, each, np.nan) for each in (self.values, self.chance))
        return {
            "cam": weighted_mean(values),
            "chance": weighted_mean(chance),
            "cam_minus_chance": weighted_mean(values - chance),
        }


def localisation_metrics(
    cam: Float[np.ndarray, "n h w"], labels: Int[np.ndarray, " n"], class_names: tuple[str, ...], masks: CaseMasks
) -> dict[str, Any]:
    """Create the metrics of where the CAM peaks ("anatomy", "pointing_game") and of what it covers ("overlap").

    Args:
        cam: shape (n, h, w), CAM of one class per case.
        labels: shape (n,), index of that class.
        class_names: name of each class.
        masks: masks of each case.

    Returns:
        Tree of statistics. "anatomy" is by organ, the others are by class. "overlap" has each metric of `OVERLAP`, as
        "cam", "chance" and "cam_minus_chance", and all of it again "by_size" of the finding: small, medium or large.
    """
    within = chance_level(masks.finding, within=masks.mediastinum | masks.lung)
    anatomy = anatomy_pointing(cam, labels, class_names, masks.mediastinum, masks.lung, masks.image_size)
    overlaps = {name: Overlap.from_cams(each, cam, masks.finding) for name, each in OVERLAP.items()}
    sizes = size_group(masks.finding_share)
    tree: dict[str, Any] = {
        "anatomy": {name: _pointing_statistics(found, len(cam)) for name, found in anatomy.items() if len(found.case)},
        "pointing_game": {},
        "overlap": {},
    }

    def pointing(chosen: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        found = Pointing.from_cams(cam, masks.finding & chosen[:, None, None], masks.image_size)
        in_lungs_and_heart = weighted_mean(np.where(chosen, within, np.nan))
        return {**_pointing_statistics(found, len(cam)), "chance_in_lungs_and_heart": in_lungs_and_heart}

    def overlap(chosen: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        return {name: each.metrics(chosen) for name, each in overlaps.items()}

    marked = masks.finding.any(axis=(1, 2))
    for k, name in enumerate(class_names):
        of_class = marked & (labels == k)
        if not of_class.any():
            continue
        tree["pointing_game"][name] = pointing(of_class)
        by_size = {size: of_class & (sizes == group) for group, size in enumerate(SIZES)}
        tree["overlap"][name] = {
            "cases": int(of_class.sum()),
            **overlap(of_class),
            "by_size": {size: {**pointing(rows), **overlap(rows)} for size, rows in by_size.items() if rows.any()},
        }
    return tree


def shortcut_metrics(cam: Float[np.ndarray, "n h w"], masks: CaseMasks) -> dict[str, Any]:
    """Create the metrics of whether the CAM lies on a simulated marker; lower is better.

    Args:
        cam: shape (n, h, w), CAM of one class per case.
        masks: masks of each case.

    Returns:
        Tree of statistics under "shortcut"; empty if no case has a marker.
    """
    if not masks.marker.any():
        return {}
    return {
        "shortcut": {
            **_pointing_statistics(Pointing.from_cams(cam, masks.marker, masks.image_size), len(cam)),
            "energy_inside": Overlap.from_cams(energy_inside, cam, masks.marker).metrics(np.ones(len(cam), dtype=bool)),
        }
    }


def gaze_metrics(
    cam: Float[np.ndarray, "n h w"],
    readings: Sequence[Sequence[Fixations]],
    patients: Shaped[np.ndarray, " n"],
    masks: CaseMasks,
    blur: Blur,
) -> dict[str, Any]:
    """Create the metrics of `agreement` between CAM and gaze, with their baselines and their upper limit.

    Each metric has "cam"; the baselines "shuffled_gaze" (the CAM compared with gaze on other patients' images),
    "centre" and "lungs"; the upper limit "other_reader" if several readers read one image; and
    "cam_minus_shuffled_gaze". A case with several readings has their mean.

    Args:
        cam: shape (n, h, w), CAM of one class per case.
        readings: readings of each of the n cases.
        patients: shape (n,), patient of each case.
        masks: masks of each case.
        blur: blur of the gaze maps.

    Returns:
        Tree of statistics under "gaze_agreement"; empty if no case has gaze.
    """
    grid = (cam.shape[1], cam.shape[2])
    looked = [(i, reading) for i, of_case in enumerate(readings) for reading in of_case if reading.total_s > 0]
    if not looked:
        return {}
    image = np.array([i for i, _ in looked])
    gaze = GazeMaps.from_maps(
        blur.densities([reading for _, reading in looked], grid, masks.image_size),
        np.stack([fixation_histogram(reading, grid, masks.image_size) for _, reading in looked]),
        patients[image],
    )
    centre = centre_map(grid)
    lungs = agreement(masks.lung[image].astype(np.float64), gaze, centre)
    has_lungs = masks.lung[image].any(axis=(1, 2))
    each = {
        "cam": agreement(cam[image], gaze, centre),
        "shuffled_gaze": shuffled_agreement(cam[image], gaze, centre),
        "centre": agreement(np.broadcast_to(centre, (len(image), *grid)), gaze, centre),
        "lungs": {name: np.where(has_lungs, values, np.nan) for name, values in lungs.items()},
        "other_reader": reader_agreement(gaze, image, centre),
    }
    by_case = {source: by_image(values, image, len(cam)) for source, values in each.items()}
    by_case["cam_minus_shuffled_gaze"] = {
        name: by_case["cam"][name] - by_case["shuffled_gaze"][name] for name in METRICS
    }
    known = {source: values for source, values in by_case.items() if not np.isnan(values["cc"]).all()}
    return {
        "gaze_agreement": {
            "cases": len(np.unique(image)),
            "readings": len(image),
            **{name: {source: weighted_mean(values[name]) for source, values in known.items()} for name in METRICS},
        }
    }


def _pointing_statistics(found: Pointing, cases: int) -> dict[str, Any]:
    """Create the hit rate of a pointing game, its chance level, their difference, and the distance."""

    def mean(values: Shaped[np.ndarray, " m"]) -> CaseMean:
        per_case = np.full(cases, np.nan)
        per_case[found.case] = values
        return weighted_mean(per_case)

    return {
        "cases": len(found.case),
        "hit_rate": mean(found.hit),
        "chance": mean(found.chance),
        "hit_rate_minus_chance": mean(found.hit - found.chance),
        "distance_px": mean(found.distance_px),
    }


def _corners(
    regions: Sequence[Region], condition: Callable[[Region], bool]
) -> list[tuple[str, float, float, float, float]]:
    return [(r.kind, r.x0_px, r.y0_px, r.x1_px, r.y1_px) for r in regions if condition(r)]
