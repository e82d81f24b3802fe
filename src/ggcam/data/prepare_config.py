"""What a user can choose about preparation. Light: a command line reads it without loading tables and images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ggcam.errors import ConfigError

FRACTIONS = (0.7, 0.1, 0.2)
"""Shares of train, valid and test."""


@dataclass(frozen=True)
class PrepareConfig:
    """How cases become a prepared folder.

    Attributes:
        size: HEIGHTxWIDTH of the frame, both divisible by 32.
        seed: of the split.
        split: "patient" deals the patients out, stratified by class; "source" takes the source's own split.
        split_file: CSV of id and split to take instead; or a bare list of ids, which become the test split, while the
            other patients are dealt out to train and valid.
        fractions: shares of train, valid and test.
        bits: 8 or 16, of the images.
        workers: processes; 0 for one a core.
        skip_missing: leave out cases whose image or mask is missing or broken, and count them.
        overwrite: replace a prepared folder that is there already, once the new one is whole.
    """

    size: str = "1536x1280"
    seed: int = 0
    split: Literal["patient", "source"] = "patient"
    split_file: Path | None = None
    fractions: tuple[float, float, float] = FRACTIONS
    bits: Literal[8, 16] = 8
    workers: int = 0
    skip_missing: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ConfigError("workers must be 0 (one a core) or more", where="--workers", got=self.workers)
        if self.split_file and self.split == "source":
            raise ConfigError("a split comes from a file or from the source", where="--split-file, --split source")
