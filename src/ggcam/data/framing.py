"""How raw images are brought into the prepared frame: fitted as a whole, or sampled as by the original GG-CAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Shaped

from ggcam.data.affine import Affine
from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.case import Frame
from ggcam.data.original import preprocessing
from ggcam.data.pixel_arrays import Pixels, resize_mask, resize_to_frame, to_channels, to_integers
from ggcam.errors import ConfigError

FramingName = Literal["fitted", "strided"]
"""Name in dataset.toml and in the description of a network: a new image is framed as the training images were."""


@dataclass(frozen=True)
class Fitted:
    """Scale the whole image to the largest size that fits the frame, keep the aspect ratio, and centre it.

    Attributes:
        frame: size of the result.
        used_bits: bits that the values of 16-bit PNG and TIFF files use; their largest value is white.
        channels: number of channels of the result: 1 for grey, 3 for RGB.
    """

    frame: Frame
    used_bits: int = ALL_BITS
    channels: int = 1
    name: ClassVar[FramingName] = "fitted"
    description: ClassVar[str] = (
        "the whole image, scaled to the largest size that fits by area averaging, aspect ratio kept, centred; the "
        "rest is black"
    )

    def affine(self, height_px: int, width_px: int) -> Affine:
        """Return the map from a raw image to the frame; see :meth:`Frame.fit`.

        Args:
            height_px: height of the raw image in pixels.
            width_px: width of the raw image in pixels.

        Returns:
            Map of continuous pixel coordinates.
        """
        return self.frame.fit(height_px, width_px)

    def crops(self, height_px: int, width_px: int) -> bool:  # noqa: ARG002  (the answer does not depend on the size)
        """Return whether a raw image loses its margins: never.

        Args:
            height_px: height of the raw image in pixels.
            width_px: width of the raw image in pixels.

        Returns:
            False.
        """
        return False

    def image(
        self, pixels: Pixels, raw_size: tuple[int, int] | None = None
    ) -> Shaped[np.ndarray, "frame_h frame_w *channels"]:
        """Bring an image into the frame; see :func:`ggcam.data.images.resize_to_frame`.

        Args:
            pixels: as :func:`ggcam.data.images.read_pixels` returns them for the same number of channels.
            raw_size: height and width of the raw image, if it has been decoded at a lower resolution.

        Returns:
            uint8 or uint16. A grey image is repeated in each channel.
        """
        return to_channels(resize_to_frame(to_integers(pixels), self.frame, raw_size), self.channels)

    def mask(self, mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "frame_h frame_w"]:
        """Bring a mask into the frame; see :func:`ggcam.data.images.resize_mask`.

        Args:
            mask: true inside.

        Returns:
            The mask in the frame.
        """
        return resize_mask(mask, self.frame)


@dataclass(frozen=True)
class Strided:
    """Take every second pixel of the image, centred on a canvas: see :mod:`ggcam.data.original.preprocessing`.

    Attributes:
        frame: size of the result.
        used_bits: all bits of 16-bit files, since the largest value of each image is white.
        channels: always 1, grey.

    Raises:
        ConfigError: another number of channels.
    """

    frame: Frame
    used_bits: int = ALL_BITS
    channels: int = 1
    name: ClassVar[FramingName] = "strided"
    description: ClassVar[str] = (
        "the image centred on a black canvas of twice the size, cropped where it is larger; every 2nd pixel of that; "
        "the largest value of these white"
    )

    def __post_init__(self) -> None:
        if self.channels != 1:
            raise ConfigError("the original's framing is for grey images", got=f"{self.channels} channels")

    def affine(self, height_px: int, width_px: int) -> Affine:
        """Return the map from a raw image to the frame; see :func:`ggcam.data.original.preprocessing.place`.

        Args:
            height_px: height of the raw image in pixels.
            width_px: width of the raw image in pixels.

        Returns:
            Map of continuous pixel coordinates.
        """
        return preprocessing.affine_to_frame(self.frame, height_px, width_px)

    def crops(self, height_px: int, width_px: int) -> bool:
        """Return whether a raw image loses its margins, because it is larger than the canvas.

        Args:
            height_px: height of the raw image in pixels.
            width_px: width of the raw image in pixels.

        Returns:
            True if the image is cropped.
        """
        return preprocessing.crops(self.frame, height_px, width_px)

    def image(self, pixels: Shaped[np.ndarray, "h w"]) -> Shaped[np.ndarray, "frame_h frame_w"]:
        """Bring an image into the frame; the largest value of the kept pixels becomes white.

        Args:
            pixels: as :func:`ggcam.data.images.read_pixels` returns them.

        Returns:
            uint16.
        """
        return to_integers(preprocessing.sample(pixels, self.frame).astype(np.float32))

    def mask(self, mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "frame_h frame_w"]:
        """Bring a mask into the frame.

        Args:
            mask: true inside.

        Returns:
            The mask in the frame.
        """
        return preprocessing.sample(mask, self.frame)


Framing = Fitted | Strided
"""Pixels, masks and positions of a raw image are brought into the frame in the same way."""

FRAMINGS: dict[FramingName, type[Fitted] | type[Strided]] = {framing.name: framing for framing in (Fitted, Strided)}
