"""Whether the images of a data set are chest X-rays, where its format does not tell: photographs have colours."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ggcam.data.case import ImageKind, Source
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
    return config.kind or source.kind or _kind_by_colour([case.image for case in source.cases])


def _kind_by_colour(images: Sequence[Path]) -> ImageKind:
    sample = [images[index] for index in np.unique(np.linspace(0, len(images) - 1, SAMPLE).astype(int))]
    coloured = [has_colours(path) for path in sample]
    return "other" if sum(coloured) > len(sample) / 2 else "chest"


def has_colours(path: Path) -> bool:
    """Return whether an image has colours, and not only shades of grey.

    Args:
        path: image file.

    Returns:
        False for an image of one channel, and for files other than PNG and JPEG.
    """
    try:
        with warnings.catch_warnings(), Image.open(path, formats=("PNG", "JPEG")) as image:
            warnings.simplefilter("ignore")
            if image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;"):
                return False
            image.draft("RGB", (THUMBNAIL_PX, THUMBNAIL_PX))
            small = image.convert("RGB").resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    except Exception:  # an unreadable image is reported when its pixels are read; a decoder may raise anything
        return False
    return bool((np.ptp(np.asarray(small).astype(int), axis=2) >= MIN_CHROMA).mean() >= MIN_COLOURED)
