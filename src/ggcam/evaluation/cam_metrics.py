"""What metrics.json says of the CAM: where it peaks, what it covers, whether it agrees with gaze or follows a marker.

Each function returns a part of the tree that `measure` fills in: functions of case weights and numbers of cases.
Chance levels are means over cases like the metrics beside them, so they have intervals too.
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
from ggcam.metrics.saliency import centre_map

OVERLAP: dict[str, OverlapMetric] = {
    "energy_inside": energy_inside,
    "mean_iou": mean_iou,
    "best_iou": best_iou,
    "average_precision": cell_average_precision,
}

FINEST = 256
"""Rows and columns, at most, on which the area of a finding is measured."""


@dataclass(frozen=True)
class Blur:
    """Width of the Gaussian of a gaze map: `sigma_px` of the frame where given, or else degrees of visual angle."""

    sigma_px: float | None = None
    sigma_deg: float = 1.0

    def densities(
        self, readings: Sequence[Fixations], grid: tuple[int, int], image_size: tuple[int, int]
    ) -> Float[np.ndarray, "n h w"]:
        """`attention_map` of each reading, all at once."""
        gaze = GazeBatch.from_fixations(
            readings, image_size, sigma_deg=self.sigma_deg, sigma_px=self.sigma_px, dtype=torch.float64
        )
        return gaze.density(grid).numpy()


@dataclass(frozen=True, eq=False)
class CaseMasks:
    """What lies where in each case, on the grid of the CAM.

    Attributes:
        image_size: height and width of the images in pixels.
        mediastinum: shape (n, h, w).
        lung: shape (n, h, w), both lungs.
        finding: shape (n, h, w), cells that any finding touches.
        finding_share: shape (n,), share of the image's area that its findings take up.
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
        """Read masks and regions of some cases of a prepared folder; what a case lacks is empty.

        Args:
            data: the prepared folder.
            cases: (n rows), some of its cases; the same one may come again.
            grid: rows and columns of the CAM.
            findings: name of the regions, for each case, that count as its findings; by default all that mark any.
        """
        rows, columns = grid
        image_size = data.frame.shape
        fine = (min(image_size[0], FINEST), min(image_size[1], FINEST))
        mediastinum, lung, finding, marker = np.zeros((4, len(cases), rows, columns), dtype=bool)
        share = np.zeros(len(cases))
        for i, case_id in enumerate(cases["case_id"]):
            for name, mask in data.read_masks(case_id).items():
                (mediastinum if name == "mediastinum" else lung)[i] |= mask_to_grid(mask, (rows, columns))
            regions = data.boxes.get(case_id, ())
            wanted = [region for region in regions if findings is None or region.name == findings[i]]
            found = _corners(wanted, lambda region: region.is_finding)
            finding[i] = regions_to_mask(found, image_size, (rows, columns))
            share[i] = regions_to_mask(found, image_size, fine).mean()
            markers = _corners(regions, lambda region: region.name == SHORTCUT_MARKER)
            marker[i] = regions_to_mask(markers, image_size, (rows, columns))
        return cls(image_size, mediastinum, lung, finding, share, marker)


@dataclass(frozen=True, eq=False)
class Overlap:
    """A metric of overlap of each CAM and, as its chance, of the same cells in random order; NaN without a truth."""

    values: Float[np.ndarray, " n"]
    chance: Float[np.ndarray, " n"]

    @classmethod
    def from_cams(
        cls, metric: OverlapMetric, cam: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]
    ) -> Overlap:
        """Measure every case that has a truth."""
        case = np.flatnonzero(truth.any(axis=(1, 2)))
        values, chance = np.full((2, len(cam)), np.nan)
        values[case] = metric(cam[case], truth[case])
        chance[case] = shuffled_chance(metric, cam[case], truth[case])
        return cls(values, chance)

    def metrics(self, chosen: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        """Mean over some of the cases, of the CAM and of chance, and of the one above the other."""
        values, chance = (np.where(chosen, each, np.nan) for each in (self.values, self.chance))
        return {
            "cam": weighted_mean(values),
            "chance": weighted_mean(chance),
            "cam_minus_chance": weighted_mean(values - chance),
        }


def localisation_metrics(
    cam: Float[np.ndarray, "n h w"], labels: Int[np.ndarray, " n"], class_names: tuple[str, ...], places: CaseMasks
) -> dict[str, Any]:
    """Under "anatomy" and "pointing_game" where the CAM peaks, under "overlap" what it covers: class by class.

    "overlap" has each metric of `OVERLAP` as "cam", "chance" and "cam_minus_chance", and all of it again "by_size" of
    the finding, small, medium or large.
    """
    within = chance_level(places.finding, within=places.mediastinum | places.lung)
    anatomy = anatomy_pointing(cam, labels, class_names, places.mediastinum, places.lung, places.image_size)
    covered = {name: Overlap.from_cams(each, cam, places.finding) for name, each in OVERLAP.items()}
    sizes = size_group(places.finding_share)
    tree: dict[str, Any] = {
        "anatomy": {name: _pointed(found, len(cam)) for name, found in anatomy.items() if len(found.case)},
        "pointing_game": {},
        "overlap": {},
    }

    def pointing(chosen: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        found = Pointing.from_cams(cam, places.finding & chosen[:, None, None], places.image_size)
        in_lungs_and_heart = weighted_mean(np.where(chosen, within, np.nan))
        return {**_pointed(found, len(cam)), "chance_in_lungs_and_heart": in_lungs_and_heart}

    def overlap(chosen: Bool[np.ndarray, " n"]) -> dict[str, Any]:
        return {name: each.metrics(chosen) for name, each in covered.items()}

    marked = places.finding.any(axis=(1, 2))
    for k, name in enumerate(class_names):
        of_class = marked & (labels == k)
        if not of_class.any():
            continue
        tree["pointing_game"][name] = pointing(of_class)
        by_size = {size: of_class & (sizes == group) for group, size in enumerate(SIZES)}
        tree["overlap"][name] = {
            "cases": int(of_class.sum()),
            **overlap(of_class),
            "by_size": {size: {**pointing(of), **overlap(of)} for size, of in by_size.items() if of.any()},
        }
    return tree


def shortcut_metrics(cam: Float[np.ndarray, "n h w"], places: CaseMasks) -> dict[str, Any]:
    """Under "shortcut" whether the CAM is on a simulated marker: nothing where no case has one. Lower is better."""
    if not places.marker.any():
        return {}
    return {
        "shortcut": {
            **_pointed(Pointing.from_cams(cam, places.marker, places.image_size), len(cam)),
            "energy_inside": Overlap.from_cams(energy_inside, cam, places.marker).metrics(
                np.ones(len(cam), dtype=bool)
            ),
        }
    }


def gaze_metrics(
    cam: Float[np.ndarray, "n h w"],
    readings: Sequence[Sequence[Fixations]],
    patients: Shaped[np.ndarray, " n"],
    places: CaseMasks,
    blur: Blur,
) -> dict[str, Any]:
    """Under "gaze_agreement" every metric of `agreement`, of the CAM and of all that it is to be read against.

    Each has "cam", its floors "shuffled_gaze" (the CAM against gaze on other patients' images), "centre" and "lungs",
    its ceiling "other_reader" where several read one image, and "cam_minus_shuffled_gaze". A case with several
    readings has the mean over them. Nothing where no case has gaze.

    Args:
        cam: shape (n, h, w).
        readings: of each of the n cases.
        patients: shape (n,), the patient of each case.
        places: in each case.
        blur: of the gaze maps.
    """
    grid = (cam.shape[1], cam.shape[2])
    seen = [(i, reading) for i, of_case in enumerate(readings) for reading in of_case if reading.total_s > 0]
    if not seen:
        return {}
    image = np.array([i for i, _ in seen])
    gaze = GazeMaps.from_maps(
        blur.densities([reading for _, reading in seen], grid, places.image_size),
        np.stack([fixation_histogram(reading, grid, places.image_size) for _, reading in seen]),
        patients[image],
    )
    centre = centre_map(grid)
    lungs = agreement(places.lung[image].astype(np.float64), gaze, centre)
    has_lungs = places.lung[image].any(axis=(1, 2))
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


def _pointed(found: Pointing, cases: int) -> dict[str, Any]:
    """Hit rate of a pointing game, beside its chance, the one above the other, and the distance."""

    def mean(values: Shaped[np.ndarray, " m"]) -> CaseMean:
        of_all = np.full(cases, np.nan)
        of_all[found.case] = values
        return weighted_mean(of_all)

    return {
        "cases": len(found.case),
        "hit_rate": mean(found.hit),
        "chance": mean(found.chance),
        "hit_rate_minus_chance": mean(found.hit - found.chance),
        "distance_px": mean(found.distance_px),
    }


def _corners(
    regions: Sequence[Region], wanted: Callable[[Region], bool]
) -> list[tuple[str, float, float, float, float]]:
    return [(r.kind, r.x0_px, r.y0_px, r.x1_px, r.y1_px) for r in regions if wanted(r)]
