"""A data check on one page: a single HTML file that needs nothing beside it, and no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ggcam.data.checks.check import DataCheck
from ggcam.data.checks.pixels import THUMBNAIL_PX
from ggcam.data.prepared import PreparedData
from ggcam.report.overlay import cam_overlay, enlarged, png_bytes, stretch_to_uint8
from ggcam.report.render import render, write_page

BINS = 24
"""Bars of a histogram, at most."""

MAX_COPIES = 6
"""Pictures shown of those that come more than once."""

PICTURE_PX = 320
"""Longer side of a picture on the page."""

SPREAD_CELLS = 2.0
"""Standard deviation of the blur of the gaze of all cases, in its cells."""


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: what it counts, how many, and its height as a share of the highest."""

    label: str
    count: int
    share: float


@dataclass(frozen=True)
class Copies:
    """Cases with one picture; its PNG file's content."""

    case_ids: str
    image: bytes


def write_check_page(prepared: PreparedData, check: DataCheck, contact_sheet: bytes, out_html: Path) -> Path:
    """Write the page of a data check, pictures and all. Its folder is made if need be.

    Args:
        prepared: what was checked.
        check: what was found.
        contact_sheet: PNG file's content.
        out_html: where to write.

    Returns:
        The path written.
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
        everything=_pooled(prepared, check),
        copies=[_shown(prepared, group) for group in check.copies[:MAX_COPIES]],
        contact_sheet=contact_sheet,
    )
    write_page(page, out_html)
    return out_html


def histogram(values: np.ndarray, digits: int = 0) -> list[Bar]:
    """Bars over equal ranges up to the 99th percentile, the last one with all beyond; none for no values.

    Args:
        values: finite, >= 0.
        digits: decimals of a range's bounds.
    """
    if not len(values):
        return []
    top = float(np.quantile(values, 0.99)) or 1.0
    bins = BINS if digits else max(1, min(BINS, int(top) + 1))
    step = -(-top // bins) if not digits else top / bins
    counts = np.bincount(np.minimum(values // step, bins - 1).astype(int), minlength=bins)
    ends = [f"{step * i:.{digits}f}" for i in range(bins)]
    labels = [f"{low} to {high}" for low, high in zip(ends, [*ends[1:], "more"], strict=True)]
    return [Bar(label, int(n), n / counts.max()) for label, n in zip(labels, counts, strict=True)]


def _pooled(prepared: PreparedData, check: DataCheck) -> list[tuple[str, bytes]]:
    """The mean image, with the gaze of all cases on it, and with that gaze transposed."""
    heights, widths = (prepared.cases[name].to_numpy() for name in ("raw_height_px", "raw_width_px"))
    tall = float(np.median(heights / widths))
    size = (PICTURE_PX, round(PICTURE_PX * tall)) if tall < 1 else (round(PICTURE_PX / tall), PICTURE_PX)
    mean = cv2.resize(check.mean_image.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    mean = np.clip(mean, 0, 255).astype(np.uint8)
    if not check.gaze_sum.any():
        return [("Mean of all images", png_bytes(mean))]
    spread = cv2.GaussianBlur(check.gaze_sum, (0, 0), SPREAD_CELLS * THUMBNAIL_PX / 96)
    return [
        ("Mean of all images", png_bytes(mean)),
        ("with the gaze of all cases", png_bytes(cam_overlay(mean, spread))),
        ("and if x and y were exchanged", png_bytes(cam_overlay(mean, spread.T))),
    ]


def _shown(prepared: PreparedData, group: Sequence[str]) -> Copies:
    image = stretch_to_uint8(prepared.read_image(group[0]))
    times = PICTURE_PX / 2 / max(image.shape)
    small = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_AREA) if times < 1 else image
    return Copies(", ".join(group), png_bytes(enlarged(small, 64)))
