"""Many image files at once: which exist and how large they are, with one message about all that are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Int

from ggcam.data.find_images import find_images, image_stem
from ggcam.data.images import image_size
from ggcam.errors import ImageError, MissingFileError, join_limited
from ggcam.utils.foreign_paths import file_exists


def check_present(
    images: Sequence[Path], skip_missing: bool, dropped: Counter[str], hint: str
) -> Bool[np.ndarray, " n"]:
    """Return which images exist.

    Args:
        images: path of each image.
        skip_missing: count missing images in `dropped` instead of raising an error.
        dropped: reason -> count; updated.
        hint: how to fix missing images, for the message.

    Returns:
        True for each image that exists, shape (n,).

    Raises:
        MissingFileError: images are missing; the message has the first ones and their number.
    """
    present = np.array([file_exists(image) for image in images], dtype=bool)
    missing = [image for image, exists in zip(images, present, strict=True) if not exists]
    if missing and not skip_missing:
        raise MissingFileError(
            f"{len(missing):,} of {len(images):,} images are missing",
            where=join_limited(missing, limit=3),
            hint=f"{hint}; or leave them out with --skip-missing",
        )
    dropped["case whose image is missing"] += len(missing)
    return present


def read_sizes(images: Sequence[Path], skip_missing: bool, dropped: Counter[str], hint: str) -> Int[np.ndarray, "n 2"]:
    """Read the size of each image from its header.

    Args:
        images: path of each image.
        skip_missing: count missing and unreadable images in `dropped` instead of raising an error.
        dropped: reason -> count; updated.
        hint: how to fix missing images, for the message.

    Returns:
        Height and width in pixels; (0, 0) for an image that was skipped.

    Raises:
        MissingFileError: images are missing; the message has the first ones and their number.
        ImageError: images cannot be read; the message has the first errors and their number.
    """
    sizes = np.zeros((len(images), 2), dtype=np.int64)
    errors: list[ImageError] = []
    for index in np.flatnonzero(check_present(images, skip_missing, dropped, hint)).tolist():
        try:
            sizes[index] = image_size(images[index])
        except ImageError as error:
            errors.append(error)
    dropped["case whose image cannot be read"] += count_unreadable(errors, len(images), "images", skip_missing)
    return sizes


def count_unreadable(errors: Sequence[ImageError], total: int, unit: str, skip_missing: bool) -> int:
    """Count what could not be read, or raise one error about all of it.

    Args:
        errors: one error per unreadable item.
        total: number of items.
        unit: what the items are, in the plural, such as "images".
        skip_missing: return the number of errors instead of raising one.

    Returns:
        Number of errors.

    Raises:
        ImageError: there are errors and they may not be skipped; the message has the first ones and their number.
    """
    if errors and not skip_missing:
        shown = "\n".join(str(error) for error in errors[:3])
        raise ImageError(
            f"{len(errors):,} of {total:,} {unit} cannot be read; the first:\n{shown}",
            hint="repair or replace the files; or leave them out with --skip-missing",
        )
    return len(errors)


def images_below(root: Path, exclude: Path | None = None, dropped: Counter[str] | None = None) -> list[str]:
    """Find all images in a folder at any depth; see :func:`ggcam.data.find_images.find_images`.

    Args:
        root: the folder.
        exclude: folder to leave out.
        dropped: reason -> count, to which the files that are skipped are added, with their names in the log; None to
            say nothing about them.

    Returns:
        Paths relative to the folder, with '/', sorted.
    """
    found = find_images(root, exclude)
    if dropped is not None:
        found.report_skipped(root, dropped)
    return list(found.images)


def images_by_id(root: Path, dropped: Counter[str]) -> dict[str, Path]:
    """Find all images in a folder at any depth by their names.

    Args:
        root: the folder.
        dropped: reason -> count; updated.

    Returns:
        File name without suffix -> image; of several images with one name, the first by path.

    Raises:
        MissingFileError: the folder does not exist.
    """
    if not root.is_dir():
        raise MissingFileError("the folder of images does not exist", where=root)
    found: dict[str, Path] = {}
    for image in images_below(root, dropped=dropped):
        if found.setdefault(image_stem(PurePosixPath(image).name), root / image) != root / image:
            dropped["image with the same name as another"] += 1
    return found
