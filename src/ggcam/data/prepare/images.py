"""One case's image and mask files -> PNG files of the frame's size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Shaped

from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.case import MASK_BITS, Case, MaskName
from ggcam.data.decoding import decoding_guard
from ggcam.data.framing import Framing
from ggcam.data.grey_levels import GreyLevels
from ggcam.data.images import read_mask, read_pixels_and_bits, to_grey, to_uint8
from ggcam.data.png import write_png
from ggcam.errors import ImageError
from ggcam.utils.parallel import Guard


@dataclass(frozen=True)
class PixelFiles:
    """The raw image and mask files of one case.

    Attributes:
        image: raw image file.
        masks: raw mask files of the image's size, nonzero inside.
        raw_size: required height and width of the image in pixels; None for any size.
    """

    image: Path
    masks: Mapping[MaskName, Path]
    raw_size: tuple[int, int] | None = None

    @classmethod
    def from_case(cls, case: Case) -> PixelFiles:
        """Collect the files of a case.

        Args:
            case: the case.

        Returns:
            Its image, masks and expected size.
        """
        return cls(case.image, dict(case.masks), case.raw_size)

    @property
    def paths(self) -> list[Path]:
        """All files; the image is the first."""
        return [self.image, *self.masks.values()]

    def read(self) -> tuple[Shaped[np.ndarray, "h w"], dict[MaskName, Bool[np.ndarray, "h w"]]]:
        """Read the image with :func:`ggcam.data.images.read_pixels`, and the masks.

        Returns:
            Pixels of the image; name -> mask, true inside.

        Raises:
            ImageError: a file is missing or damaged, or has another size than expected.
        """
        image, _ = self.read_image()
        return image, self.read_masks(image.shape)

    def read_image(self, used_bits: int = ALL_BITS) -> tuple[Shaped[np.ndarray, "h w"], int | None]:
        """Read the image with :func:`ggcam.data.images.read_pixels_and_bits`.

        Args:
            used_bits: bits that the values of the data set's 16-bit files use.

        Returns:
            Pixels of the image, and the bits that its own values use.

        Raises:
            ImageError: the file is missing or damaged, or has another size than expected.
        """
        image, own_bits = read_pixels_and_bits(self.image, used_bits)
        if self.raw_size is not None and image.shape != self.raw_size:
            raise ImageError(
                "the image has another size than its gaze refers to",
                where=self.image,
                expected=self.raw_size,
                got=image.shape,
            )
        return image, own_bits

    def read_masks(self, size: tuple[int, ...]) -> dict[MaskName, Bool[np.ndarray, "h w"]]:
        """Read the masks.

        Args:
            size: height and width of the image.

        Returns:
            Name -> mask, true inside.

        Raises:
            ImageError: a file is missing or damaged, or has another size.
        """
        masks: dict[MaskName, np.ndarray] = {name: read_mask(path, name) for name, path in self.masks.items()}
        for name, mask in masks.items():
            if mask.shape != size:
                raise ImageError(
                    "the mask has another size than its image",
                    where=self.masks[name],
                    expected=size,
                    got=mask.shape,
                )
        return masks


@dataclass(frozen=True)
class ImageTask:
    """Input, output and settings of preparing one case's image and masks.

    Attributes:
        case_id: id of the case.
        files: raw files.
        image_png: prepared image to write.
        mask_png: prepared masks to write, one bit each; not written when there are no masks.
        framing: how raw pixels are fitted into the frame.
        bits: bits per pixel of the prepared image, 8 or 16.
    """

    case_id: str
    files: PixelFiles
    image_png: Path
    mask_png: Path
    framing: Framing
    bits: int


@dataclass(frozen=True)
class ImageOutcome:
    """The outcome of a task.

    Attributes:
        case_id: id of the case.
        size: height and width of the raw image in pixels; None if it cannot be read.
        used_bits: bits that the values of a 16-bit PNG or TIFF file use; None for other files.
        levels: grey levels of the raw image; None if it was not prepared from pixels.
        error: reason why the image cannot be read; None if it was prepared.
    """

    case_id: str
    size: tuple[int, int] | None = None
    used_bits: int | None = None
    levels: GreyLevels | None = None
    error: ImageError | None = None


PREPARE_GUARD: Guard[ImageTask, ImageOutcome] = decoding_guard(
    lambda task: task.files.paths, lambda task, error: ImageOutcome(task.case_id, error=error)
)
"""An image that crashes or blocks its decoder is an unreadable image."""


def prepare_image(task: ImageTask) -> ImageOutcome:
    """Read, fit and write one case's image and masks.

    Args:
        task: what to do.

    Returns:
        The outcome; an unreadable file is an outcome, not an exception.

    Raises:
        PreparedFolderError: a prepared file cannot be written.
    """
    try:
        image, used_bits = task.files.read_image(task.framing.used_bits)
        masks = task.files.read_masks(image.shape)
    except ImageError as error:
        return ImageOutcome(task.case_id, error=error)
    framed = task.framing.image(image)
    # Multiplying by 257 maps the 8-bit range to the full 16-bit range.
    pixels = to_uint8(framed) if task.bits == 8 else framed * np.uint16(257 if framed.dtype == np.uint8 else 1)
    write_png(task.image_png, pixels)
    if masks:
        bits = [task.framing.mask(mask) * np.uint8(MASK_BITS[name]) for name, mask in masks.items()]
        write_png(task.mask_png, np.bitwise_or.reduce(bits))
    height, width = image.shape
    levels = GreyLevels.from_image(to_uint8(to_grey(image)))
    return ImageOutcome(task.case_id, (height, width), used_bits, levels)
