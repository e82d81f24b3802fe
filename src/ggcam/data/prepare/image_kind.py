"""What images show, where their format does not tell: photographs have colours, chest X-rays have none."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ggcam.data.case import ImageKind, Source
from ggcam.data.decoding import decode_in_worker
from ggcam.data.images import read_pixels, stores_colour
from ggcam.data.pixel_arrays import to_channels, to_integers, to_uint8
from ggcam.data.prepare.config import PrepareConfig

SAMPLE = 16
"""Number of images that are looked at."""

THUMBNAIL_PX = 64
"""Side of the square to which an image is reduced, which evens out the noise of colours in JPEG files."""

MIN_CHROMA, MIN_COLOURED = 16, 0.05
"""An image has colours if its channels differ by at least this much, of 255, in at least this share of its pixels. A
coloured mark on an X-ray takes up less."""


def find_image_kind(source: Source, config: PrepareConfig) -> ImageKind:
    """Return what the images of a source show.

    Args:
        source: the source.
        config: settings of the preparation.

    Returns:
        What the settings say, or else the source; if neither does, "other" if most of some images have colours.
    """
    return config.kind or source.kind or ("other" if _most_have_colours(source) else "chest")


def find_channels(source: Source, config: PrepareConfig) -> int:
    """Return the number of channels that the images of a source are prepared with.

    Args:
        source: the source.
        config: settings of the preparation.

    Returns:
        3 for colour, 1 for grey: what the settings say; if they leave it open, 3 if most of some images have colours,
        unless they are chest X-rays or the images of the original GG-CAM.
    """
    if config.channels != "auto":
        return 3 if config.channels == "colour" else 1
    is_grey = config.preset == "original" or (config.kind or source.kind) == "chest"
    return 1 if is_grey or not _most_have_colours(source) else 3


def _most_have_colours(source: Source) -> bool:
    images = [case.image for case in source.cases]
    sample = [images[index] for index in np.unique(np.linspace(0, len(images) - 1, SAMPLE).astype(int))]
    return sum(map(has_colours, sample)) > len(sample) / 2


def has_colours(path: Path) -> bool:
    """Return whether an image has colours, and not only shades of grey.

    Args:
        path: image file.

    Returns:
        False for an image of one channel, and for a file that cannot be read.
    """
    try:
        small = _thumbnail(path) if stores_colour(path) else None
    except Exception:  # an unreadable image is reported when its pixels are read; a decoder may raise anything
        return False
    return small is not None and bool((np.ptp(small.astype(int), axis=2) >= MIN_CHROMA).mean() >= MIN_COLOURED)


def _thumbnail(path: Path) -> UInt8[np.ndarray, "side side 3"]:
    """Reduce an image. Pillow decodes PNG and JPEG files safely, and JPEG files at a reduced size."""
    with path.open("rb") as file:
        is_other = not file.read(8).startswith((b"\x89PNG", b"\xff\xd8"))
    if is_other:
        return decode_in_worker(_read_thumbnail, path, path)
    with warnings.catch_warnings(), Image.open(path, formats=("PNG", "JPEG")) as image:
        warnings.simplefilter("ignore")
        image.draft("RGB", (THUMBNAIL_PX, THUMBNAIL_PX))
        return np.asarray(image.convert("RGB").resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX))


def _read_thumbnail(path: Path) -> UInt8[np.ndarray, "side side 3"]:
    pixels = to_channels(to_uint8(to_integers(read_pixels(path, channels=3))), 3)
    return cv2.resize(pixels, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
