"""Image and mask files -> PNGs of the frame's size, in several processes, with no more than a few images in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Shaped

from ggcam.data.case import MASK_BITS, Case, MaskName
from ggcam.data.framing import Framing
from ggcam.data.images import read_mask, read_pixels, to_uint8
from ggcam.data.png import write_png
from ggcam.errors import ImageError
from ggcam.utils.parallel import parallel_map


@dataclass(frozen=True)
class PixelFiles:
    """The raw files of one case's pixels.

    Attributes:
        image: raw image file.
        masks: raw mask files of the image's size, nonzero inside.
        raw_size: (height, width) in pixels that the image must have; None for any.
    """

    image: Path
    masks: Mapping[MaskName, Path]
    raw_size: tuple[int, int] | None = None

    @classmethod
    def from_case(cls, case: Case) -> PixelFiles:
        """The files of a case."""
        return cls(case.image, dict(case.masks), case.raw_size)

    def read(self) -> tuple[Shaped[np.ndarray, "h w"], dict[MaskName, Bool[np.ndarray, "h w"]]]:
        """The image as :func:`read_pixels` gives it, and the masks.

        Raises:
            ImageError: a file is missing or broken, or a size differs from what it should be.
        """
        image = read_pixels(self.image)
        if self.raw_size is not None and image.shape != self.raw_size:
            raise ImageError(
                "the image is not of the size that its gaze refers to",
                where=self.image,
                expected=self.raw_size,
                got=image.shape,
            )
        masks: dict[MaskName, np.ndarray] = {name: read_mask(path, name) for name, path in self.masks.items()}
        for name, mask in masks.items():
            if mask.shape != image.shape:
                raise ImageError(
                    "a mask is not of its image's size", where=self.masks[name], expected=image.shape, got=mask.shape
                )
        return image, masks


@dataclass(frozen=True)
class ImageTask:
    """One case's pixels: where they come from, where they go, and how.

    Attributes:
        case_id: of the case.
        files: the raw files.
        image_png: where the prepared image goes.
        mask_png: where the masks go, one bit each; nothing is written when there are none.
        framing: the way into the frame.
        bits: 8 or 16, of the prepared image.
    """

    case_id: str
    files: PixelFiles
    image_png: Path
    mask_png: Path
    framing: Framing
    bits: int


@dataclass(frozen=True)
class ImageOutcome:
    """What became of a task: the raw image's (height, width) in pixels, or the reason why there is none."""

    case_id: str
    size: tuple[int, int] | None = None
    error: ImageError | None = None


def prepare_image(task: ImageTask) -> ImageOutcome:
    """Read, fit, pad and write one case's image and masks; a broken file is an outcome, not an exception.

    Raises:
        PreparedFolderError: the target cannot be written.
    """
    try:
        image, masks = task.files.read()
    except ImageError as error:
        return ImageOutcome(task.case_id, error=error)
    framed = task.framing.image(image)
    # 8 bits repeated fill 16: 255 becomes 65535.
    pixels = to_uint8(framed) if task.bits == 8 else framed * np.uint16(257 if framed.dtype == np.uint8 else 1)
    write_png(task.image_png, pixels)
    if masks:
        bits = [task.framing.mask(mask) * np.uint8(MASK_BITS[name]) for name, mask in masks.items()]
        write_png(task.mask_png, np.bitwise_or.reduce(bits))
    height, width = image.shape
    return ImageOutcome(task.case_id, size=(height, width))


def prepare_images(tasks: Sequence[ImageTask], workers: int = 0) -> Iterator[ImageOutcome]:
    """Yield each task's outcome as soon as it is there, in any order; see :func:`parallel_map`.

    Raises:
        ConfigError: a worker was killed, most likely for want of memory.
        PreparedFolderError: a target cannot be written.
    """
    return parallel_map(prepare_image, tasks, workers)
