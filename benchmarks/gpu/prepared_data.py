"""A prepared folder for the parts that read images from disk."""

from __future__ import annotations

from pathlib import Path

from benchmarks.raw_cases import raw_cases, repeat_cases
from ggcam.data.case import Source
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData


def simulated_source(folder: Path, size: str, cases: int) -> Source:
    """Simulate a few cases, with the noise of real images, and repeat them under ids of their own."""
    return repeat_cases(raw_cases(folder, size), cases)


def prepared_data(folder: Path, size: str, cases: int, train_fraction: float = 0.9) -> PreparedData:
    """Simulate and prepare cases in a frame of the same size; `train_fraction` of them are training cases."""
    rest = (1 - train_fraction) / 2
    config = PrepareConfig(size=size, split="position", split_fractions=(train_fraction, rest, rest))
    return prepare_source(simulated_source(folder / "raw", size, cases), folder / "data", config)
