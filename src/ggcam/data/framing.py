"""How raw images come into the prepared frame: the whole image fitted in, or as the original GG-CAM did it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Shaped

from ggcam.data.case import Affine, Frame
from ggcam.data.images import resize_mask, resize_to_frame, to_grey
from ggcam.data.original import preprocessing

FramingName = Literal["fitted", "strided"]
"""What dataset.toml and a run's description call it: a new image goes the way of the training's."""


@dataclass(frozen=True)
class Fitted:
    """The whole image as large as it goes, by averaging over areas, centred, aspect kept."""

    frame: Frame
    name: ClassVar[FramingName] = "fitted"
    in_words: ClassVar[str] = (
        "the whole image as large as it goes in the size, aspect kept, centred, averaged over areas; rest black"
    )

    def place(self, height_px: int, width_px: int) -> Affine:
        """Raw image of that size -> frame; see :meth:`Frame.fit`."""
        return self.frame.fit(height_px, width_px)

    def crops(self, height_px: int, width_px: int) -> bool:  # noqa: ARG002  (never, whatever the size)
        """Whether a raw image of that size loses its margins: never."""
        return False

    def image(self, pixels: Shaped[np.ndarray, "h w"]) -> Shaped[np.ndarray, "frame_h frame_w"]:
        """What :func:`ggcam.data.images.read_pixels` gives -> frame; see :func:`ggcam.data.images.resize_to_frame`."""
        return resize_to_frame(to_grey(pixels), self.frame)

    def mask(self, mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "frame_h frame_w"]:
        """Mask, true inside -> frame; see :func:`ggcam.data.images.resize_mask`."""
        return resize_mask(mask, self.frame)


@dataclass(frozen=True)
class Strided:
    """Every second pixel of the image in the middle of a canvas: see :mod:`ggcam.data.original.preprocessing`."""

    frame: Frame
    name: ClassVar[FramingName] = "strided"
    in_words: ClassVar[str] = (
        "the image in the middle of a black canvas of twice the size, cropped where it is larger; every 2nd pixel of "
        "that; the largest of these white"
    )

    def place(self, height_px: int, width_px: int) -> Affine:
        """Raw image of that size -> frame; see :func:`ggcam.data.original.preprocessing.place`."""
        return preprocessing.place(self.frame, height_px, width_px)

    def crops(self, height_px: int, width_px: int) -> bool:
        """Whether a raw image of that size loses its margins: when it is larger than the canvas."""
        return preprocessing.crops(self.frame, height_px, width_px)

    def image(self, pixels: Shaped[np.ndarray, "h w"]) -> Shaped[np.ndarray, "frame_h frame_w"]:
        """What :func:`ggcam.data.images.read_pixels` gives -> frame; white is the largest of the kept pixels."""
        return to_grey(preprocessing.sample(pixels, self.frame).astype(np.float32))

    def mask(self, mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "frame_h frame_w"]:
        """Mask, true inside -> frame."""
        return preprocessing.sample(mask, self.frame)


Framing = Fitted | Strided
"""Pixels, masks and positions of a raw image take the same way into the frame."""

FRAMINGS: dict[FramingName, type[Fitted] | type[Strided]] = {framing.name: framing for framing in (Fitted, Strided)}
