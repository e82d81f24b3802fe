"""Marks of prepared images that look wrong, and of 16-bit files that use other bits than the data set."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ggcam.data.bit_depth import describe_disagreement
from ggcam.data.case import Case
from ggcam.data.framing import Fitted, Framing
from ggcam.data.grey_levels import MARKS, find_marks
from ggcam.data.prepare.images import ImageOutcome
from ggcam.data.view_position import known_view
from ggcam.errors import join_limited

log = logging.getLogger(__name__)


def mark_images(
    cases: Sequence[Case], outcomes: Mapping[str, ImageOutcome], framing: Framing
) -> tuple[list[Case], Counter[str]]:
    """Add the views of DICOM files and marks of images that look wrong to the flags of their cases.

    The marks are logged in one line.

    Files that use other bits than the data set are logged in another line.

    Args:
        cases: prepared cases.
        outcomes: case id -> outcome of preparing its image.
        framing: how the images were brought into the frame.

    Returns:
        The cases with their flags; description of a mark -> number of images that have it.
    """
    marks = find_marks({case.case_id: levels for case in cases if (levels := outcomes[case.case_id].levels)})
    marked = {mark: [case_id for case_id, of_case in marks.items() if mark in of_case] for mark in MARKS}
    if marks:
        parts = [f"{len(ids):,} {mark} ({join_limited(ids)})" for mark, ids in marked.items() if ids]
        log.warning("%d of %d images look wrong: %s; see ggcam inspect", len(marks), len(cases), ", ".join(parts))
    own = [bits for case in cases if (bits := outcomes[case.case_id].used_bits)]
    disagreement = describe_disagreement(own, framing.used_bits) if isinstance(framing, Fitted) else None
    if disagreement:
        log.warning("%s; change it with --used-bits", disagreement)
    counts = Counter({f"{MARKS[mark]} (kept)": len(ids) for mark, ids in marked.items() if ids})
    views = {case.case_id: outcomes[case.case_id].view for case in cases if known_view(case.flags) is None}
    return [
        replace(case, flags=(*case.flags, *filter(None, [views.get(case.case_id)]), *marks.get(case.case_id, ())))
        for case in cases
    ], counts
