"""Gaze of EGD-CXR: the released fixations.csv, or the raw samples of eye_gaze.csv; and labels from the dictation."""

from __future__ import annotations

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
from ggcam.utils.documents import parse_json
from ggcam.utils.parallel import parallel_map

READING_ID = "1"
"""One radiologist read each image once."""

TIME = "Time (in secs)"
"""Time since the image appeared."""

SAMPLES_PER_TASK = 20_000
"""Approximate number of samples that a process gets at once: a quarter of a second of work."""


@dataclass(frozen=True)
class CaseIds:
    """The ids in the gaze tables that belong to cases.

    Attributes:
        index: dicom_id -> index of the case.
        in_sheet: all ids in the master sheet.
        length: number of characters of an id; the ids of calibration images are shorter.
    """

    index: Mapping[str, int]
    in_sheet: frozenset[str]
    length: int

    def count_others(self, what: str, rows_by_id: Mapping[str, int], dropped: Counter[str]) -> None:
        """Count the rows that do not belong to a case, by reason.

        Args:
            what: what a row is, such as "fixation".
            rows_by_id: dicom_id -> number of rows.
            dropped: reason -> count; updated.
        """
        for dicom_id, rows in rows_by_id.items():
            if len(dicom_id) != self.length:
                dropped[f"{what} on a calibration image"] += rows
            elif dicom_id not in self.in_sheet:
                dropped[f"{what} on an image that is not in the master sheet"] += rows
            elif dicom_id not in self.index:
                dropped[f"{what} on an image that was left out"] += rows


@dataclass(frozen=True, eq=False)
class EgdGaze:
    """Fixations, and their start on the clock of the transcripts.

    Attributes:
        rows: the fixations.
        since_image_s: start of each fixation, in seconds since the image appeared, shape (n,); NaN where unknown.
    """

    rows: FixationRows
    since_image_s: Float[np.ndarray, " n"]


def read_fixations(path: Path, ids: CaseIds, screen: EgdScreen, dropped: Counter[str]) -> EgdGaze:
    """Read the released fixations, without those that are invalid (FPOGV) or do not belong to a case.

    Args:
        path: fixations.csv or fixations.csv.gz.
        ids: the ids that belong to cases.
        screen: position of the images on the screen.
        dropped: reason -> count; updated.

    Returns:
        The fixations, in pixels of their images.

    Raises:
        MissingFileError: the table does not exist.
        TableError: the table lacks a column, or has an invalid value.
    """
    table = read_table(path, ["DICOM_ID", "FPOGS", "FPOGD", "FPOGV", "X_ORIGINAL", "Y_ORIGINAL"], [TIME])
    ids.count_others("fixation", Counter(table["DICOM_ID"].tolist()), dropped)
    case = np.array([ids.index.get(dicom_id, -1) for dicom_id in table["DICOM_ID"].tolist()], dtype=np.int64)
    valid = table.numbers("FPOGV", allow_blank=True) == 1
    dropped["invalid fixation (FPOGV)"] += int(((case >= 0) & ~valid).sum())
    keep = (case >= 0) & valid
    table, case = table.select(keep), case[keep]
    duration_s = table.numbers("FPOGD", allow_blank=True)
    rows = FixationRows.build(
        case=case,
        x_px=pixel_centre(table.numbers("X_ORIGINAL", allow_blank=True)),
        y_px=pixel_centre(table.numbers("Y_ORIGINAL", allow_blank=True)),
        start_s=table.numbers("FPOGS", allow_blank=True),
        duration_s=duration_s,
        px_per_degree=screen.px_per_degree[case],
        reading_id=READING_ID,
    )
    # The table has the last entry of each fixation, so its time is the end of the fixation.
    end_s = table.numbers(TIME, allow_blank=True) if TIME in table else np.full(len(table), np.nan)
    return EgdGaze(rows, end_s - duration_s)


def read_samples(
    path: Path, ids: CaseIds, screen: EgdScreen, detection: FixationDetection, dropped: Counter[str]
) -> EgdGaze:
    """Detect fixations in the raw samples. The table is read in chunks, because it has 400 MB.

    Args:
        path: eye_gaze.csv or eye_gaze.csv.gz.
        ids: the ids that belong to cases.
        screen: position of the images on the screen.
        detection: how samples become fixations.
        dropped: reason -> count; updated.

    Returns:
        The fixations, in pixels of their images.

    Raises:
        MissingFileError: the table does not exist.
        TableError: the table lacks a column, or has an invalid value.
    """
    dwell = detection.method == "dwell"
    valid_name, x_name, y_name = ("FPOGV", "X_ORIGINAL", "Y_ORIGINAL") if dwell else ("BPOGV", "BPOGX", "BPOGY")
    cases: list[Int[np.ndarray, " n"]] = [np.empty(0, dtype=np.int64)]
    columns: list[Float[np.ndarray, "n 3"]] = [np.empty((0, 3))]
    for dicom_ids, code, numbers in read_chunks(path, "DICOM_ID", [TIME, valid_name, x_name, y_name]):
        counts = np.bincount(code, minlength=len(dicom_ids)).tolist()
        ids.count_others("sample", dict(zip(dicom_ids, counts, strict=True)), dropped)
        case = np.array([ids.index.get(dicom_id, -1) for dicom_id in dicom_ids], dtype=np.int64)[code]
        valid = numbers[valid_name] == 1
        dropped[f"invalid sample ({valid_name})"] += int(((case >= 0) & ~valid).sum())
        keep = (case >= 0) & valid & np.isfinite(numbers[TIME])
        dropped["sample without time"] += int(((case >= 0) & valid & ~keep).sum())
        cases.append(case[keep])
        columns.append(np.stack([numbers[name][keep] for name in (TIME, x_name, y_name)], axis=1))
    case, (time_s, x, y) = np.concatenate(cases), np.concatenate(columns).T
    x_px, y_px = (pixel_centre(x), pixel_centre(y)) if dwell else screen.to_image(case, x, y)
    tasks = _split_into_tasks(case, time_s, x_px, y_px, screen)
    # Only I-DT is a Python loop over samples, which makes up for the two seconds that a process takes to start.
    results = parallel_map(partial(_detect, detection), tasks, workers=0 if detection.method == "idt" else 1)
    by_case = sorted((found for result in results for found in result), key=lambda found: found[0])
    rows = FixationRows.concatenate([rows for _, rows in by_case])
    return EgdGaze(rows, rows.start_s)


@dataclass(frozen=True, eq=False)
class _Samples:
    """The samples of one case, in order of time, in pixels of its image."""

    case: int
    time_s: Float[np.ndarray, " n"]
    x_px: Float[np.ndarray, " n"]
    y_px: Float[np.ndarray, " n"]
    px_per_degree: tuple[float, float]


def _split_into_tasks(
    case: Int[np.ndarray, " n"],
    time_s: Float[np.ndarray, " n"],
    x_px: Float[np.ndarray, " n"],
    y_px: Float[np.ndarray, " n"],
    screen: EgdScreen,
) -> list[list[_Samples]]:
    """Return the samples of each case, in tasks of several cases."""
    order = np.lexsort((time_s, case))
    starts = np.searchsorted(case[order], np.arange(len(screen.px_per_degree) + 1)).tolist()
    tasks: list[list[_Samples]] = [[]]
    for index, (first, end) in enumerate(pairwise(starts)):
        if sum(len(samples.time_s) for samples in tasks[-1]) > SAMPLES_PER_TASK:
            tasks.append([])
        rows, (horizontal, vertical) = order[first:end], screen.px_per_degree[index].tolist()
        tasks[-1].append(_Samples(index, time_s[rows], x_px[rows], y_px[rows], (horizontal, vertical)))
    return tasks


def _detect(detection: FixationDetection, task: Sequence[_Samples]) -> list[tuple[int, FixationRows]]:
    """Return the index and the fixations of each case."""
    found: list[tuple[int, FixationRows]] = []
    for samples in task:
        fixations = detect_fixations(samples.time_s, samples.x_px, samples.y_px, samples.px_per_degree, detection)
        found.append((samples.case, FixationRows.from_fixations(samples.case, READING_ID, fixations)))
    return found


def label_by_transcripts(
    gaze: EgdGaze,
    folder: Path,
    dicom_ids: Sequence[str],
    vocabulary: Vocabulary,
    window_s: float,
    dropped: Counter[str],
) -> EgdGaze:
    """Label each fixation with the finding that the dictation names during it or shortly after it.

    Args:
        gaze: the fixations.
        folder: folder with one folder per case, which contains transcript.json.
        dicom_ids: id of each case.
        vocabulary: phrases that name each finding.
        window_s: see :func:`ggcam.data.sources.dictation.label_fixations`.
        dropped: reason -> count; updated.

    Returns:
        The same fixations with labels.

    Raises:
        TableError: a transcript is malformed, or the fixations have no time.
    """
    if len(gaze.since_image_s) and np.isnan(gaze.since_image_s).all():
        raise TableError(f"labels from the dictation require the column {TIME}", where=folder.parent)
    labels = np.full(len(gaze.since_image_s), "", dtype=object)
    end_s = gaze.since_image_s + gaze.rows.duration_s
    for index, dicom_id in enumerate(dicom_ids):
        path = folder / dicom_id / "transcript.json"
        if not path.is_file():
            dropped["case without transcript (kept)"] += 1
            continue
        of_case = gaze.rows.case == index
        mentions = find_mentions(read_transcript(path), vocabulary)
        labels[of_case] = label_fixations(gaze.since_image_s[of_case], end_s[of_case], mentions, window_s)
    return EgdGaze(replace(gaze.rows, label=labels.astype(np.str_)), gaze.since_image_s)


def read_transcript(path: Path) -> list[Word]:
    """Read the words of a transcript. Each has the times of its phrase, because words have no times of their own.

    Args:
        path: transcript.json.

    Returns:
        The words in order.

    Raises:
        TableError: the file is not {"time_stamped_text": [{"phrase", "begin_time", "end_time"}, ...]}.
    """
    content = parse_json(path.read_bytes(), path, TableError)
    try:
        phrases = content["time_stamped_text"]
        return [
            Word(word, float(phrase["begin_time"]), float(phrase["end_time"]))
            for phrase in phrases
            for word in phrase["phrase"].split()
        ]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise TableError(
            "a transcript is malformed",
            where=path,
            expected='{"time_stamped_text": [{"phrase", "begin_time", "end_time"}, ...]}',
            got=f"{type(error).__name__}: {error}",
        ) from None
