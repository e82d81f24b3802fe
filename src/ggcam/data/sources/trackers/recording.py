"""What the reader of every eye tracker returns: samples or fixations of one reader on one image, as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from ggcam.data.sources.coordinates import ImageRect, Origin, Units
from ggcam.data.sources.time_units import TimeUnit
from ggcam.data.table_files import MAX_UNPACKED_BYTES

Content = Literal["samples", "fixations"]

MAX_POSITION = 1e6
"""Larger positions are no positions, in whatever unit."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read recordings.

    Attributes:
        prefer: which of the two to read from a file that has both samples and fixations.
        columns: column names of a generic table of samples: name -> name in the file.
        time_unit: unit of the times; None for the one that the file states or the data suggest.
        duration_unit: unit of the durations of fixations; None for that of the format.
        max_bytes: maximum size of a compressed file after decompression.
    """

    prefer: Content = "samples"
    columns: Mapping[str, str] = field(default_factory=dict)
    time_unit: TimeUnit | None = None
    duration_unit: TimeUnit | None = None
    max_bytes: int = MAX_UNPACKED_BYTES


@dataclass(frozen=True)
class Placement:
    """Where the image was on the screen, as the recording tells it.

    Attributes:
        rect: edges of the image on the screen; None if the recording does not tell its size.
        corner: where its top left corner was if it was shown at its own size; None if unknown.
        centre: where its centre was if it was shown at its own size; None if unknown.
    """

    rect: ImageRect | None = None
    corner: tuple[float, float] | None = None
    centre: tuple[float, float] | None = None

    def own_size_rect(self, width: int, height: int) -> ImageRect | None:
        """Return the edges of the image if one of its pixels covered one pixel of the screen.

        Args:
            width: of the image in pixels.
            height: of the image in pixels.

        Returns:
            The edges; None if the position is unknown.
        """
        if self.centre:
            left, top = self.centre[0] - width / 2, self.centre[1] - height / 2
        elif self.corner:
            left, top = self.corner
        else:
            return None
        return left, top, left + width, top + height


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples or fixations of one reader on one image.

    Attributes:
        path: the file.
        image: name of the image in the file; the file's own name without suffix if it names none.
        reader: name of the reader in the file; "1" if it names none.
        time_s: shape (n,), time of each sample, or start of each fixation; ascending.
        x: shape (n,), to the right, in `units`; NaN where the tracker lost the eye.
        y: shape (n,), in `units`; NaN where the tracker lost the eye.
        row: shape (n,), row or line in the file.
        duration_s: shape (n,), duration of each fixation; None for samples.
        onset_s: time at which the image appeared; None if unknown.
        has_both: whether the file has samples as well as fixations.
        session: which recording or trial of this reader it is, if the file has several.
        units: units of the positions; None if the file does not tell.
        units_from_file: whether the file states the units, so that no option can change them.
        origin: where x and y are 0; None if the file does not tell.
        screen_px: width and height of the screen; None if the file does not tell.
        placement: where the image was on the screen; None if the file does not tell.
    """

    path: Path
    image: str
    reader: str
    time_s: Float[np.ndarray, " n"]
    x: Float[np.ndarray, " n"]
    y: Float[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]
    duration_s: Float[np.ndarray, " n"] | None = None
    onset_s: float | None = None
    has_both: bool = False
    session: str = ""
    units: Units | None = None
    units_from_file: bool = False
    origin: Origin | None = None
    screen_px: tuple[int, int] | None = None
    placement: Placement | None = None

    @property
    def content(self) -> Content:
        """Whether these are samples or fixations."""
        return "samples" if self.duration_s is None else "fixations"
