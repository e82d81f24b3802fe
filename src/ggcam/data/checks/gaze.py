"""What the gaze says: does it lie on its images, in their order of axes and on their scale, for plausible times?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ggcam.data.checks.coordinates import AS_IT_IS, AXES, MOVES, SCALES, Move, Points
from ggcam.data.checks.pixels import Seen
from ggcam.data.checks.result import CheckResult, graded
from ggcam.data.prepared import PreparedData
from ggcam.data.sources.axis_order import MIN_READINGS
from ggcam.errors import join_limited
from ggcam.gaze.fixations import Fixations, coverage
from ggcam.gaze.maps import attention_map

ON_IMAGE_WARNING, ON_IMAGE_ERROR = 0.95, 0.7
"""Shares of the time that gaze must lie on the image. Preparation has left out what was off it, unless it cropped."""

SUSPICIOUS, CERTAIN = 2.0, 3.0
"""Standard errors by which moved gaze must lie better on the lungs to be called suspicious, and wrong."""

NARROWEST = 0.6
"""Share of the image, along either axis, that the gaze of all cases together should span at least. Half of it is what
positions of an image half as large would leave. It is 0.92 by 0.84 on 125 X-rays of SIIM-ACR, and 0.7 or more on
phantoms."""

CORNER = 0.55
"""Gaze of all cases that ends before so much of width and height lies in a corner of the image."""

MIN_FIXATIONS, MIN_CASES = 5, 0.1
"""More than a tenth of the cases with fewer fixations than five are worth a look."""

USUAL_S, IMPOSSIBLE_S = 1.5, 10.0
"""Median fixations above these are slow, or milliseconds; readers of X-rays fixate for about 0.25 s."""

MAP_GRID = 24
"""Cells along either side of the maps whose entropy is taken."""

POINTED, EVEN = 0.45, 0.98
"""Bounds of the median entropy, as a share of its maximum: gaze at one point, and gaze spread evenly. Readings of
SIIM-ACR have 0.59 to 0.88."""


def check_gaze(prepared: PreparedData, points: Mapping[str, Points], seen: Sequence[Seen]) -> Iterator[CheckResult]:
    """What the fixations say; nothing where there are none."""
    if not points:
        return
    yield _on_image(prepared)
    shares, own = _shares(seen)
    fit, span = _Fit.from_shares(shares, own, points), _Span.from_points(points)
    yield _on_lungs(shares, [each.lung_area for each in seen if each.own_lungs and each.lung_shares is not None])
    yield _axes(fit, span.narrow)
    yield _scale(fit, span)
    yield _counts(prepared)
    yield from _labels(prepared)
    yield _durations(prepared)
    yield _order(prepared)
    yield _entropy(prepared)
    yield _copied(prepared)


def _on_image(prepared: PreparedData) -> CheckResult:
    shares = [
        coverage(gaze, gaze.inside(prepared.frame.height_px, prepared.frame.width_px)) for gaze in _timed(prepared)
    ]
    share = float(np.mean(shares))
    return graded(
        "gaze on the image",
        f"{share:.1%} of the time",
        wrong=share < ON_IMAGE_ERROR,
        warning=share < ON_IMAGE_WARNING,
        hint="the positions are those of a larger image, or the frame crops: check scale, or enlarge --size",
    )


def _timed(prepared: PreparedData) -> list[Fixations]:
    return [gaze for gaze in prepared.gaze.values() if gaze.total_s > 0]


def _shares(seen: Sequence[Seen]) -> tuple[Float[np.ndarray, "n moves"], bool]:
    """Time on the lungs of each case with gaze for each of `MOVES`; where any have lungs of their own, these alone."""
    with_gaze = [each for each in seen if each.lung_shares is not None]
    own = [each for each in with_gaze if each.own_lungs]
    chosen = [each.lung_shares for each in own or with_gaze if each.lung_shares is not None]
    return np.array(chosen).reshape(-1, len(MOVES)), bool(own)


def _on_lungs(shares: Float[np.ndarray, "n moves"], areas: Sequence[float]) -> CheckResult:
    """Compares with the lungs' share of the image, where the data set knows its lungs."""
    share, area = float(shares[:, 0].mean()), float(np.mean(areas)) if areas else 0.0
    known = f"; they are {area:.0%} of the image" if areas else ", where they usually are on a frontal chest X-ray"
    return graded(
        "gaze on the lungs",
        f"{share:.1%} of the time{known}",
        warning=share < area,
        hint="a random point would lie on the lungs more often: look at the page's pictures",
    )


@dataclass(frozen=True)
class _Fit:
    """Whether gaze would lie better on the lungs if it were moved.

    Attributes:
        move: the best of all but `AS_IT_IS`.
        gain: share of the time that it would bring onto the lungs; negative where gaze lies best as it is.
        errors: the gain in its standard errors.
        own: whether the lungs are those of the images.
        enough: whether there are cases enough to tell.
    """

    move: str
    gain: float
    errors: float
    own: bool
    enough: bool

    @classmethod
    def from_shares(cls, shares: Float[np.ndarray, "n moves"], own: bool, points: Mapping[str, Points]) -> _Fit:
        gains = {move: shares[:, column] - shares[:, 0] for column, move in enumerate(MOVES) if move != AS_IT_IS}
        for move, scale in SCALES.items():  # huddled in a corner, gaze lies on a lung, whatever it was before
            if _Span.from_points({case_id: scale(each, 1) for case_id, each in points.items()}).narrow:
                del gains[move]
        best = max(gains, key=lambda move: gains[move].mean())
        gain, spread = float(gains[best].mean()), float(gains[best].std())
        errors = gain / max(spread / len(shares) ** 0.5, 1e-9)
        return cls(best, gain, errors, own, enough=len(shares) >= MIN_READINGS)

    def suspects(self, moves: Mapping[str, Move]) -> bool:
        return self.enough and self.errors > SUSPICIOUS and self.move in moves

    @property
    def certain(self) -> bool:
        """Only on lungs of the images' own."""
        return self.own and self.errors > CERTAIN

    def __str__(self) -> str:
        if not self.enough:
            return f"fewer than {MIN_READINGS} cases with gaze are too few to tell"
        where = "the lungs" if self.own else "the usual place of lungs"
        if self.errors > SUSPICIOUS:
            return f"{self.move} would bring {self.gain:.1%} more of the time onto {where}"
        return f"on {where} it lies best as it is, or as well as otherwise"


def _axes(fit: _Fit, narrow: bool) -> CheckResult:
    """Of gaze that spans a part of the image alone, nothing certain can be said before its scale is right."""
    suspect = fit.suspects(AXES)
    return graded(
        "axes of the gaze",
        "see its scale" if fit.suspects(SCALES) else str(fit),
        wrong=suspect and fit.certain and not narrow,
        warning=suspect,
        hint="look at the pictures; if gaze lies wrong there, exchange x and y (--columns, --axis-order) and prepare "
        "again",
    )


@dataclass(frozen=True)
class _Span:
    """What 98% of the fixations of all cases lie within, as shares of height and width (in this order).

    Attributes:
        low: lower ends.
        high: upper ends.
        enough: whether there are cases enough to tell.
    """

    low: Float[np.ndarray, " sides"]
    high: Float[np.ndarray, " sides"]
    enough: bool

    @classmethod
    def from_points(cls, points: Mapping[str, Points]) -> _Span:
        together = np.concatenate(list(points.values()))
        low, high = np.quantile(together[together[:, 2] > 0, :2], [0.01, 0.99], axis=0)
        return cls(low, high, enough=len(points) >= MIN_READINGS)

    @property
    def narrow(self) -> bool:
        return self.enough and float((self.high - self.low).min()) < NARROWEST

    @property
    def cornered(self) -> bool:
        return self.enough and bool((self.high < CORNER).all() or (self.low > 1 - CORNER).all())

    def __str__(self) -> str:
        rows, columns = (f"{self.low[axis]:.0%} to {self.high[axis]:.0%}" for axis in (0, 1))
        return f"98% of it within {columns} of the width and {rows} of the height"


def _scale(fit: _Fit, span: _Span) -> CheckResult:
    """Two tests, since either misses some: lungs that another scale would hit, and gaze in a corner of the image."""
    suspect = fit.suspects(SCALES)
    return graded(
        "scale of the gaze",
        f"{fit}; {span}" if suspect else str(span),
        wrong=span.cornered or (suspect and fit.certain),
        warning=suspect or span.narrow,
        hint="do the positions refer to an image of another size (a screen, a reduced copy)? Check units and sizes, "
        "and prepare again",
    )


def _counts(prepared: PreparedData) -> CheckResult:
    counts = np.array([len(gaze) for gaze in _timed(prepared)])
    few = float((counts < MIN_FIXATIONS).mean())
    readings = max(map(len, prepared.fixations.groupby("case_id")["reading_id"].unique()))
    return graded(
        "fixations a case",
        f"median {np.median(counts):.0f}, from {counts.min()} to {counts.max()}"
        + (f", in up to {readings} readings" if readings > 1 else "")
        + (f"; fewer than {MIN_FIXATIONS} in {few:.0%} of the cases" if few else ""),
        warning=few > MIN_CASES,
        hint="are they whole? A recording that breaks off guides to where the reader began",
    )


def _labels(prepared: PreparedData) -> Iterator[CheckResult]:
    """Whether what fixations are labelled with are classes; nothing where none is."""
    labels = prepared.fixations["label"].fillna("")
    named = labels[labels != ""]
    if len(named):
        strange = sorted(set(named) - set(prepared.class_names))
        classes = len(set(named)) - len(strange)
        yield graded(
            "labels of the fixations",
            f"{len(named) / len(labels):.0%} name a finding, {classes} of {len(prepared.class_names)} classes"
            + (f"; no classes: {join_limited(strange)}" if strange else ""),
            warning=bool(strange),
            hint="gaze guides the CAM of the class of the same name: name classes in --vocabulary, or in the labels",
        )


def _durations(prepared: PreparedData) -> CheckResult:
    duration_s = prepared.fixations["duration_s"].to_numpy()
    if duration_s.min() == duration_s.max():
        return CheckResult("length of the fixations", f"{duration_s[0]:g} s each: every point counts alike")
    low, median, high = np.quantile(duration_s, [0.05, 0.5, 0.95])
    return graded(
        "length of the fixations",
        f"median {median:.3g} s, 90% within {low:.3g} to {high:.3g} s",
        wrong=bool(median > IMPOSSIBLE_S),
        warning=bool(median > USUAL_S),
        hint="are these milliseconds? Seconds are wanted",
    )


def _order(prepared: PreparedData) -> CheckResult:
    table = prepared.fixations
    step = table.groupby(["case_id", "reading_id"], sort=False)["start_s"].diff()
    backwards = table.loc[step < 0, "case_id"].unique()
    return graded(
        "order in time",
        f"broken in {len(backwards):,} of the cases: {join_limited(backwards, 3)}"
        if len(backwards)
        else "kept in every reading",
        warning=len(backwards) > 0,
        hint="their scanpaths are drawn wrong: are there several recordings under one reading_id?",
    )


def _entropy(prepared: PreparedData) -> CheckResult:
    """Entropy of the attention maps as a share of the largest possible: 0 is a point, 1 an even spread."""
    frame = prepared.frame.shape
    values = []
    for gaze in _timed(prepared):
        density = attention_map(gaze, (MAP_GRID, MAP_GRID), frame, kind="density")
        mass = density[density > 0]
        if len(mass):
            values.append(-(mass * np.log(mass)).sum() / np.log(density.size))
    if not values:
        return CheckResult("entropy of the gaze maps", "no map: all gaze lies off the frame")
    median = float(np.median(values))
    return graded(
        "entropy of the gaze maps",
        f"median {median:.2f}, from {min(values):.2f} to {max(values):.2f} (0 a point, 1 spread evenly)",
        warning=not POINTED <= median <= EVEN,
        hint="gaze at one point, or everywhere, guides nothing: look at the page's pictures",
    )


def _copied(prepared: PreparedData) -> CheckResult:
    """Two cases with the same fixations; single ones may agree by chance."""
    owners: dict[bytes, list[str]] = {}
    for case_id, gaze in prepared.gaze.items():
        if len(gaze) > 1:
            key = np.stack([gaze.x_px, gaze.y_px, gaze.duration_s]).tobytes()
            owners.setdefault(key, []).append(case_id)
    groups = [" = ".join(group[:4]) for group in owners.values() if len(group) > 1]
    return graded(
        "duplicate gaze",
        f"recordings that come more than once: {len(groups):,}" + (f", {join_limited(groups, 3)}" if groups else ""),
        warning=bool(groups),
        hint="one recording belongs to one reading of one image: are ids cut short, or pairs mixed up?",
    )
