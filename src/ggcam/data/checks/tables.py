"""Checks of the tables: ids, patients, classes, cases without gaze, and records left out when preparing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ggcam.data.attention import cases_with_findings
from ggcam.data.case import OFF_IMAGE, SPLITS
from ggcam.data.checks.result import CheckResult, make_result
from ggcam.data.prepared import PreparedData
from ggcam.data.summary import count_cases
from ggcam.errors import join_limited

DROPPED_WARNING, DROPPED_ERROR = 0.2, 0.5
"""Shares of fixations off the image from which a warning or an error is given. Some are normal: readers look at menus
and past the edge."""


def check_tables(prepared: PreparedData) -> Iterator[CheckResult]:
    """Check the tables, without reading images.

    Args:
        prepared: prepared folder.

    Yields:
        One result per check.
    """
    yield _check_ids(prepared)
    yield _check_patients(prepared)
    yield _check_classes(prepared)
    yield _check_cases_without_gaze(prepared)
    yield _check_gaze_off_frame(prepared)
    yield _check_dropped(prepared)


def _check_ids(prepared: PreparedData) -> CheckResult:
    ids = prepared.cases["case_id"]
    similar = ids[ids.str.lower().duplicated(keep=False)]
    return make_result(
        "case ids",
        f"{len(ids):,}, "
        + (f"{len(similar)} differ only in case: {join_limited(similar)}" if len(similar) else "all different"),
        warning=len(similar) > 0,
        hint="rename them: on many file systems their files have the same name",
    )


def _check_patients(prepared: PreparedData) -> CheckResult:
    pairs = prepared.cases[["patient_id", "split"]].drop_duplicates()
    splits = Counter(pairs["patient_id"])
    in_several = [patient for patient, count in splits.items() if count > 1]
    return make_result(
        "patients",
        f"{len(splits):,}, "
        + (f"{len(in_several):,} in several splits: {join_limited(in_several)}" if in_several else "each in one split"),
        error=bool(in_several),
        hint="prepare again with --split patient: a network recognises patients that it was trained on",
    )


def _check_classes(prepared: PreparedData) -> CheckResult:
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
    return make_result(
        "classes",
        f"{len(prepared.class_names)}, " + (f"without {join_limited(absent)}" if absent else "each in every split"),
        warning=bool(absent),
        hint="a missing class cannot be learned or evaluated: prepare again with another --split, --split-fractions or "
        "--seed",
    )


def _check_cases_without_gaze(prepared: PreparedData) -> CheckResult:
    has_gaze = prepared.cases["has_gaze"].to_numpy(bool)
    marked = cases_with_findings(prepared)
    trained_on = (prepared.cases["split"].to_numpy() == "train") & (has_gaze | marked)
    return make_result(
        "images without gaze",
        f"{(~has_gaze).sum():,} of {len(has_gaze):,}"
        + (f"; {marked.sum():,} with regions of findings" if marked.any() else ""),
        warning=not trained_on.any(),
        hint="no training case has gaze or regions of findings, so guidance cannot be trained: pass them when "
        "preparing",
    )


def _check_gaze_off_frame(prepared: PreparedData) -> CheckResult:
    """Check for cases whose fixations all lie off the frame; loading has checked that each fixation has a case."""
    without_gaze = prepared.cases.loc[~prepared.cases["has_gaze"].astype(bool), "case_id"]
    off_frame = without_gaze[without_gaze.isin(prepared.fixations["case_id"])]
    return make_result(
        "gaze off the frame",
        f"{len(off_frame):,}" + (f": {join_limited(off_frame)}" if len(off_frame) else ""),
        warning=len(off_frame) > 0,
        hint="all fixations of these cases are off the frame or have no duration: check whether they belong to another "
        "image",
    )


def _check_dropped(prepared: PreparedData) -> CheckResult:
    off = int(prepared.meta.get("dropped", {}).get(OFF_IMAGE, 0))
    share = off / max(off + len(prepared.fixations), 1)
    return make_result(
        "fixations off the image",
        f"{off:,} left out ({share:.1%})",
        error=share > DROPPED_ERROR,
        warning=share > DROPPED_WARNING,
        hint="check that coordinates refer to this size of image, from its corner; see docs/reference/sources.md",
    )


def dropped_rows(prepared: PreparedData) -> list[tuple[str, int]]:
    """Return what was left out when preparing.

    Args:
        prepared: prepared folder.

    Returns:
        Reasons and numbers, the most frequent first.
    """
    counts: dict[str, int] = prepared.meta.get("dropped", {})
    return sorted(((reason, n) for reason, n in counts.items() if n), key=lambda each: -each[1])
