"""What the tables say by themselves: ids, patients, classes, cases without gaze, what preparation left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ggcam.data.case import SPLITS
from ggcam.data.checks.result import CheckResult, graded
from ggcam.data.prepare.tables import OFF_IMAGE
from ggcam.data.prepared import PreparedData
from ggcam.data.summary import count_cases
from ggcam.errors import join_limited

DROPPED_WARNING, DROPPED_ERROR = 0.2, 0.5
"""Shares of the fixations that may lie off the image. Readers do look at the menu and past the edge."""


def check_tables(prepared: PreparedData) -> Iterator[CheckResult]:
    """What can be said without pixels."""
    yield _ids(prepared)
    yield _patients(prepared)
    yield _classes(prepared)
    yield _without_gaze(prepared)
    yield _off_image(prepared)
    yield _dropped(prepared)


def _ids(prepared: PreparedData) -> CheckResult:
    ids = prepared.cases["case_id"]
    alike = ids[ids.str.lower().duplicated(keep=False)]
    return graded(
        "case ids",
        f"{len(ids):,}, "
        + (f"{len(alike)} alike but for capitals: {join_limited(alike)}" if len(alike) else "all different"),
        warning=len(alike) > 0,
        hint="rename one of them: on many disks their files are the same",
    )


def _patients(prepared: PreparedData) -> CheckResult:
    pairs = prepared.cases[["patient_id", "split"]].drop_duplicates()
    splits = Counter(pairs["patient_id"])
    torn = [patient for patient, count in splits.items() if count > 1]
    return graded(
        "patients",
        f"{len(splits):,}, "
        + (f"{len(torn):,} in several splits: {join_limited(torn)}" if len(torn) else "each in one split"),
        wrong=len(torn) > 0,
        hint="prepare again with --split patient: a network knows again whom it was trained on",
    )


def _classes(prepared: PreparedData) -> CheckResult:
    splits = prepared.cases["split"].to_numpy()
    counts = count_cases(splits, prepared.label_matrix, prepared.class_names)
    absent = [
        f"{name} in {split}"
        for split in SPLITS
        if (splits == split).any()
        for name, n in counts[split].items()
        if not n
    ]
    absent += [f"any case in {split}" for split in SPLITS if not (splits == split).any()]
    return graded(
        "classes",
        f"{len(prepared.class_names)}, " + (f"without {join_limited(absent)}" if absent else "each in every split"),
        warning=bool(absent),
        hint="what is absent cannot be learned or measured there; prepare with another --split, --split-fractions or --seed",
    )


def _without_gaze(prepared: PreparedData) -> CheckResult:
    has_gaze = prepared.cases["has_gaze"].to_numpy(bool)
    trained_on = (prepared.cases["split"].to_numpy() == "train") & has_gaze
    return graded(
        "images without gaze",
        f"{(~has_gaze).sum():,} of {len(has_gaze):,}",
        warning=not trained_on.any(),
        hint="no training case has gaze, so that no guidance can be trained; name the gaze when preparing",
    )


def _off_image(prepared: PreparedData) -> CheckResult:
    """Gaze of a case that has none on its frame; gaze of unknown cases is refused on loading."""
    unseen = prepared.cases.loc[~prepared.cases["has_gaze"].astype(bool), "case_id"]
    lost = unseen[unseen.isin(prepared.fixations["case_id"])]
    return graded(
        "gaze without an image",
        f"{len(lost):,}" + (f": {join_limited(lost)}" if len(lost) else ""),
        warning=len(lost) > 0,
        hint="all fixations of these lie off the frame or last no time: are they those of another image?",
    )


def _dropped(prepared: PreparedData) -> CheckResult:
    off = int(prepared.meta.get("dropped", {}).get(OFF_IMAGE, 0))
    share = off / max(off + len(prepared.fixations), 1)
    return graded(
        "fixations off the image",
        f"{off:,} left out ({share:.1%})",
        wrong=share > DROPPED_ERROR,
        warning=share > DROPPED_WARNING,
        hint="do the positions refer to this size of image, from its corner? see docs/reference/sources.md",
    )


def dropped_rows(prepared: PreparedData) -> list[tuple[str, int]]:
    """Reason and number of what preparation left out, the most frequent first."""
    counts: dict[str, int] = prepared.meta.get("dropped", {})
    return sorted(((reason, n) for reason, n in counts.items() if n), key=lambda each: -each[1])
