"""Configuration of a simulation: number and size of the images, findings, and quality of the gaze."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from ggcam.errors import ConfigError

MIN_SIDE_PX, MAX_SIDE_PX = 64, 4096
MIN_CASES = 12
"""Three classes in three splits, with more patients in training than in the other splits."""


@dataclass(frozen=True)
class SimulationConfig:
    """Configuration of a simulation.

    Attributes:
        cases: number of images.
        layout: raw layout to write: EGD-CXR's, or REFLACX's with several readings of some images.
        size: size of the images, HEIGHTxWIDTH in pixels.
        seed: random seed; the same seed gives the same bytes.
        shortcut: probability, 0 to 1, that a training or validation image bears the marker of its class. All other
            images, and all test images, bear one of the three markers at random.
        gaze_noise_deg: standard deviation of the tracker's error per axis, in degrees of visual angle.
        inattentive_prob: probability, 0 to 1, that a reading has no extra dwell on the findings.
        no_gaze_prob: probability, 0 to 1, that a case (REFLACX: a reading) has no fixations.
        workers: number of processes; 0 for one per core. The data do not depend on it.
        backgrounds: folder of real X-rays `<id>.png` with masks `<id>_left_lung.png` and `<id>_right_lung.png`, on
            which findings and gaze are drawn. Default: simulated
            phantoms.

    Raises:
        ConfigError: a value is out of its range, or the size is not HEIGHTxWIDTH.
    """

    cases: int = 1090
    layout: Literal["egd_cxr", "reflacx"] = "egd_cxr"
    size: str = "256x208"
    seed: int = 0
    shortcut: float = 0.0
    gaze_noise_deg: Annotated[float, arg(name="gaze-noise")] = 1.0
    inattentive_prob: float = 0.1
    no_gaze_prob: float = 0.0
    workers: int = 0
    backgrounds: Path | None = None

    def __post_init__(self) -> None:
        self._require("cases", self.cases >= MIN_CASES, f"{MIN_CASES} or more")
        self._require("seed", self.seed >= 0, "0 or more")
        for name in ("shortcut", "inattentive_prob", "no_gaze_prob"):
            self._require(name, 0 <= getattr(self, name) <= 1, "a probability from 0 to 1")
        self._require("gaze_noise_deg", 0 <= self.gaze_noise_deg <= 10, "0 to 10 degrees")
        self._require("workers", self.workers >= 0, "0 (one per core) or more")
        match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", self.size)
        self._require("size", match is not None, "HEIGHTxWIDTH in pixels, such as 256x208")
        sides = (self.height_px, self.width_px)
        in_range = all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in sides)
        self._require("size", in_range, f"sides from {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels")
        self._require("size", max(sides) <= 2 * min(sides), "the longer side at most twice the shorter one")

    @property
    def height_px(self) -> int:
        """Height of the images in pixels."""
        return int(self.size.lower().split("x")[0])

    @property
    def width_px(self) -> int:
        """Width of the images in pixels."""
        return int(self.size.lower().split("x")[1])

    def _require(self, name: str, valid: bool, expected: str) -> None:
        if not valid:
            flag = "--" + name.removesuffix("_deg").replace("_", "-")
            raise ConfigError(f"{name} is out of range", where=flag, expected=expected, got=repr(getattr(self, name)))
