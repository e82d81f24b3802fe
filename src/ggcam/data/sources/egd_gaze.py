"""The gaze of EGD-CXR: fixations.csv as released, or the raw samples of eye_gaze.csv; and what was said meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from ggcam.data.sources.dictation import Vocabulary, Word, find_mentions, label_fixations
from ggcam.data.sources.egd_screen import EgdScreen
from ggcam.data.sources.fixation_rows import FixationRows, pixel_centre
from ggcam.data.tables import read_chunks, read_table
from ggcam.errors import TableError
from ggcam.gaze.events import FixationDetection, detect_fixations
from ggcam.utils.parallel import parallel_map

READING_ID = "1"
"""One radiologist read each image once."""

TIME = "Time (in secs)"
"""Since the image came up."""

SAMPLES_A_TASK = 20_000
"""Samples are handed out to processes in parts of about so many: a quarter of a second's work."""


@dataclass(frozen=True)
class CaseIds:
    """Which ids of the gaze tables are cases.

    Attributes:
        position: dicom_id -> number of the case.
        listed: all ids of the master sheet.
        length: shorter ids are those of calibration images.
    """

    position: Mapping[str, int]
    join_limited: frozenset[str]
    length: int

    def count(self, what: str, ids: Mapping[str, int], dropped: Counter[str]) -> None:
        """Count rows (by id) that are of no case."""
        for dicom_id, rows in ids.items():
            if len(dicom_id) != self.length:
                dropped[f"{what} on a calibration image"] += rows
            elif dicom_id not in self.join_limited:
                dropped[f"{what} on an image that the master sheet lacks"] += rows
            elif dicom_id not in self.position:
                dropped[f"{what} on an image left out"] += rows


@dataclass(frozen=True, eq=False)
class EgdGaze:
    """Fixations, and when each began by the clock of its image, which the transcripts go by.

    Attributes:
        rows: all of them.
        begin_s: shape (n,), seconds since the image came up; NaN where unknown.
    """

    rows: FixationRows
    begin_s: Float[np.ndarray, " n"]


def read_fixations(path: Path, ids: CaseIds, screen: EgdScreen, dropped: Counter[str]) -> EgdGaze:
    """Fixations as released, without those that are invalid (FPOGV) or of no case.

    Raises:
        MissingFileError, TableError: the table is not there, or holds what it must not.
    """
    table = read_table(path, ["DICOM_ID", "FPOGS", "FPOGD", "FPOGV", "X_ORIGINAL", "Y_ORIGINAL"], [TIME])
    ids.count("fixation", Counter(table["DICOM_ID"].tolist()), dropped)
    case = np.array([ids.position.get(dicom_id, -1) for dicom_id in table["DICOM_ID"].tolist()], dtype=np.int64)
    valid = table.numbers("FPOGV", blank=True) == 1
    dropped["fixation not valid (FPOGV)"] += int(((case >= 0) & ~valid).sum())
    keep = (case >= 0) & valid
    table, case = table.select(keep), case[keep]
    duration_s = table.numbers("FPOGD", blank=True)
    rows = FixationRows.build(
        case=case,
        x_px=pixel_centre(table.numbers("X_ORIGINAL", blank=True)),
        y_px=pixel_centre(table.numbers("Y_ORIGINAL", blank=True)),
        start_s=table.numbers("FPOGS", blank=True),
        duration_s=duration_s,
        px_per_degree=screen.px_per_degree[case],
        reading_id=READING_ID,
    )
    # The table keeps the last entry of each fixation, so that Time is its end.
    end_s = table.numbers(TIME, blank=True) if TIME in table else np.full(len(table), np.nan)
    return EgdGaze(rows, end_s - duration_s)


def read_samples(
    path: Path, ids: CaseIds, screen: EgdScreen, detection: FixationDetection, dropped: Counter[str]
) -> EgdGaze:
    """Fixations found in the raw samples, or the samples themselves; read in chunks, since the table has 400 MB.

    Raises:
        MissingFileError, TableError: the table is not there, or holds what it must not.
    """
    dwell = detection.method == "dwell"
    valid, x_name, y_name = ("FPOGV", "X_ORIGINAL", "Y_ORIGINAL") if dwell else ("BPOGV", "BPOGX", "BPOGY")
    cases: list[Int[np.ndarray, " n"]] = [np.empty(0, dtype=np.int64)]
    columns: list[Float[np.ndarray, "n 3"]] = [np.empty((0, 3))]
    for words, code, numbers in read_chunks(path, "DICOM_ID", [TIME, valid, x_name, y_name]):
        counts = np.bincount(code, minlength=len(words)).tolist()
        ids.count("sample", dict(zip(words, counts, strict=True)), dropped)
        case = np.array([ids.position.get(word, -1) for word in words], dtype=np.int64)[code]
        seen = numbers[valid] == 1
        dropped[f"sample not valid ({valid})"] += int(((case >= 0) & ~seen).sum())
        keep = (case >= 0) & seen & np.isfinite(numbers[TIME])
        dropped["sample without time"] += int(((case >= 0) & seen & ~keep).sum())
        cases.append(case[keep])
        columns.append(np.stack([numbers[name][keep] for name in (TIME, x_name, y_name)], axis=1))
    case, (time_s, x, y) = np.concatenate(cases), np.concatenate(columns).T
    x_px, y_px = (pixel_centre(x), pixel_centre(y)) if dwell else screen.to_image(case, x, y)
    recordings = _recordings(case, time_s, x_px, y_px, screen)
    # I-DT alone is a loop over samples, worth the two seconds that a process takes to start.
    found = parallel_map(partial(_detect, detection), recordings, workers=0 if detection.method == "idt" else 1)
    parts = sorted((part for of_task in found for part in of_task), key=lambda part: part[0])
    together = FixationRows.concatenate([rows for _, rows in parts])
    return EgdGaze(together, together.start_s)


@dataclass(frozen=True, eq=False)
class _Recording:
    """The samples of one case, in order of time, in pixels of its image."""

    case: int
    time_s: Float[np.ndarray, " n"]
    x_px: Float[np.ndarray, " n"]
    y_px: Float[np.ndarray, " n"]
    px_per_degree: tuple[float, float]


def _recordings(
    case: Int[np.ndarray, " n"],
    time_s: Float[np.ndarray, " n"],
    x_px: Float[np.ndarray, " n"],
    y_px: Float[np.ndarray, " n"],
    screen: EgdScreen,
) -> list[list[_Recording]]:
    """All samples by case, in parts of some cases each."""
    order = np.lexsort((time_s, case))
    starts = np.searchsorted(case[order], np.arange(len(screen.px_per_degree) + 1)).tolist()
    parts: list[list[_Recording]] = [[]]
    for at, (first, end) in enumerate(pairwise(starts)):
        if sum(len(each.time_s) for each in parts[-1]) > SAMPLES_A_TASK:
            parts.append([])
        rows, (across, down) = order[first:end], screen.px_per_degree[at].tolist()
        parts[-1].append(_Recording(at, time_s[rows], x_px[rows], y_px[rows], (across, down)))
    return parts


def _detect(detection: FixationDetection, recordings: Sequence[_Recording]) -> list[tuple[int, FixationRows]]:
    """Number of each case and its fixations."""
    return [
        (
            each.case,
            FixationRows.from_fixations(
                each.case,
                READING_ID,
                detect_fixations(each.time_s, each.x_px, each.y_px, each.px_per_degree, detection),
            ),
        )
        for each in recordings
    ]


def label_by_transcripts(
    gaze: EgdGaze, folder: Path, dicom_ids: Sequence[str], words: Vocabulary, window_s: float, dropped: Counter[str]
) -> EgdGaze:
    """Label each fixation with the finding that is named while it lasts or within the window after it.

    Args:
        gaze: the fixations.
        folder: of the cases' folders, in which transcript.json lies.
        dicom_ids: of the cases.
        words: which findings are known by which words.
        window_s: see :func:`ggcam.data.sources.dictation.label_fixations`.
        dropped: reason -> count, added to.

    Raises:
        TableError: a transcript is not of its form, or the fixations have no time.
    """
    if len(gaze.begin_s) and np.isnan(gaze.begin_s).all():
        raise TableError(f"to go by the transcripts, fixations need the column {TIME}", where=folder.parent)
    labels = np.full(len(gaze.begin_s), "", dtype=object)
    end_s = gaze.begin_s + gaze.rows.duration_s
    for at, dicom_id in enumerate(dicom_ids):
        path = folder / dicom_id / "transcript.json"
        if not path.is_file():
            dropped["case without transcript (kept)"] += 1
            continue
        mine = gaze.rows.case == at
        mentions = find_mentions(read_transcript(path), words)
        labels[mine] = label_fixations(gaze.begin_s[mine], end_s[mine], mentions, window_s)
    return EgdGaze(replace(gaze.rows, label=labels.astype(np.str_)), gaze.begin_s)


def read_transcript(path: Path) -> list[Word]:
    """Words of a transcript; each has the time of its phrase, since none has a time of its own.

    Raises:
        TableError: it is no JSON, or not {"time_stamped_text": [{"phrase", "begin_time", "end_time"}, ...]}.
    """
    try:
        phrases = json.loads(path.read_bytes())["time_stamped_text"]
        return [
            Word(word, float(phrase["begin_time"]), float(phrase["end_time"]))
            for phrase in phrases
            for word in phrase["phrase"].split()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(
            "a transcript is not of its form",
            where=path,
            expected='{"time_stamped_text": [{"phrase", "begin_time", "end_time"}, ...]}',
            got=f"{type(error).__name__}: {error}",
        ) from None
