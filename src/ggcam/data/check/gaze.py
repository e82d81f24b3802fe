"""What the gaze says: does it lie on its images, in their order of axes and on their scale, for plausible times?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from ggcam.data.check.finding import Finding, graded
from ggcam.data.check.pixels import Seen
from ggcam.data.check.places import AXES, MOVES, SCALES
from ggcam.data.prepared import PreparedData
from ggcam.data.sources.axis_order import FEWEST, Points
from ggcam.errors import listed
from ggcam.gaze.fixations import coverage
from ggcam.gaze.maps import attention_map

ON_IMAGE_WARNING, ON_IMAGE_WRONG = 0.95, 0.7
"""Shares of the time that gaze must lie on the image. Preparation has left out what was off it, unless it cropped."""

CERTAIN = 3.0
"""Standard errors by which moved gaze must lie better on the lungs before it is called wrong, not suspicious."""

NARROWEST = 0.6
"""Share of the image, along either axis, that the gaze of all cases together should span at least. Half of it is what
positions of an image twice as large would leave; on 125 real chest X-rays and on phantoms it is 0.75 and more."""

FEW_FIXATIONS, FEW_CASES = 5, 0.1
"""More than a tenth of the cases with fewer fixations than five are worth a look."""

USUAL_S, IMPOSSIBLE_S = 1.5, 10.0
"""Median fixations above these are slow, or milliseconds; readers of X-rays fixate for about 0.25 s."""

MAP_GRID = 24
"""Cells along either side of the maps whose entropy is taken."""

POINTED, EVEN = 0.35, 0.98
"""Bounds of the median entropy, as a share of its maximum: gaze at one point, and gaze spread evenly."""


def check_gaze(prepared: PreparedData, points: Mapping[str, Points], seen: Sequence[Seen]) -> Iterator[Finding]:
    """What the fixations say; nothing where there are none."""
    if not points:
        return
    yield _on_image(prepared)
    yield from _on_lungs(seen)
    yield _scale(points, seen)
    yield _counts(prepared)
    yield _durations(prepared)
    yield _order(prepared)
    yield _entropy(prepared)
    yield _copied(prepared)


def _on_image(prepared: PreparedData) -> Finding:
    shares = [coverage(gaze, gaze.inside(prepared.frame.height_px, prepared.frame.width_px)) for gaze in _timed(prepared)]
    share = float(np.mean(shares))
    return graded(
        "gaze on the image",
        f"{share:.1%} of the time",
        wrong=share < ON_IMAGE_WRONG,
        warning=share < ON_IMAGE_WARNING,
        to_do="the positions are those of a larger image, or the frame crops: check scale, or enlarge --size",
    )


def _timed(prepared: PreparedData) -> list:
    return [gaze for gaze in prepared.gaze.values() if gaze.total_s > 0]


def _shares(seen: Sequence[Seen]) -> tuple[Float[np.ndarray, "n moves"], bool]:
    """Time on the lungs of each case with gaze for each of `MOVES`; where any have lungs of their own, these alone."""
    with_gaze = [each for each in seen if each.lung_shares is not None]
    own = [each for each in with_gaze if each.own_lungs]
    chosen = [each.lung_shares for each in own or with_gaze if each.lung_shares is not None]
    return np.array(chosen).reshape(-1, len(MOVES)), bool(own)


def _on_lungs(seen: Sequence[Seen]) -> Iterator[Finding]:
    shares, own = _shares(seen)
    share = float(shares[:, 0].mean())
    area = float(np.mean([each.lung_area for each in seen if each.own_lungs and each.lung_shares is not None])) if own else 0
    yield graded(
        "gaze on the lungs",
        f"{share:.1%} of the time"
        + (f"; they are {area:.0%} of the image" if own else ", where they usually are on a chest X-ray"),
        warning=own and share < area,
        to_do="a random point would lie on the lungs more often: look at the page's pictures",
    )
    yield _suspicion(
        "axes of the gaze",
        AXES,
        shares,
        own,
        "look at the pictures; if gaze lies wrong, name x and y the other way round (--columns, --axis-order) and prepare again",
    )


def _suspicion(name: str, moves: Mapping[str, object], shares: np.ndarray, own: bool, to_do: str) -> Finding:
    """Whether one of the moves would bring gaze onto the lungs; certain only on lungs of the images' own."""
    if len(shares) < FEWEST:
        return Finding(name, f"{len(shares)} cases with gaze are too few to tell")
    gains = {move: shares[:, column] - shares[:, 0] for column, move in enumerate(MOVES) if move in moves}
    best = max(gains, key=lambda move: gains[move].mean())
    gain, mean = gains[best], float(gains[best].mean())
    error = float(gain.std(ddof=1)) / len(gain) ** 0.5
    if mean <= 0:
        return Finding(name, f"as they are gaze lies on the lungs best: {best} would cost {-mean:.1%} of the time")
    certain = own and mean > CERTAIN * error
    where = "the lungs" if own else "the lungs of a usual chest X-ray"
    value = f"{best} would bring {mean:.1%} more of the time on {where}"
    return graded(name, value, wrong=certain, warning=True, to_do=to_do)


def _scale(points: Mapping[str, Points], seen: Sequence[Seen]) -> Finding:
    """Both tests see a wrong scale: gaze that spans a part of the image, and lungs that another scale would hit."""
    shares, own = _shares(seen)
    to_do = "the positions may refer to an image of another size (screen, reduced copy): check units and sizes, prepare again"
    by_lungs = _suspicion("scale of the gaze", SCALES, shares, own, to_do)
    together = np.concatenate(list(points.values()))
    low, high = np.quantile(together[together[:, 2] > 0, :2], [0.01, 0.99], axis=0)
    rows, columns = (f"{low[axis]:.0%} to {high[axis]:.0%}" for axis in (0, 1))
    value = f"98 % of it within {columns} of the width, {rows} of the height"
    if by_lungs.level != "ok":
        return Finding(by_lungs.name, f"{by_lungs.value}; {value}", by_lungs.level, by_lungs.to_do)
    narrow = float((high - low).min()) < NARROWEST
    return graded("scale of the gaze", value, warning=len(points) >= FEWEST and narrow, to_do=to_do)


def _counts(prepared: PreparedData) -> Finding:
    counts = np.array([len(gaze) for gaze in _timed(prepared)])
    few = float((counts < FEW_FIXATIONS).mean())
    return graded(
        "fixations a case",
        f"median {np.median(counts):.0f}, from {counts.min()} to {counts.max()}"
        + (f"; fewer than {FEW_FIXATIONS} in {few:.0%} of the cases" if few else ""),
        warning=few > FEW_CASES,
        to_do="are they whole? A recording that breaks off guides to where the reader began",
    )


def _durations(prepared: PreparedData) -> Finding:
    duration_s = prepared.fixations["duration_s"].to_numpy()
    if duration_s.min() == duration_s.max():
        return Finding("length of the fixations", f"{duration_s[0]:g} s each: every point counts alike")
    low, median, high = np.quantile(duration_s, [0.05, 0.5, 0.95])
    return graded(
        "length of the fixations",
        f"median {median:.3g} s, 90 % within {low:.3g} to {high:.3g} s",
        wrong=bool(median > IMPOSSIBLE_S),
        warning=bool(median > USUAL_S),
        to_do="are these milliseconds? Seconds are wanted",
    )


def _order(prepared: PreparedData) -> Finding:
    table = prepared.fixations
    step = table.groupby(["case_id", "reading_id"], sort=False)["start_s"].diff()
    backwards = table.loc[step < 0, "case_id"].unique()
    return graded(
        "order in time",
        f"{len(backwards):,} cases with a fixation before its forerunner" if len(backwards) else "kept in every reading",
        warning=len(backwards) > 0,
        to_do=f"scanpaths are drawn wrong; several recordings under one reading_id? {listed(backwards, 3)}",
    )


def _entropy(prepared: PreparedData) -> Finding:
    """Entropy of the attention maps as a share of the largest possible: 0 is a point, 1 an even spread."""
    frame = (prepared.frame.height_px, prepared.frame.width_px)
    values = []
    for gaze in _timed(prepared):
        density = attention_map(gaze, (MAP_GRID, MAP_GRID), frame, kind="density")
        mass = density[density > 0]
        if len(mass):
            values.append(-(mass * np.log(mass)).sum() / np.log(density.size))
    if not values:
        return Finding("entropy of the gaze maps", "no map: all gaze lies off the frame")
    median = float(np.median(values))
    return graded(
        "entropy of the gaze maps",
        f"median {median:.2f}, from {min(values):.2f} to {max(values):.2f} (0 a point, 1 spread evenly)",
        warning=not POINTED <= median <= EVEN,
        to_do="gaze at one point, or everywhere, guides nothing: look at the page's pictures",
    )


def _copied(prepared: PreparedData) -> Finding:
    """Two cases with the same fixations; single ones may agree by chance."""
    owners: dict[bytes, list[str]] = {}
    for case_id, gaze in prepared.gaze.items():
        if len(gaze) > 1:
            key = np.stack([gaze.x_px, gaze.y_px, gaze.duration_s]).tobytes()
            owners.setdefault(key, []).append(case_id)
    groups = [" = ".join(group[:4]) for group in owners.values() if len(group) > 1]
    return graded(
        "duplicate gaze",
        f"{len(groups):,} times: {listed(groups, 3)}" if groups else "none",
        warning=bool(groups),
        to_do="one recording belongs to one reading of one image: are ids cut short, or pairs mixed up?",
    )
