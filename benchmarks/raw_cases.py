"""Simulated cases for benchmarks, drawn and prepared where they are not there yet; and many on the files of a few."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ggcam.data.case import Source
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.sources import egd_cxr
from ggcam.simulation.config import MIN_CASES, SimulationConfig
from ggcam.simulation.simulator import simulate

RAW_SIZE, SHORT_SIZE = "3056x2544", "192x160"
"""Of a radiograph of MIMIC-CXR, and of one that takes no time."""


def raw_cases(root: Path, size: str, cases: int = MIN_CASES) -> Source:
    """The cases of a data set in the raw layout of EGD-CXR, drawn when it is not there: DICOM, masks, fixations."""
    if not root.is_dir():
        simulate(root, SimulationConfig(cases=cases, size=size))
    return egd_cxr.read(root)


def prepared_cases(raw: Path, data: Path, simulation: SimulationConfig, size: str) -> PreparedData:
    """A simulated data set in a frame of this size, split as the simulator says; made where it is not there."""
    if not data.is_dir():
        if not raw.is_dir():
            simulate(raw, simulation)
        prepare(egd_cxr.read(raw), data, PrepareConfig(size=size, split_file=raw / "split.csv"))
    return load_prepared(data)


def many(source: Source, cases: int) -> Source:
    """So many cases, with ids and patients of their own, that share the files, gaze and labels of a few."""
    few = source.cases
    copies = (
        replace(
            few[i % len(few)],
            case_id=f"{few[i % len(few)].case_id}-{i // len(few)}",
            patient_id=f"{few[i % len(few)].patient_id}-{i // len(few)}",
        )
        for i in range(cases)
    )
    return replace(source, cases=tuple(copies), dropped={})


def bytes_in(folder: Path) -> int:
    """Of all files in a folder, to any depth."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
