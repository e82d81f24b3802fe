"""Simulated cases for benchmarks, created once and then reused; and many cases that share the files of a few."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ggcam.data.case import Source
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.sources import egd_cxr
from ggcam.simulation.config import MIN_CASES, SimulationConfig
from ggcam.simulation.simulator import simulate

RAW_SIZE, SHORT_SIZE = "3056x2544", "192x160"
"""Size of a radiograph of MIMIC-CXR, and a size for tests."""


def raw_cases(root: Path, size: str, cases: int = MIN_CASES) -> Source:
    """Read simulated cases in the raw layout of EGD-CXR (DICOM, masks, fixations); simulate them if there are none."""
    if not root.is_dir():
        simulate(root, SimulationConfig(cases=cases, size=size))
    return egd_cxr.read(root)


def prepared_cases(raw: Path, data: Path, simulation: SimulationConfig, size: str) -> PreparedData:
    """Load a prepared simulated data set, split as the simulator says; create it if it does not exist."""
    if not data.is_dir():
        if not raw.is_dir():
            simulate(raw, simulation)
        prepare_source(egd_cxr.read(raw), data, PrepareConfig(size=size, split_file=raw / "split.csv"))
    return load_prepared(data)


def repeat_cases(source: Source, cases: int) -> Source:
    """Return a source of many cases with their own ids and patients, which share the files and gaze of a few."""
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


def folder_bytes(folder: Path) -> int:
    """Return the size of all files in a folder and its subfolders."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
