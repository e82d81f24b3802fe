"""The page of a data check: a single HTML file that needs no other file and no network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from ggcam.data.checks.check import DataCheck
from ggcam.data.checks.pixels import THUMBNAIL_PX
from ggcam.data.pixel_arrays import to_uint8
from ggcam.data.prepared import PreparedData
from ggcam.report.overlay import cam_overlay, enlarge, png_bytes, stretch_to_uint8
from ggcam.report.render import render, write_page

BINS = 24
"""Maximum number of bars of a histogram."""

MAX_COPIES = 6
"""Maximum number of groups of identical images that are shown."""

MAX_ODD = 12
"""Maximum number of images that look wrong that are shown."""

PICTURE_PX = 320
"""Longer side of an image on the page."""

BLUR_CELLS = 2.0
"""Standard deviation of the Gaussian over the pooled gaze, in cells of a grid of 96."""


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram.

    Attributes:
        label: its range.
        count: number of values in the range.
        share: height, as a fraction of the highest bar.
    """

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class Picture:
    """A picture on the page.

    Attributes:
        caption: ids of its cases, and why it is shown.
        image: the image, as content of a PNG file.
    """

    caption: str
    image: bytes


def write_check_page(prepared: PreparedData, check: DataCheck, contact_sheet: bytes, out_html: Path) -> Path:
    """Write the page of a data check, with the pictures inside.

    Args:
        prepared: the prepared folder.
        check: results of the check.
        contact_sheet: contact sheet, as content of a PNG file.
        out_html: file to write; its folder is created if missing.

    Returns:
        `out_html`.
    """
    page = render(
        "check.html.j2",
        name=prepared.root.resolve().name,
        source=prepared.meta.get("source", "unknown"),
        frame=str(prepared.frame),
        cases=len(prepared),
        check=check,
        counts=histogram(check.counts),
        durations=histogram(check.durations_s, digits=2),
        pooled=_pooled(prepared, check),
        copies=[_picture(prepared, group[0], ", ".join(group)) for group in check.copies[:MAX_COPIES]],
        odd=[
            _picture(prepared, case_id, f"{case_id}: {', '.join(marks)}", stretched=False)
            for case_id, marks in islice(check.odd.items(), MAX_ODD)
        ],
        contact_sheet=contact_sheet,
    )
    write_page(page, out_html)
    return out_html


def histogram(values: np.ndarray, digits: int = 0) -> list[Bar]:
    """Count values in equal ranges up to the 99th percentile; the last one includes all values beyond.

    Args:
        values: finite values, >= 0.
        digits: decimals of the bounds of a range; 0 for integers.

    Returns:
        The bars; none without values.
    """
    if not len(values):
        return []
    top = float(np.quantile(values, 0.99)) or 1.0
    bins = BINS if digits else max(1, min(BINS, int(top) + 1))
    step = -(-top // bins) if not digits else top / bins or 1.0  # the quotient of a tiny number is 0
    counts = np.bincount(np.minimum(values // step, bins - 1).astype(int), minlength=bins)
    ends = [f"{step * i:.{digits}f}" for i in range(bins)]
    labels = [f"{low} to {high}" for low, high in zip(ends, [*ends[1:], "more"], strict=True)]
    return [Bar(label, int(n), n / counts.max()) for label, n in zip(labels, counts, strict=True)]


def _pooled(prepared: PreparedData, check: DataCheck) -> list[tuple[str, bytes]]:
    """Return title and PNG of the mean image: plain, with the gaze of all cases, and with that gaze transposed."""
    heights, widths = (prepared.cases[name].to_numpy() for name in ("raw_height_px", "raw_width_px"))
    aspect = float(np.median(heights / widths))
    size = (PICTURE_PX, round(PICTURE_PX * aspect)) if aspect < 1 else (round(PICTURE_PX / aspect), PICTURE_PX)
    mean = cv2.resize(check.mean_image.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    mean = np.clip(mean, 0, 255).astype(np.uint8)
    if not check.gaze_sum.any():
        return [("Mean image", png_bytes(mean))]
    smooth = cv2.GaussianBlur(check.gaze_sum, (0, 0), BLUR_CELLS * THUMBNAIL_PX / 96)
    return [
        ("Mean image", png_bytes(mean)),
        ("With the gaze of all cases", png_bytes(cam_overlay(mean, smooth))),
        ("With x and y of the gaze swapped", png_bytes(cam_overlay(mean, smooth.T))),
    ]


def _picture(prepared: PreparedData, case_id: str, caption: str, stretched: bool = True) -> Picture:
    """Reduce an image for the page, with its range stretched to black and white, or as it is."""
    pixels = prepared.read_image(case_id)
    image = stretch_to_uint8(pixels) if stretched else to_uint8(pixels)
    scale = PICTURE_PX / 2 / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    return Picture(caption, png_bytes(enlarge(small, 64)))
