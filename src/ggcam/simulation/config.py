"""What to simulate: how many cases, of which size, with how good a reader."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from ggcam.errors import ConfigError

MIN_SIDE_PX, MAX_SIDE_PX = 64, 4096
MIN_CASES = 12
"""Three classes in three splits, and at least one patient more in training than elsewhere."""


@dataclass(frozen=True)
class SimulationConfig:
    """Everything that the simulated data depend on, besides `workers`, which changes nothing but the time taken.

    Attributes:
        cases: number of images.
        layout: raw layout to write: that of EGD-CXR, or of REFLACX with several readings of some images.
        size: HEIGHTxWIDTH of the images in pixels.
        seed: the same seed gives the same bytes.
        shortcut: probability, 0 to 1, that the marker in a training or validation image is the one of its class;
            otherwise, and always in test, the marker is any of the three with equal chance.
        gaze_noise_deg: standard deviation of the tracker's error, per axis, in degrees of visual angle.
        inattentive_prob: share of readings in which the finding gets no extra dwell, 0 to 1.
        no_gaze_prob: share of cases (REFLACX: of readings) without a single fixation, 0 to 1.
        workers: processes; 0 for one per core.
        backgrounds: folder of real X-rays `<id>.png` with `<id>_left_lung.png` and `<id>_right_lung.png`, to lay
            findings and gaze on; None draws phantoms.

    Raises:
        ConfigError: a value is out of its range, or the size is not of its form.
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
            self._require(name, 0 <= getattr(self, name) <= 1, "a share from 0 to 1")
        self._require("gaze_noise_deg", 0 <= self.gaze_noise_deg <= 10, "0 to 10 degrees")
        self._require("workers", self.workers >= 0, "0 (one per core) or more")
        match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", self.size)
        self._require("size", match is not None, "HEIGHTxWIDTH in pixels, such as 256x208")
        sides = (self.height_px, self.width_px)
        in_range = all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in sides)
        self._require("size", in_range, f"sides from {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels")
        self._require("size", max(sides) <= 2 * min(sides), "a longer side of at most twice the shorter one")

    @property
    def height_px(self) -> int:
        """Height of the images."""
        return int(self.size.lower().split("x")[0])

    @property
    def width_px(self) -> int:
        """Width of the images."""
        return int(self.size.lower().split("x")[1])

    def _require(self, name: str, fine: bool, expected: str) -> None:
        if not fine:
            flag = "--" + name.removesuffix("_deg").replace("_", "-")
            raise ConfigError(
                f"{name} is out of its range", where=flag, expected=expected, got=repr(getattr(self, name))
            )
