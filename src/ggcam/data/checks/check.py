"""All checks of a prepared folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ggcam.data.checks.coordinates import gaze_points
from ggcam.data.checks.gaze import check_gaze
from ggcam.data.checks.pixels import THUMBNAIL_PX, check_pixels, find_copies, find_odd_images, summarise_images
from ggcam.data.checks.result import CheckResult
from ggcam.data.checks.tables import check_tables, dropped_rows
from ggcam.data.prepared import PreparedData
from ggcam.gaze.fixations import Fixations


@dataclass(frozen=True)
class ClassGaze:
    """Amount of gaze of a class.

    Attributes:
        class_name: name of the class.
        cases: number of cases.
        with_gaze: number of cases with gaze.
        fixations: median number of fixations of the cases with gaze; NaN without any.
        seconds: median duration of the gaze of the cases with gaze; NaN without any.
    """

    class_name: str
    cases: int
    with_gaze: int
    fixations: float
    seconds: float


@dataclass(frozen=True, eq=False)
class DataCheck:
    """The results of all checks of a prepared folder.

    Attributes:
        results: results in a fixed order.
        classes: amount of gaze per class, in the order of the labels.
        dropped: reason and number of records that were left out when preparing.
        counts: number of fixations of each case with gaze.
        durations_s: duration of each fixation in seconds.
        copies: ids of cases with equal images, one group per image.
        odd: case id -> why its image looks wrong, as keys of :data:`ggcam.data.grey_levels.MARKS`.
        mean_image: mean of all images, each resized to a square, 0 to 255.
        gaze_sum: seconds of gaze in each cell of that square.
    """

    results: tuple[CheckResult, ...]
    classes: tuple[ClassGaze, ...]
    dropped: tuple[tuple[str, int], ...]
    counts: Int[np.ndarray, " n"]
    durations_s: Float[np.ndarray, " m"]
    copies: tuple[tuple[str, ...], ...]
    odd: Mapping[str, tuple[str, ...]]
    mean_image: Float[np.ndarray, "side side"]
    gaze_sum: Float[np.ndarray, "side side"]

    @property
    def errors(self) -> tuple[CheckResult, ...]:
        """Results of level "error"."""
        return tuple(result for result in self.results if result.level == "error")

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """Results of level "warning"."""
        return tuple(result for result in self.results if result.level == "warning")


def check_data(prepared: PreparedData, progress: Callable[[int, int], None] | None = None) -> DataCheck:
    """Check the tables, every image and all gaze of a prepared folder.

    Args:
        prepared: prepared folder.
        progress: called with the number of images read and of all images, after each image.

    Returns:
        The results.

    Raises:
        ImageError: an image is damaged or has another size than the frame.
    """
    points = gaze_points(prepared)
    images = summarise_images(prepared, points, progress)
    odd = find_odd_images(prepared, images)
    all_points = np.concatenate([np.zeros((0, 3)), *points.values()])
    gaze_sum, _, _ = np.histogram2d(
        all_points[:, 0], all_points[:, 1], bins=THUMBNAIL_PX, range=[[0, 1], [0, 1]], weights=all_points[:, 2]
    )
    return DataCheck(
        results=(*check_tables(prepared), *check_pixels(prepared, images, odd), *check_gaze(prepared, points, images)),
        classes=tuple(_class_gaze(prepared, label) for label in range(len(prepared.class_names))),
        dropped=tuple(dropped_rows(prepared)),
        counts=np.array([len(gaze) for gaze in points.values()], dtype=np.int64),
        durations_s=prepared.fixations["duration_s"].to_numpy(np.float64),
        copies=find_copies(images),
        odd=odd,
        mean_image=np.mean([image.thumbnail for image in images], axis=0),
        gaze_sum=gaze_sum,
    )


def _class_gaze(prepared: PreparedData, label: int) -> ClassGaze:
    rows = prepared.cases[prepared.label_matrix[:, label] == 1]
    gaze = [prepared.gaze.get(case_id, Fixations.empty()) for case_id in rows.loc[rows["has_gaze"], "case_id"]]
    return ClassGaze(
        prepared.class_names[label],
        cases=len(rows),
        with_gaze=len(gaze),
        fixations=float(np.median([len(each) for each in gaze])) if gaze else float("nan"),
        seconds=float(np.median([each.total_s for each in gaze])) if gaze else float("nan"),
    )
