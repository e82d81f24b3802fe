"""The data card: source of the cases, their number by class and split, gaze, and what preparation left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ggcam.data.attention import cases_with_findings
from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.prepared import PreparedData
from ggcam.data.summary import summary_table


@dataclass(frozen=True)
class DataCard:
    """Summary of a prepared folder.

    Attributes:
        facts: name -> text.
        head: head of the table of cases by class.
        rows: rows of the table.
        dropped: reason -> number of records, fixations or regions that preparation left out.
    """

    facts: dict[str, str]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    dropped: dict[str, int]


def data_card(data: PreparedData) -> DataCard:
    """Summarise a prepared folder from its tables, without reading images.

    Args:
        data: the prepared folder.

    Returns:
        The summary.
    """
    cases, readings = len(data), [reading for of_case in data.readings.values() for reading in of_case]
    split = data.meta.get("split", {})
    facts = {
        "Source": str(data.meta.get("source", "unknown")),
        "Frame": f"{data.frame} px, {data.meta.get('bits', 8)} bits{'' if data.channels == 1 else ', in colour'}",
        **_used_bits(data),
        "Split": str(split.get("how", "unknown")) + (f", seed {split['seed']}" if "seed" in split else ""),
        "Cases with gaze": _share(int(data.cases["has_gaze"].to_numpy().sum()), cases),
        "Cases with marked findings": _share(int(cases_with_findings(data).sum()), cases),
    }
    if overlap := split.get("patients_in_several_splits"):
        facts["Patients in several splits"] = f"{overlap:,}; results may be too optimistic"
    if readings:
        several = sum(len(of_case) > 1 for of_case in data.readings.values())
        facts |= {
            "Readings": f"{len(readings):,}" + (f"; {several:,} cases have several" if several else ""),
            "Fixations per reading": f"{np.median([len(each) for each in readings]):.0f} (median)",
            "Fixation time per reading": f"{np.median([each.total_s for each in readings]):.1f} s (median)",
        }
    head, *rows = summary_table(data)
    dropped = {str(reason): int(number) for reason, number in data.meta.get("dropped", {}).items()}
    return DataCard(facts, head, tuple(rows), dropped)


def _used_bits(data: PreparedData) -> dict[str, str]:
    return {} if data.used_bits == ALL_BITS else {"Raw 16-bit files": f"use {data.used_bits} bits"}


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / whole:.0%})" if whole else "0"
