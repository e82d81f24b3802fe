"""The image that a table, a recording or a mask refers to by name."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int, Shaped

from ggcam.data.find_images import image_stem
from ggcam.data.sources.image_files import read_sizes
from ggcam.data.sources.labelled_images import LabelledImages
from ggcam.errors import TableError, join_limited


def match_images(
    names: Shaped[np.ndarray, " n"], images: LabelledImages, where: Path, by_name: bool, what: str = "gaze table"
) -> Int[np.ndarray, " n"]:
    """Find the image that each name refers to.

    Args:
        names: paths of images relative to their folder; "" for none.
        images: the images to find.
        where: the table, for messages.
        by_name: also accept the path without suffix, the file name, and the file name without suffix, if only one image
            has it.
        what: what names the images, for the message.

    Returns:
        Index of each image, -1 if a name refers to none of them.

    Raises:
        TableError: no name refers to an image.
    """
    index_of = {image: index for index, image in enumerate(images.images)}
    if by_name:
        paths = [PurePosixPath(image) for image in images.images]
        without_suffix, names_only = [image_stem(image) for image in images.images], [path.name for path in paths]
        for short_names in (without_suffix, names_only, [image_stem(name) for name in names_only]):
            counts = Counter(short_names)
            index_of = {name: index for index, name in enumerate(short_names) if counts[name] == 1} | index_of
    # Systems write accents in two ways: as a letter of its own, or as a letter and a mark.
    index_of = {unicodedata.normalize("NFC", name): index for name, index in index_of.items()}
    case = np.array([index_of.get(unicodedata.normalize("NFC", name), -1) for name in names.tolist()], dtype=np.int64)
    if len(case) and (case < 0).all():
        raise TableError(
            f"none of the images in the {what} is a case",
            where=where,
            expected=f"paths such as {images.images[0]}",
            got=join_limited(dict.fromkeys(names.tolist()), limit=2),
        )
    return case


def read_image_sizes(images: LabelledImages, case: Int[np.ndarray, " n"]) -> Int[np.ndarray, "images 2"]:
    """Read the sizes of the images that have gaze or regions.

    An unreadable image is reported later, when its pixels are read; here its size is unknown, so its gaze and regions
    cannot be kept.

    Args:
        images: all images.
        case: index of the image of each row; -1 for none.

    Returns:
        Height and width of each image; 0 for images that do not occur in `case` and for unreadable ones.
    """
    named = np.unique(case[case >= 0])
    sizes = np.zeros((len(images.images), 2), dtype=np.int64)
    files = images.files
    sizes[named] = read_sizes([files[index] for index in named], True, Counter(), hint="")
    return sizes
