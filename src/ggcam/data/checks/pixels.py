"""One look at every image: is it another's copy, is it blank, and does gaze lie on its lungs?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from ggcam.data.checks.coordinates import MOVES, Points, image_places, raw_sizes, share_inside
from ggcam.data.checks.result import CheckResult, graded
from ggcam.data.prepared import PreparedData
from ggcam.data.sources.axis_order import on_lungs
from ggcam.errors import join_limited
from ggcam.utils.parallel import thread_count

THUMBNAIL_PX = 96
"""Side of the square to which each image is brought for the mean of all."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of one case.

    Attributes:
        case_id: of the case.
        digest: of the pixels: the same for images that are equal.
        blank: whether one grey value fills the image.
        thumbnail: the raw image's part of the frame, brought to a square, its range stretched to 0..255.
        lung_shares: share of the gaze's time on the lungs for each of `MOVES`; None for a case without gaze.
        lung_area: share of the image that the lungs fill; NaN where the data set knows nothing of them, and the usual
            place on a frontal chest X-ray stood in.
    """

    case_id: str
    digest: bytes
    blank: bool
    thumbnail: UInt8[np.ndarray, "side side"]
    lung_shares: Float[np.ndarray, " moves"] | None
    lung_area: float

    @property
    def own_lungs(self) -> bool:
        """Whether the lungs are those of the image itself."""
        return bool(np.isfinite(self.lung_area))


def look(
    prepared: PreparedData, points: Mapping[str, Points], progress: Callable[[int, int], None] | None = None
) -> list[Seen]:
    """Read every image and its masks once, in the order of the cases.

    Args:
        prepared: the data.
        points: case id -> gaze in shares of the raw image.
        progress: called with the number of images seen and of all, after each.

    Raises:
        ImageError: an image is damaged or of another size than the frame.
    """
    places, sizes = image_places(prepared), raw_sizes(prepared)

    def see(case_id: str) -> Seen:
        image, place, (height, width) = prepared.read_image(case_id), places[case_id], sizes[case_id]
        (x0, x1), (y0, y1) = place.apply_x(np.array([0, width])), place.apply_y(np.array([0, height]))
        shown = image[max(0, round(y0)) : round(y1), max(0, round(x0)) : round(x1)]
        lungs = _lungs(prepared, case_id)
        shares = None
        if case_id in points:
            moved = [move(points[case_id], height / width) for move in MOVES.values()]
            shares = np.array(
                [
                    on_lungs(each) if lungs is None else share_inside(each, lungs, place, (height, width))
                    for each in moved
                ]
            )
        return Seen(
            case_id,
            digest=blake2b(np.ascontiguousarray(image).data, digest_size=16).digest(),
            blank=bool(image.min() == image.max()),
            thumbnail=_thumbnail(shown),
            lung_shares=shares,
            lung_area=float(lungs.sum() / ((x1 - x0) * (y1 - y0))) if lungs is not None else float("nan"),
        )

    found = []
    with ThreadPoolExecutor(thread_count()) as pool:  # decoding frees the interpreter's lock
        for seen in pool.map(see, prepared.cases["case_id"]):
            found.append(seen)
            if progress is not None:
                progress(len(found), len(prepared))
    return found


def _lungs(prepared: PreparedData, case_id: str) -> Bool[np.ndarray, "h w"] | None:
    """The lungs of a case in the frame: its masks, or else its boxes; None where it has neither."""
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


def copies(seen: Sequence[Seen]) -> tuple[tuple[str, ...], ...]:
    """Ids of cases whose images are equal, one group a picture; blank images, all alike, are another matter."""
    groups: dict[bytes, list[str]] = {}
    for each in seen:
        if not each.blank:
            groups.setdefault(each.digest, []).append(each.case_id)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def check_pixels(prepared: PreparedData, seen: Sequence[Seen]) -> Iterator[CheckResult]:
    """What the pixels and the folder of images say."""
    yield _copied(prepared, copies(seen))
    blank = [each.case_id for each in seen if each.blank]
    yield graded(
        "blank images",
        f"{len(blank):,}" + (f": {join_limited(blank)}" if blank else ""),
        wrong=bool(blank),
        hint="look at the raw files: one grey value throughout is no picture",
    )
    stray = {file.name for file in (prepared.root / "images").iterdir()} - {f"{each.case_id}.png" for each in seen}
    yield graded(
        "files without a case",
        f"{len(stray):,}" + (f": {join_limited(sorted(stray))}" if stray else ""),
        warning=bool(stray),
        hint="nothing reads them; were rows taken out of cases.parquet?",
    )


def _copied(prepared: PreparedData, groups: Sequence[Sequence[str]]) -> CheckResult:
    """Copies of one patient in one split may be several readings kept apart; any others are wrong."""
    table = prepared.cases.set_index("case_id")[["patient_id", "split"]]
    torn = [group for group in groups if len(table.loc[list(group)].drop_duplicates()) > 1]
    said = [" = ".join(group[:4]) for group in (torn or groups)]
    return graded(
        "duplicate images",
        f"pictures that come more than once: {len(groups):,}" + (f", {join_limited(said, 3)}" if groups else ""),
        wrong=bool(torn),
        warning=bool(groups),
        hint="take one of each out of the raw data: a picture counts twice, or was both trained on and tested"
        if torn
        else "right for readings kept apart; otherwise take one of each out of the raw data",
    )
