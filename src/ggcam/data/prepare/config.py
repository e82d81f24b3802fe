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
        preset: "corrected"; or "original", what the original GG-CAM's Data Processing did, defects included: images
            sampled at every 2nd pixel and cropped where they are too large, split by position in the table.
        size: HEIGHTxWIDTH of the frame, both divisible by 32.
        seed: of the split.
        split: "patient" deals the patients out, stratified by class; "position" takes, class by class, the first
            images of the source for training, and a patient may be on both sides; "source" takes the source's own
            split. None is what the preset says: patient, or position if original.
        split_file: CSV of id and split to take instead; or a bare list of ids, which become the test split, while the
            other patients are dealt out to train and valid.
        fractions: shares of train, valid and test.
        fraction: share of each split that is kept, with --split position.
        bits: 8 or 16, of the images. None is what the preset says: 8, or 16 if original.
        workers: processes; 0 for one a core.
        skip_missing: leave out cases whose image or mask is missing or broken, and count them.
        overwrite: replace a prepared folder that is there already, once the new one is whole.
    """

    preset: Literal["corrected", "original"] = "corrected"
    size: str = "1536x1280"
    seed: int = 0
    split: Literal["patient", "position", "source"] | None = None
    split_file: Path | None = None
    split_fractions: tuple[float, float, float] = FRACTIONS
    subset_fraction: float = 1.0
    bits: Literal[8, 16] | None = None
    workers: int = 0
    skip_missing: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ConfigError("workers must be 0 (one a core) or more", where="--workers", got=self.workers)
        if self.split_file and self.split in ("source", "position"):
            what = "the source" if self.split == "source" else "the position"
            raise ConfigError(f"a split comes from a file or from {what}", where=f"--split-file, --split {self.split}")
        if not 0 < self.subset_fraction <= 1:
            raise ConfigError(
                "the fraction must be above 0 and at most 1", where="--subset-fraction", got=self.subset_fraction
            )
        if self.subset_fraction < 1 and self.split_by != "position":
            raise ConfigError(
                "a fraction is taken of a split by position alone",
                where="--subset-fraction",
                got=f"split by {'a file' if self.split_file else self.split_by}",
                hint="add --preset original or --split position",
            )

    @property
    def split_by(self) -> Path | Literal["patient", "position", "source"]:
        """What decides the split: a file, or one of the ways."""
        return self.split_file or self.split or ("position" if self.preset == "original" else "patient")

    @property
    def image_bits(self) -> Literal[8, 16]:
        """Bits of the images."""
        return self.bits or (16 if self.preset == "original" else 8)
