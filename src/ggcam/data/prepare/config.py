"""Options of preparing a data set. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ggcam.errors import ConfigError

PublishedSplitName = Literal["egd-public", "egd-public-with-validation", "siim-public", "siim-public-with-validation"]
"""Names of the splits in :mod:`ggcam.data.published_splits`."""

FRACTIONS = (0.7, 0.1, 0.2)
"""Fractions of the train, valid and test split."""


@dataclass(frozen=True)
class PrepareConfig:
    """Options of preparing a data set.

    Attributes:
        preset: corrected, or original for the Data Processing of the original GG-CAM with its defects: every second
            pixel of an image, crops of images that are too large, and a split by position in the table.
        size: size of the frame, HEIGHTxWIDTH in pixels, both divisible by 32.
        seed: random seed of the split.
        split: patient (by patient, stratified by class), position (class by class, the first images of the source are
            for training, and a patient may be in several splits), or source (the split of the source). Default:
            patient, or position with --preset original.
        split_file: CSV file with the columns id and split; or a list of ids, which become the test split, while the
            other patients are split into train and valid. With --published-split, the folder with the authors' files.
            Default: split by --split.
        published_split: read the split of a published table from the folder --split-file, without a validation part:
            egd-public (976 and 107 images; a folder MIMIC-GAZE-JPG with train/ and test/) or siim-public (1,000 and
            250; train_list.csv and test_list.csv). The names that end in -with-validation keep the test images and take
            a validation part from the training images.
        split_fractions: fractions of the train, valid and test split.
        subset_fraction: fraction of each split to keep, with --split position.
        kind: what the images show: chest (X-rays), or other, which skips the checks of `ggcam inspect` that know where
            lungs are. Default: what the source says; for images of your own, other if they have colours.
        channels: channels of the images: grey (one), colour (three), or auto, which keeps colours if most of the images
            have any, unless they are chest X-rays.
        bits: bits per pixel of the images. Default: 8, or 16 with --preset original.
        used_bits: bits that the values of 16-bit PNG and TIFF files use, 8 to 16; their largest value is white.
            Default: found from the files.
        workers: number of processes; 0 for one per core.
        ray: address of a Ray cluster to prepare the images on, auto for the cluster that this machine belongs to, or
            local to start one on this machine. Default: processes on this machine, without Ray.
        skip_missing: leave out cases whose image or mask is missing or damaged, and count them.
        overwrite: replace an existing prepared folder once the new one is complete.
    """

    preset: Literal["corrected", "original"] = "corrected"
    size: str = "1536x1280"
    seed: int = 0
    split: Literal["patient", "position", "source"] | None = None
    split_file: Path | None = None
    published_split: PublishedSplitName | None = None
    split_fractions: tuple[float, float, float] = FRACTIONS
    subset_fraction: float = 1.0
    kind: Literal["chest", "other"] | None = None
    channels: Literal["auto", "grey", "colour"] = "auto"
    bits: Literal[8, 16] | None = None
    used_bits: int | None = None
    workers: int = 0
    ray: str | None = None
    skip_missing: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ConfigError("workers must be 0 (one per core) or more", where="--workers", got=self.workers)
        if self.workers and self.ray is not None:
            raise ConfigError(
                "--workers is for this machine, --ray for a cluster", where="--workers", hint="use one of them"
            )
        if self.used_bits is not None and not 8 <= self.used_bits <= 16:
            raise ConfigError("invalid number of bits", where="--used-bits", expected="8 to 16", got=self.used_bits)
        if self.used_bits and self.preset == "original":
            raise ConfigError(
                "--used-bits has no meaning with --preset original",
                where="--used-bits",
                hint="leave it out: the largest value of each image is white",
            )
        if self.channels == "colour" and self.preset == "original":
            raise ConfigError(
                "the original's Data Processing is for grey images",
                where="--channels colour, --preset original",
                hint="leave --channels or --preset out",
            )
        if self.split_file and self.split in ("source", "position"):
            raise ConfigError(
                "--split-file and --split exclude each other",
                where=f"--split-file, --split {self.split}",
                hint="drop one",
            )
        if self.published_split and not self.split_file:
            raise ConfigError(
                "a published split is read from its authors' files",
                where="--published-split",
                hint="pass their folder with --split-file FOLDER",
            )
        if not 0 < self.subset_fraction <= 1:
            raise ConfigError(
                "the subset fraction must be above 0 and at most 1", where="--subset-fraction", got=self.subset_fraction
            )
        if self.subset_fraction < 1 and self.split_by != "position":
            raise ConfigError(
                "a subset fraction requires a split by position",
                where="--subset-fraction",
                got=f"a split by {'a file' if self.split_file else self.split_by}",
                hint="add --preset original or --split position",
            )

    @property
    def split_by(self) -> Path | Literal["patient", "position", "source"]:
        """What determines the split: a file, or one of the methods."""
        return self.split_file or self.split or ("position" if self.preset == "original" else "patient")

    @property
    def image_bits(self) -> Literal[8, 16]:
        """Bits per pixel of the images."""
        return self.bits or (16 if self.preset == "original" else 8)
