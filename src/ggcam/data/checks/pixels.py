"""Checks of the images, which are read once: duplicates, blank and odd images, and gaze on the lungs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from ggcam.data.checks.coordinates import CORRECTIONS, Points, image_affines, raw_sizes, share_inside
from ggcam.data.checks.result import CheckResult, make_result
from ggcam.data.grey_levels import BLACK, FEW_LEVELS, INVERTED, MARKS, MIN_LEVELS, WHITE, GreyLevels, find_marks
from ggcam.data.pixel_arrays import to_channels, to_uint8
from ggcam.data.prepared import PreparedData
from ggcam.data.sources.axis_order import on_lungs
from ggcam.errors import join_limited
from ggcam.utils.parallel import thread_count

THUMBNAIL_PX = 96
"""Side in pixels of the square that each image is resized to for the mean image."""


@dataclass(frozen=True, eq=False)
class ImageSummary:
    """What the checks need of one case's image.

    Attributes:
        case_id: id of the case.
        digest: digest of the pixels; equal images have equal digests.
        blank: whether all pixels have the same value.
        levels: grey levels of the image without the frame's margins.
        thumbnail: the image without the frame's margins, in grey, resized to a square and stretched to 0 to 255.
        lung_shares: share of the gaze time on the lungs after each of `CORRECTIONS`; None for a case without gaze.
        lung_area: share of the image that is lung; NaN if the data set has neither masks nor boxes of the lungs, so
            that their usual position on a frontal chest X-ray is used.
    """

    case_id: str
    digest: bytes
    blank: bool
    levels: GreyLevels
    thumbnail: UInt8[np.ndarray, "side side"]
    lung_shares: Float[np.ndarray, " corrections"] | None
    lung_area: float

    @property
    def own_lungs(self) -> bool:
        """Whether the lungs of this image are known."""
        return bool(np.isfinite(self.lung_area))


_NAMES = {
    FEW_LEVELS: f"images with under {MIN_LEVELS} grey levels",
    BLACK: "nearly black images",
    WHITE: "nearly white images",
    INVERTED: "images inverted against the others",
}
_HINTS = {
    FEW_LEVELS: "the values fill only a part of their range, or were reduced: export the images again, or pass "
    "--used-bits when preparing",
    BLACK: "the values fill only the lower part of their range, or a DICOM window is wrong: check the raw files",
    WHITE: "the values fill only the upper part of their range, or a DICOM window is wrong: check the raw files",
    INVERTED: "black and white are swapped: invert the raw files, or correct their photometric interpretation",
}
"""Mark of an image -> name of the check, and how to fix it."""


def summarise_images(
    prepared: PreparedData, points: Mapping[str, Points], progress: Callable[[int, int], None] | None = None
) -> list[ImageSummary]:
    """Read every image and its masks once.

    Args:
        prepared: prepared folder.
        points: case id -> gaze, as :func:`ggcam.data.checks.coordinates.gaze_points` returns it.
        progress: called with the number of images read and of all images, after each image.

    Returns:
        One summary per case, in the order of the cases.

    Raises:
        ImageError: an image is damaged or has another size than the frame.
    """
    affines, sizes = image_affines(prepared), raw_sizes(prepared)

    def summarise(case_id: str) -> ImageSummary:
        image, affine, (height, width) = prepared.read_image(case_id), affines[case_id], sizes[case_id]
        (x0, x1), (y0, y1) = affine.apply_x(np.array([0, width])), affine.apply_y(np.array([0, height]))
        without_margins = to_channels(image[max(0, round(y0)) : round(y1), max(0, round(x0)) : round(x1)], 1)
        lungs = _lungs(prepared, case_id)
        shares = None
        if case_id in points:
            corrected = [correct(points[case_id], height / width) for correct in CORRECTIONS.values()]
            shares = np.array(
                [
                    on_lungs(each) if lungs is None else share_inside(each, lungs, affine, (height, width))
                    for each in corrected
                ]
            )
        return ImageSummary(
            case_id,
            digest=blake2b(np.ascontiguousarray(image).data, digest_size=16).digest(),
            blank=bool(image.min() == image.max()),
            levels=GreyLevels.from_image(to_uint8(without_margins)),
            thumbnail=_thumbnail(without_margins),
            lung_shares=shares,
            lung_area=float(lungs.sum() / ((x1 - x0) * (y1 - y0))) if lungs is not None else float("nan"),
        )

    summaries = []
    with ThreadPoolExecutor(thread_count()) as pool:  # decoding releases the interpreter's lock
        for summary in pool.map(summarise, prepared.cases["case_id"]):
            summaries.append(summary)
            if progress is not None:
                progress(len(summaries), len(prepared))
    return summaries


def _lungs(prepared: PreparedData, case_id: str) -> Bool[np.ndarray, "h w"] | None:
    """Return the lungs of a case in the frame: its masks, else its boxes; None if it has neither."""
    masks = [mask for name, mask in prepared.read_masks(case_id).items() if name in ("left_lung", "right_lung")]
    if masks:
        return np.logical_or.reduce(masks)
    boxes = [box for box in prepared.boxes.get(case_id, ()) if box.name.lower() in ("left lung", "right lung")]
    inside = np.zeros(prepared.frame.shape, dtype=bool)
    for box in boxes:
        x0, y0, x1, y1 = (max(0, round(at)) for at in (box.x0_px, box.y0_px, box.x1_px, box.y1_px))
        inside[y0:y1, x0:x1] = True
    return inside if inside.any() else None


def _thumbnail(image: np.ndarray) -> np.ndarray:
    small = cv2.resize(image, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return cv2.normalize(small.astype(np.float32), np.empty(0), 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def find_copies(images: Sequence[ImageSummary]) -> tuple[tuple[str, ...], ...]:
    """Find cases with equal images. Blank images are left out.

    Args:
        images: summaries of the images.

    Returns:
        Ids of the cases, one group per image that occurs more than once.
    """
    groups: dict[bytes, list[str]] = {}
    for image in images:
        if not image.blank:
            groups.setdefault(image.digest, []).append(image.case_id)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def find_odd_images(prepared: PreparedData, images: Sequence[ImageSummary]) -> dict[str, tuple[str, ...]]:
    """Find images that look wrong, from their prepared pixels and from the flags that preparing set.

    Fitting an image into the frame may hide that it has few grey levels. Blank images are left out.

    Args:
        prepared: prepared folder.
        images: summaries of its images.

    Returns:
        Case id -> its marks, keys of `MARKS`; only cases with a mark, in the order of the cases.
    """
    shown = find_marks({image.case_id: image.levels for image in images if not image.blank})
    flags = {case_id: of_case.split(";") for case_id, of_case in prepared.cases.set_index("case_id")["flags"].items()}
    marks = {
        image.case_id: tuple(
            mark for mark in MARKS if mark in shown.get(image.case_id, ()) or mark in flags[image.case_id]
        )
        for image in images
        if not image.blank
    }
    return {case_id: of_case for case_id, of_case in marks.items() if of_case}


def check_pixels(
    prepared: PreparedData, images: Sequence[ImageSummary], odd: Mapping[str, Sequence[str]]
) -> Iterator[CheckResult]:
    """Check the pixels and the folder of images.

    Args:
        prepared: prepared folder.
        images: summaries of its images.
        odd: marks of images, as :func:`find_odd_images` returns them.

    Yields:
        One result per check.
    """
    yield _check_duplicates(prepared, find_copies(images))
    blank = [image.case_id for image in images if image.blank]
    yield make_result(
        "blank images",
        f"{len(blank):,}" + (f": {join_limited(blank)}" if blank else ""),
        error=bool(blank),
        hint="check the raw files: all pixels of these images have the same value",
    )
    for mark, name in _NAMES.items():
        marked = [case_id for case_id, of_case in odd.items() if mark in of_case]
        yield make_result(
            name,
            f"{len(marked):,}" + (f": {join_limited(marked)}" if marked else ""),
            warning=bool(marked),
            hint=_HINTS[mark],
        )
    stray = {file.name for file in (prepared.root / "images").iterdir()} - {f"{image.case_id}.png" for image in images}
    yield make_result(
        "files without a case",
        f"{len(stray):,}" + (f": {join_limited(sorted(stray))}" if stray else ""),
        warning=bool(stray),
        hint="these files are not used; check whether rows were removed from cases.parquet",
    )


def _check_duplicates(prepared: PreparedData, groups: Sequence[Sequence[str]]) -> CheckResult:
    """Check for duplicates. Those of one patient in one split may be separate readings; all others are errors."""
    table = prepared.cases.set_index("case_id")[["patient_id", "split"]]
    mixed = [group for group in groups if len(table.loc[list(group)].drop_duplicates()) > 1]
    listed = [" = ".join(group[:4]) for group in (mixed or groups)]
    return make_result(
        "duplicate images",
        f"{len(groups):,} images occur more than once" + (f": {join_limited(listed, 3)}" if groups else ""),
        error=bool(mixed),
        warning=bool(groups),
        hint="remove the duplicates from the raw data; otherwise an image counts twice, or is in both training and test"
        if mixed
        else "correct for separate readings of one image; otherwise remove the duplicates from the raw data",
    )
