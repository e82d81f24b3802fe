"""Cases -> the tables of the prepared folder, with all positions mapped from the raw images to the frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from ggcam.data.affine import Affine
from ggcam.data.case import Case, Frame, Region, Split
from ggcam.data.framing import Framing
from ggcam.data.region_masks import Box
from ggcam.data.schema import FIXATIONS, MASK_COLUMN, MENTIONS, REGIONS, image_name, label_columns, mask_name
from ggcam.gaze.fixations import Fixations, concatenate

_ROWS_AT_A_TIME = 10_000


@dataclass(frozen=True, eq=False)
class _Reading:
    """The fixations of one reading that lie on the image, mapped to the frame, and the number of the others."""

    case_id: str
    reading_id: str
    fixations: Fixations
    off_image: int


def make_tables(
    cases: Sequence[Case],
    splits: Mapping[str, Split],
    sizes: Mapping[str, tuple[int, int]],
    framing: Framing,
    schema: pa.Schema,
    region_boxes: Mapping[str, Mapping[str, Box]] = MappingProxyType({}),
) -> tuple[dict[str, pa.Table], int]:
    """Make the tables of a prepared folder.

    A case has gaze if its fixations on the frame have a total duration above 0. Where the frame crops the image,
    fixations on the cropped part stay in the table, off the frame.

    Args:
        cases: cases in the order of the rows.
        splits: case id -> split.
        sizes: case id -> height and width of the raw image in pixels.
        framing: how the images are brought into the frame.
        schema: columns of cases.parquet, see :func:`ggcam.data.schema.cases_schema`.
        region_boxes: case id -> name of a finding -> box around its mask in the frame.

    Returns:
        File name -> table; and the number of fixations that were left out because they lie off the image.
    """
    affines = {case.case_id: framing.affine(*sizes[case.case_id]) for case in cases}
    readings = [
        _map_to_frame(case.case_id, reading_id, fixations, sizes[case.case_id], affines[case.case_id])
        for case in cases
        for reading_id, fixations in case.readings.items()
    ]
    with_gaze = {reading.case_id for reading in readings if _total_s(reading.fixations, framing.frame) > 0}
    rows = (
        {
            "split": splits[case.case_id],
            "has_gaze": case.case_id in with_gaze,
            **_labels(case, schema),
            **_case_row(case, sizes[case.case_id], affines[case.case_id]),
        }
        for case in cases
    )
    regions = (
        {"case_id": case.case_id, **vars(region)}
        for case in cases
        for region in (
            *(region.transformed(affines[case.case_id]) for region in case.regions),
            *(Region(name, "mask", *box) for name, box in sorted(region_boxes.get(case.case_id, {}).items())),
        )
    )
    tables = {
        "cases.parquet": _to_table(rows, schema),
        "fixations.parquet": _fixation_table(readings),
        "regions.parquet": _to_table(regions, REGIONS),
    }
    if (mentions := _to_table(_mention_rows(cases), MENTIONS)).num_rows:
        tables["mentions.parquet"] = mentions
    return tables, sum(reading.off_image for reading in readings)


def _to_table(rows: Iterable[Mapping[str, object]], schema: pa.Schema) -> pa.Table:
    """Make a table of rows, with only a few rows as dictionaries at a time: they take ten times the memory."""
    remaining, parts = iter(rows), [schema.empty_table()]
    while part := list(islice(remaining, _ROWS_AT_A_TIME)):
        parts.append(pa.Table.from_pylist(part, schema=schema))
    return pa.concat_tables(parts).combine_chunks()


def _mention_rows(cases: Sequence[Case]) -> Iterator[dict[str, object]]:
    for case in cases:
        for reading_id, mentions in case.mentions.items():
            for mention in mentions:
                yield {
                    "case_id": case.case_id,
                    "reading_id": reading_id,
                    "label": mention.finding,
                    "start_s": mention.start_s,
                    "end_s": mention.end_s,
                    "side": mention.side,
                    "height": mention.height,
                }


def _labels(case: Case, schema: pa.Schema) -> dict[str, int | None]:
    values = case.label if isinstance(case.label, tuple) else (case.label,)
    return dict(zip(label_columns(schema.names), values, strict=True))


def _case_row(case: Case, size: tuple[int, int], affine: Affine) -> dict[str, object]:
    return {
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "image": image_name(case.case_id),
        "raw_height_px": size[0],
        "raw_width_px": size[1],
        **vars(affine),
        "flags": ";".join(case.flags),
        MASK_COLUMN: mask_name(case.case_id) if case.masks else None,
    }


def _map_to_frame(
    case_id: str, reading_id: str, fixations: Fixations, size: tuple[int, int], affine: Affine
) -> _Reading:
    inside = fixations.inside(*size)
    return _Reading(case_id, reading_id, affine.apply(fixations.select(inside)), int((~inside).sum()))


def _total_s(fixations: Fixations, frame: Frame) -> float:
    return fixations.select(fixations.inside(frame.height_px, frame.width_px)).total_s


def _fixation_table(readings: Sequence[_Reading]) -> pa.Table:
    all_fixations = concatenate([reading.fixations for reading in readings])
    lengths = [len(reading.fixations) for reading in readings]
    columns = {
        name: getattr(all_fixations, name) for name in FIXATIONS.names if name not in ("case_id", "reading_id", "label")
    }
    columns["label"] = pa.array(all_fixations.label, pa.string(), mask=all_fixations.label == "")
    for name in ("case_id", "reading_id"):
        ids = np.array([getattr(reading, name) for reading in readings], dtype=np.str_)
        columns[name] = pa.array(np.repeat(ids, lengths), pa.string())
    return pa.table([columns[name] for name in FIXATIONS.names], schema=FIXATIONS)
