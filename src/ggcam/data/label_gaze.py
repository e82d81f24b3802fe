"""Label-specific gaze: which fixations of a reading guide which label, by anatomy, by the reader's words, and by time.

Every label that a case has gets all fixations of the case (the scanpath) with weights of its own,

    weight = duration x prior(label, place) x max over mentions of words(mention, place) x time(mention, fixation),

and each factor can be left out. The approach follows re-analyses of REFLACX that combine an anatomical prior, the
scanpath and a temporal gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from ggcam.data.anatomical_prior import chest_boxes, prior_weights
from ggcam.data.prepared import PreparedData
from ggcam.data.view_config import LabelCue
from ggcam.gaze.mentions import Mention, time_weights, word_weights

Column = Float[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Scanpath:
    """The fixations of a case, placed in its chest.

    Attributes:
        across: position in the chest, from 0 at the left edge of the image's chest (the patient's right) to 1.
        down: position in the chest, from 0 at the top to 1 at the bottom.
        start_s: start of each fixation, on the clock of the mentions of its reading; NaN where unknown.
        duration_s: duration of each fixation.
        reading_id: reading of each fixation.
    """

    across: Column
    down: Column
    start_s: Column
    duration_s: Column
    reading_id: Shaped[np.ndarray, " n"]

    @classmethod
    def from_table(cls, fixations: pd.DataFrame, chest: Float[np.ndarray, " 4"]) -> Scanpath:
        """Place the fixations of one case in its chest.

        Args:
            fixations: rows of the case in `PreparedData.fixations`.
            chest: left, top, right and bottom of its chest in pixels of the frame.

        Returns:
            The scanpath, in the order of the rows.
        """
        x0, y0, x1, y1 = chest
        return cls(
            across=(fixations["x_px"].to_numpy(np.float64) - x0) / (x1 - x0),
            down=(fixations["y_px"].to_numpy(np.float64) - y0) / (y1 - y0),
            start_s=fixations["start_s"].to_numpy(np.float64),
            duration_s=fixations["duration_s"].to_numpy(np.float64),
            reading_id=fixations["reading_id"].to_numpy(np.str_),
        )


def label_weights(
    scanpath: Scanpath, finding: str, mentions: Mapping[str, Sequence[Mention]], cues: Sequence[LabelCue]
) -> Column:
    """Weight the fixations of a case by how much they belong to a label.

    Args:
        scanpath: the fixations.
        finding: name of the label.
        mentions: reading id -> mentions of this label. A reading without any has weight 0 if another reading has some
            and words or time count: that reader did not name the finding.
        cues: what counts: "prior" (where this finding tends to be), "words" (side and height in the sentence of the
            mention) and "time" (shortly before the mention).

    Returns:
        Factors from 0 to 1 for the durations, shape (n,).
    """
    weights = np.ones(len(scanpath.across))
    if "prior" in cues:
        weights = prior_weights(finding, scanpath.across, scanpath.down)
    if not any(mentions.values()) or not {"words", "time"} & set(cues):
        return weights
    end_s = scanpath.start_s + scanpath.duration_s
    by_mentions = np.zeros(len(weights))
    for reading_id, named in mentions.items():
        for mention in named:
            factor = np.asarray(scanpath.reading_id == reading_id, dtype=np.float64)
            if "words" in cues:
                factor *= word_weights(scanpath.across, scanpath.down, mention)
            if "time" in cues:
                factor *= time_weights(scanpath.start_s, end_s, mention)
            by_mentions = np.maximum(by_mentions, factor)
    # A reading with mentions whose fixations were all left out says nothing.
    return weights * by_mentions if by_mentions.any() else weights


def is_weighted_by_default(data: PreparedData) -> bool:
    """Return whether fixations are weighted for each label unless the user says otherwise.

    Args:
        data: the prepared folder.

    Returns:
        True if a case may have several labels, there are dictations, and no fixation has a label of its own.
    """
    has_labels = bool(data.fixations["label"].notna().to_numpy().any())
    return data.multi_label and len(data.mentions) > 0 and not has_labels


def with_label_gaze(data: PreparedData, cues: Sequence[LabelCue]) -> PreparedData:
    """Give each label of each case the fixations of the case, weighted for the label.

    Args:
        data: the prepared folder, before any control.
        cues: what counts, see :func:`label_weights`.

    Returns:
        The data with one row of `fixations` per fixation and label of its case, whose duration is multiplied by its
        weight; cases without a label keep their fixations. `data` itself if a case has only one label.
    """
    if not data.multi_label:
        return data
    chests = dict(zip(data.cases["case_id"], chest_boxes(data), strict=True))
    labels = {
        case_id: [name for name, value in zip(data.class_names, row, strict=True) if value == 1]
        for case_id, row in zip(data.cases["case_id"], data.label_matrix, strict=True)
    }
    mentions = mentions_by_case(data)
    parts: list[pd.DataFrame] = []
    for case_id, rows in data.fixations.groupby("case_id", sort=False):
        case_labels = labels[str(case_id)]
        if not case_labels:
            parts.append(rows)
            continue
        scanpath = Scanpath.from_table(rows, chests[str(case_id)])
        for name in case_labels:
            weights = label_weights(scanpath, name, mentions.get((str(case_id), name), {}), cues)
            parts.append(rows.assign(label=name, duration_s=scanpath.duration_s * weights))
    return replace(data, fixations=pd.concat(parts, ignore_index=True)) if parts else data


def mentions_by_case(data: PreparedData) -> dict[tuple[str, str], dict[str, list[Mention]]]:
    """Group the mentions of a prepared folder.

    Args:
        data: the prepared folder.

    Returns:
        Case id and name of the label -> reading id -> its mentions.
    """
    found: dict[tuple[str, str], dict[str, list[Mention]]] = {}
    columns = ("case_id", "reading_id", "label", "start_s", "end_s", "side", "height")
    for case_id, reading_id, *mention in zip(*(data.mentions[name] for name in columns), strict=True):
        found.setdefault((case_id, mention[0]), {}).setdefault(reading_id, []).append(Mention(*mention))
    return found
