"""Checks of the gaze: position, axes, scale, durations, order and duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ggcam.data.checks.coordinates import (
    AXIS_CORRECTIONS,
    CORRECTIONS,
    SCALE_CORRECTIONS,
    UNCHANGED,
    Correction,
    Points,
)
from ggcam.data.checks.pixels import ImageSummary
from ggcam.data.checks.result import CheckResult, make_result
from ggcam.data.prepared import PreparedData
from ggcam.data.sources.axis_order import MIN_READINGS
from ggcam.errors import join_limited
from ggcam.gaze.fixations import Fixations, coverage
from ggcam.gaze.maps import attention_map

ON_IMAGE_WARNING, ON_IMAGE_ERROR = 0.95, 0.7
"""Shares of the gaze time on the image below which a warning or an error is given. Preparing has already left out
fixations off the raw image, so this finds fixations that the frame crops."""

WARNING_STANDARD_ERRORS, ERROR_STANDARD_ERRORS = 2.0, 3.0
"""Gain of a correction, in standard errors, from which a warning or an error is given."""

MIN_SPAN = 0.6
"""Smallest plausible share of the image, along either axis, that the gaze of all cases together spans. It is 0.92 by
0.84 on 125 X-rays of SIIM-ACR, at least 0.7 on simulated data, and half as much for the coordinates of an image of half
the size."""

CORNER = 0.55
"""If the gaze of all cases ends before this share of both width and height, it lies in a corner of the image."""

MIN_FIXATIONS, MAX_SHORT_CASES = 5, 0.1
"""A warning is given if more than this share of the cases has fewer fixations."""

LONG_MEDIAN_S, IMPOSSIBLE_MEDIAN_S = 1.5, 10.0
"""Median durations from which a warning or an error is given. Fixations of readers of X-rays take about 0.25 s."""

MAP_GRID = 24
"""Rows and columns of the maps whose entropy is computed."""

MIN_ENTROPY, MAX_ENTROPY = 0.45, 0.98
"""Plausible range of the median entropy, as a share of its maximum. Below it, gaze is at one point; above it, gaze is
spread evenly. The readings of SIIM-ACR have 0.59 to 0.88."""


def check_gaze(
    prepared: PreparedData, points: Mapping[str, Points], images: Sequence[ImageSummary]
) -> Iterator[CheckResult]:
    """Check the gaze. Whether it is on the lungs is only checked on chest X-rays, and so are its axes, by the lungs.

    Args:
        prepared: prepared folder.
        points: case id -> gaze, as :func:`ggcam.data.checks.coordinates.gaze_points` returns it.
        images: summaries of the images.

    Yields:
        One result per check; none for data without gaze.
    """
    if not points:
        return
    yield _check_on_image(prepared)
    span = _Span.from_points(points)
    if prepared.kind == "chest":
        shares, own_lungs = _lung_shares(images)
        best = _BestCorrection.from_shares(shares, own_lungs, points)
        areas = [image.lung_area for image in images if image.own_lungs and image.lung_shares is not None]
        yield _check_on_lungs(shares, areas)
        yield _check_axes(best, span.narrow)
        yield _check_scale(best, span)
    else:
        yield _check_scale(None, span)
    yield _check_counts(prepared)
    yield from _check_labels(prepared)
    yield from _check_mentions(prepared)
    yield _check_durations(prepared)
    yield _check_order(prepared)
    yield _check_entropy(prepared)
    yield _check_duplicates(prepared)


def _check_on_image(prepared: PreparedData) -> CheckResult:
    shares = [
        coverage(gaze, gaze.inside(prepared.frame.height_px, prepared.frame.width_px)) for gaze in _timed(prepared)
    ]
    share = float(np.mean(shares))
    return make_result(
        "gaze on the image",
        f"{share:.1%} of the time",
        error=share < ON_IMAGE_ERROR,
        warning=share < ON_IMAGE_WARNING,
        hint="the coordinates refer to a larger image, or the frame crops: check the scale, or increase --size",
    )


def _timed(prepared: PreparedData) -> list[Fixations]:
    return [gaze for gaze in prepared.gaze.values() if gaze.total_s > 0]


def _lung_shares(images: Sequence[ImageSummary]) -> tuple[Float[np.ndarray, "n corrections"], bool]:
    """Share of the time on the lungs after each of `CORRECTIONS`: of the cases with known lungs, if there are any."""
    with_gaze = [image for image in images if image.lung_shares is not None]
    own_lungs = [image for image in with_gaze if image.own_lungs]
    shares = [image.lung_shares for image in own_lungs or with_gaze if image.lung_shares is not None]
    return np.array(shares).reshape(-1, len(CORRECTIONS)), bool(own_lungs)


def _check_on_lungs(shares: Float[np.ndarray, "n corrections"], areas: Sequence[float]) -> CheckResult:
    """Compare the share of the time on the lungs with their share of the image, where the lungs are known."""
    share, area = float(shares[:, 0].mean()), float(np.mean(areas)) if areas else 0.0
    known = f"; they are {area:.0%} of the image" if areas else ", at their usual position on a frontal chest X-ray"
    return make_result(
        "gaze on the lungs",
        f"{share:.1%} of the time{known}",
        warning=share < area,
        hint="a random point would be on the lungs more often; look at the images of the report",
    )


@dataclass(frozen=True)
class _BestCorrection:
    """The correction that brings most of the gaze onto the lungs.

    Attributes:
        name: name of the best correction, other than `UNCHANGED`.
        gain: share of the time that it brings onto the lungs; negative if the gaze fits best unchanged.
        standard_errors: gain divided by its standard error.
        own_lungs: whether the lungs of the images are known.
        enough: whether there are enough cases to decide.
    """

    name: str
    gain: float
    standard_errors: float
    own_lungs: bool
    enough: bool

    @classmethod
    def from_shares(
        cls, shares: Float[np.ndarray, "n corrections"], own_lungs: bool, points: Mapping[str, Points]
    ) -> _BestCorrection:
        gains = {name: shares[:, column] - shares[:, 0] for column, name in enumerate(CORRECTIONS) if name != UNCHANGED}
        for name, scale in SCALE_CORRECTIONS.items():  # gaze reduced to a corner is on a lung wherever it was before
            if _Span.from_points({case_id: scale(each, 1) for case_id, each in points.items()}).narrow:
                del gains[name]
        best = max(gains, key=lambda name: gains[name].mean())
        gain, spread = float(gains[best].mean()), float(gains[best].std())
        standard_errors = gain / max(spread / len(shares) ** 0.5, 1e-9)
        return cls(best, gain, standard_errors, own_lungs, enough=len(shares) >= MIN_READINGS)

    def is_among(self, corrections: Mapping[str, Correction]) -> bool:
        """Return whether the gaze fits clearly better after one of these corrections."""
        return self.enough and self.standard_errors > WARNING_STANDARD_ERRORS and self.name in corrections

    @property
    def certain(self) -> bool:
        """Whether the gain is an error and not only a warning, which requires that the lungs are known."""
        return self.own_lungs and self.standard_errors > ERROR_STANDARD_ERRORS

    def __str__(self) -> str:
        if not self.enough:
            return f"not checked: fewer than {MIN_READINGS} cases with gaze"
        where = "the lungs" if self.own_lungs else "the usual position of the lungs"
        if self.standard_errors > WARNING_STANDARD_ERRORS:
            return f"{self.name} would bring {self.gain:.1%} more of the time onto {where}"
        return f"no correction brings more of it onto {where}"


def _check_axes(best: _BestCorrection, narrow: bool) -> CheckResult:
    """Check the axes. For gaze that spans only a part of the image, the scale must be corrected first."""
    suspect = best.is_among(AXIS_CORRECTIONS)
    return make_result(
        "axes of the gaze",
        "see the scale of the gaze" if best.is_among(SCALE_CORRECTIONS) else str(best),
        error=suspect and best.certain and not narrow,
        warning=suspect,
        hint="look at the images of the report; if the gaze is misplaced, swap x and y (--columns, --axis-order) and "
        "prepare again",
    )


@dataclass(frozen=True)
class _Span:
    """The range that contains 98% of the fixations of all cases, as fractions of height and width (in this order).

    Attributes:
        low: lower ends.
        high: upper ends.
        enough: whether there are enough cases to decide.
    """

    low: Float[np.ndarray, " sides"]
    high: Float[np.ndarray, " sides"]
    enough: bool

    @classmethod
    def from_points(cls, points: Mapping[str, Points]) -> _Span:
        all_points = np.concatenate(list(points.values()))
        low, high = np.quantile(all_points[all_points[:, 2] > 0, :2], [0.01, 0.99], axis=0)
        return cls(low, high, enough=len(points) >= MIN_READINGS)

    @property
    def narrow(self) -> bool:
        return self.enough and float((self.high - self.low).min()) < MIN_SPAN

    @property
    def cornered(self) -> bool:
        return self.enough and bool((self.high < CORNER).all() or (self.low > 1 - CORNER).all())

    def __str__(self) -> str:
        rows, columns = (f"{self.low[axis]:.0%} to {self.high[axis]:.0%}" for axis in (0, 1))
        return f"98% within {columns} of the width and {rows} of the height"


def _check_scale(best: _BestCorrection | None, span: _Span) -> CheckResult:
    """Check the scale in two ways, because each misses some mistakes: by the lungs, if known, and by the range."""
    suspect = best is not None and best.is_among(SCALE_CORRECTIONS)
    return make_result(
        "scale of the gaze",
        f"{best}; {span}" if suspect else str(span),
        error=span.cornered or (best is not None and suspect and best.certain),
        warning=suspect or span.narrow,
        hint="the coordinates may refer to an image of another size (a screen, a reduced copy): check units and sizes, "
        "and prepare again",
    )


def _check_counts(prepared: PreparedData) -> CheckResult:
    counts = np.array([len(gaze) for gaze in _timed(prepared)])
    short = float((counts < MIN_FIXATIONS).mean())
    readings = max(map(len, prepared.fixations.groupby("case_id")["reading_id"].unique()))
    return make_result(
        "fixations per case",
        f"median {np.median(counts):.0f}, from {counts.min()} to {counts.max()}"
        + (f", in up to {readings} readings" if readings > 1 else "")
        + (f"; fewer than {MIN_FIXATIONS} in {short:.0%} of the cases" if short else ""),
        warning=short > MAX_SHORT_CASES,
        hint="check whether the recordings are complete; a truncated one only shows where the reader started",
    )


def _check_labels(prepared: PreparedData) -> Iterator[CheckResult]:
    """Check that the labels of the fixations are classes; no result if there are no labels."""
    labels = prepared.fixations["label"].fillna("")
    named = labels[labels != ""]
    if len(named):
        unknown = sorted(set(named) - set(prepared.class_names))
        classes = len(set(named)) - len(unknown)
        yield make_result(
            "labels of the fixations",
            f"{len(named) / len(labels):.0%} name a finding, {classes} of {len(prepared.class_names)} classes"
            + (f"; not a class: {join_limited(unknown)}" if unknown else ""),
            warning=bool(unknown),
            hint="gaze guides the CAM of the class with the same name: use the names of the classes in --vocabulary or "
            "in the labels",
        )


def _check_mentions(prepared: PreparedData) -> Iterator[CheckResult]:
    """Check that the findings that readers name are classes; no result if there are no dictations."""
    mentions = prepared.mentions
    if len(mentions):
        unknown = sorted(set(mentions["label"]) - set(prepared.class_names))
        share = mentions["reading_id"].nunique() / max(prepared.fixations["reading_id"].nunique(), 1)
        with_side = (mentions["side"] != "").mean()
        yield make_result(
            "findings in the dictations",
            f"{len(mentions):,} in {share:.0%} of the readings, {with_side:.0%} of them with a side"
            + (f"; not a class: {join_limited(unknown)}" if unknown else ""),
            warning=bool(unknown),
            hint="a mention guides the CAM of the class with its name: use the names of the classes in --vocabulary",
        )


def _check_durations(prepared: PreparedData) -> CheckResult:
    duration_s = prepared.fixations["duration_s"].to_numpy()
    if duration_s.min() == duration_s.max():
        return CheckResult("duration of the fixations", f"{duration_s[0]:g} s each, so all points have equal weight")
    low, median, high = np.quantile(duration_s, [0.05, 0.5, 0.95])
    return make_result(
        "duration of the fixations",
        f"median {median:.3g} s, 90% within {low:.3g} to {high:.3g} s",
        error=bool(median > IMPOSSIBLE_MEDIAN_S),
        warning=bool(median > LONG_MEDIAN_S),
        hint="durations must be in seconds; check whether these are milliseconds",
    )


def _check_order(prepared: PreparedData) -> CheckResult:
    table = prepared.fixations
    step = table.groupby(["case_id", "reading_id"], sort=False)["start_s"].diff()
    backwards = table.loc[step < 0, "case_id"].unique()
    return make_result(
        "order in time",
        f"violated in {len(backwards):,} cases: {join_limited(backwards, 3)}"
        if len(backwards)
        else "correct in every reading",
        warning=len(backwards) > 0,
        hint="scanpaths of these cases are incorrect: check whether several recordings share one reading_id",
    )


def _check_entropy(prepared: PreparedData) -> CheckResult:
    """Check the entropy of the attention maps, as a share of its maximum: 0 for one cell, 1 for equal cells."""
    frame = prepared.frame.shape
    values = []
    for gaze in _timed(prepared):
        density = attention_map(gaze, (MAP_GRID, MAP_GRID), frame, kind="density")
        mass = density[density > 0]
        if len(mass):
            values.append(-(mass * np.log(mass)).sum() / np.log(density.size))
    if not values:
        return CheckResult("entropy of the gaze maps", "no maps: all gaze is off the frame")
    median = float(np.median(values))
    return make_result(
        "entropy of the gaze maps",
        f"median {median:.2f}, from {min(values):.2f} to {max(values):.2f} (0 at one point, 1 spread evenly)",
        warning=not MIN_ENTROPY <= median <= MAX_ENTROPY,
        hint="gaze at one point, or spread evenly, cannot guide a CAM: look at the images of the report",
    )


def _check_duplicates(prepared: PreparedData) -> CheckResult:
    """Check for cases with the same fixations; a single fixation may agree by chance."""
    owners: dict[bytes, list[str]] = {}
    for case_id, gaze in prepared.gaze.items():
        if len(gaze) > 1:
            key = np.stack([gaze.x_px, gaze.y_px, gaze.duration_s]).tobytes()
            owners.setdefault(key, []).append(case_id)
    groups = [" = ".join(group[:4]) for group in owners.values() if len(group) > 1]
    return make_result(
        "duplicate gaze",
        f"{len(groups):,} recordings occur more than once" + (f": {join_limited(groups, 3)}" if groups else ""),
        warning=bool(groups),
        hint="a recording belongs to one reading of one image: check for truncated ids and mixed-up pairs",
    )
