"""One case's image and mask files -> PNG files of the frame's size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Shaped

from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.case import MASK_BITS, Case, MaskName, RegionMask
from ggcam.data.decoding import decoding_guard
from ggcam.data.framing import Framing
from ggcam.data.grey_levels import GreyLevels
from ggcam.data.images import read_mask, read_pixels_and_bits
from ggcam.data.pixel_arrays import Pixels, to_channels, to_integers, to_uint8
from ggcam.data.png import write_png
from ggcam.data.region_masks import Box, bounding_box, mask_files
from ggcam.data.schema import region_mask_bits
from ggcam.data.view_position import read_view
from ggcam.errors import GGCamError, ImageError
from ggcam.utils.parallel import Guard


@dataclass(frozen=True)
class PixelFiles:
    """The raw image and mask files of one case.

    Attributes:
        image: raw image file.
        masks: raw mask files of the image's size, nonzero inside.
        raw_size: required height and width of the image in pixels; None for any size.
        region_masks: name of a finding -> its mask in the raw image.
    """

    image: Path
    masks: Mapping[MaskName, Path]
    raw_size: tuple[int, int] | None = None
    region_masks: Mapping[str, RegionMask] = field(default_factory=dict)

    @classmethod
    def from_case(cls, case: Case) -> PixelFiles:
        """Collect the files of a case.

        Args:
            case: the case.

        Returns:
            Its image, masks and expected size.
        """
        return cls(case.image, dict(case.masks), case.raw_size, dict(case.region_masks))

    @property
    def paths(self) -> list[Path]:
        """All files; the image is the first."""
        regions = (path for mask in self.region_masks.values() for path in mask_files(mask))
        return [self.image, *self.masks.values(), *regions]

    @property
    def version(self) -> str:
        """Size and time of all files, which change when a file is replaced."""
        return " ".join(_version(path) for path in self.paths)

    def read(self) -> tuple[Shaped[np.ndarray, "h w"], dict[MaskName, Bool[np.ndarray, "h w"]]]:
        """Read the image in grey with :func:`ggcam.data.images.read_pixels`, and the masks.

        Returns:
            Pixels of the image; name -> mask, true inside.

        Raises:
            ImageError: a file is missing or damaged, or has another size than expected.
        """
        image, _ = self.read_image()
        return image, self.read_masks(image.shape)

    def read_image(self, used_bits: int = ALL_BITS, channels: int = 1) -> tuple[Pixels, int | None]:
        """Read the image with :func:`ggcam.data.images.read_pixels_and_bits`.

        Args:
            used_bits: bits that the values of the data set's 16-bit files use.
            channels: 3 to keep colours; 1 to convert them to grey.

        Returns:
            Pixels of the image, and the bits that its own values use.

        Raises:
            ImageError: the file is missing or damaged, or has another size than expected.
        """
        image, own_bits = read_pixels_and_bits(self.image, used_bits, channels)
        if self.raw_size is not None and image.shape[:2] != self.raw_size:
            raise ImageError(
                "the image has another size than its gaze and regions refer to",
                where=self.image,
                expected=self.raw_size,
                got=image.shape[:2],
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

    def read_region_masks(self, size: tuple[int, ...]) -> dict[str, Bool[np.ndarray, "h w"]]:
        """Read the masks of findings.

        Args:
            size: height and width of the image.

        Returns:
            Name -> mask, true inside.

        Raises:
            ImageError: a mask cannot be read, or has another size.
        """
        masks: dict[str, np.ndarray] = {}
        for name, mask in self.region_masks.items():
            try:
                drawn = np.asarray(mask.read(size[0], size[1]))
            except GGCamError:
                raise
            except Exception as error:  # a user's own source may have masks of its own
                what = f"the mask of {name} cannot be read"
                raise ImageError(what, where=self.image, got=f"{type(error).__name__}: {error}") from error
            if drawn.dtype != bool or drawn.shape != size[:2]:
                raise ImageError(
                    f"the mask of {name} has another size or type than it must have",
                    where=self.image,
                    expected=f"bool, {size[:2]}",
                    got=f"{drawn.dtype}, {drawn.shape}",
                )
            masks[name] = drawn
        return masks


@dataclass(frozen=True)
class ImageTask:
    """Input, output and settings of preparing one case's image and masks.

    Attributes:
        case_id: id of the case.
        files: raw files.
        image_png: prepared image to write.
        mask_png: prepared masks to write, one bit each; not written when there are no masks.
        region_mask_png: prepared masks of findings to write, one bit each; not written when there are none.
        framing: how raw pixels are fitted into the frame.
        bits: bits per pixel of the prepared image, 8 or 16.
    """

    case_id: str
    files: PixelFiles
    image_png: Path
    mask_png: Path
    region_mask_png: Path
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
        version: version of the raw files, see :attr:`PixelFiles.version`.
        region_boxes: name of a finding -> box around its mask in the frame; without masks that are empty there.
        view: view that the DICOM file names, see :mod:`ggcam.data.view_position`; None if it is not known.
        error: reason why the image cannot be read; None if it was prepared.
    """

    case_id: str
    size: tuple[int, int] | None = None
    used_bits: int | None = None
    levels: GreyLevels | None = None
    version: str = ""
    region_boxes: Mapping[str, Box] = field(default_factory=dict)
    view: str | None = None
    error: ImageError | None = None


def _version(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size}-{status.st_mtime_ns}"


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
    version = task.files.version  # before reading: a file that is replaced meanwhile is read again by the next call
    try:
        image, used_bits = task.files.read_image(task.framing.used_bits, task.framing.channels)
        height, width = image.shape[:2]
        masks = task.files.read_masks((height, width))
        region_masks = task.files.read_region_masks((height, width))
    except ImageError as error:
        return ImageOutcome(task.case_id, error=error)
    framed = task.framing.image(image)
    # Multiplying by 257 maps the 8-bit range to the full 16-bit range.
    pixels = to_uint8(framed) if task.bits == 8 else framed * np.uint16(257 if framed.dtype == np.uint8 else 1)
    write_png(task.image_png, pixels)
    if masks:
        bits = [task.framing.mask(mask) * np.uint8(MASK_BITS[name]) for name, mask in masks.items()]
        write_png(task.mask_png, np.bitwise_or.reduce(bits))
    boxes = _write_region_masks(task, region_masks)
    levels = GreyLevels.from_image(to_channels(to_uint8(to_integers(image)), 1))
    view = read_view(task.files.image)
    return ImageOutcome(task.case_id, (height, width), used_bits, levels, version, boxes, view)


def _write_region_masks(task: ImageTask, masks: Mapping[str, Bool[np.ndarray, "h w"]]) -> dict[str, Box]:
    """Fit and write the masks of findings, and return the box around each that is not empty."""
    framed = {name: task.framing.mask(masks[name]) for name in sorted(masks)}
    boxes = {name: box for name, mask in framed.items() if (box := bounding_box(mask))}
    if boxes:
        bits = region_mask_bits(list(boxes))
        # The pixels have 8 bits if that is enough.
        kind = np.uint8 if len(bits) <= 8 else np.uint16
        write_png(task.region_mask_png, np.bitwise_or.reduce([framed[name] * kind(bit) for name, bit in bits.items()]))
    return boxes
