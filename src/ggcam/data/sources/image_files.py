"""Many image files at once: which are there and how large they are, told in one message and not one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from ggcam.data.images import IMAGE_SUFFIXES, image_size
from ggcam.errors import ImageError, MissingFileError, join_limited


def check_present(
    images: Sequence[Path], skip_missing: bool, dropped: Counter[str], hint: str
) -> Bool[np.ndarray, " n"]:
    """True for each image that is there, shape (n,).

    Args:
        images: where each image should be.
        skip_missing: count the missing ones in `dropped` rather than raise.
        dropped: reason -> count, added to.
        hint: what the user can do, for the message.

    Raises:
        MissingFileError: names the first missing ones and says how many they are.
    """
    present = np.array([image.is_file() for image in images], dtype=bool)
    missing = [image for image, there in zip(images, present, strict=True) if not there]
    if missing and not skip_missing:
        raise MissingFileError(
            f"{len(missing):,} of {len(images):,} images are missing",
            where=join_limited(missing, most=3),
            hint=f"{hint}; or leave them out with --skip-missing",
        )
    dropped["case whose image is missing"] += len(missing)
    return present


def read_sizes(images: Sequence[Path], skip_missing: bool, dropped: Counter[str], hint: str) -> Int[np.ndarray, "n 2"]:
    """Height and width of each image in pixels, from the headers; (0, 0) where there is none and that is admitted.

    Args:
        images: where each image should be.
        skip_missing: count the missing and the unreadable ones in `dropped` rather than raise.
        dropped: reason -> count, added to.
        hint: what the user can do about missing ones, for the message.

    Raises:
        MissingFileError: names the first missing ones and says how many they are.
        ImageError: quotes the first unreadable ones and says how many they are.
    """
    sizes = np.zeros((len(images), 2), dtype=np.int64)
    unreadable: list[ImageError] = []
    for at in np.flatnonzero(check_present(images, skip_missing, dropped, hint)).tolist():
        try:
            sizes[at] = image_size(images[at])
        except ImageError as error:
            unreadable.append(error)
    dropped["case whose image cannot be read"] += count_unreadable(unreadable, len(images), "images", skip_missing)
    return sizes


def count_unreadable(errors: Sequence[ImageError], of: int, what: str, skip_missing: bool) -> int:
    """How many could not be read, where that is admitted.

    Args:
        errors: one for each that could not.
        of: how many were tried.
        what: what they are called, such as "images".
        skip_missing: whether it is admitted.

    Raises:
        ImageError: quotes the first ones and says how many they are.
    """
    if errors and not skip_missing:
        shown = "\n".join(str(error) for error in errors[:3])
        raise ImageError(
            f"{len(errors):,} of {of:,} {what} cannot be read; the first:\n{shown}",
            hint="mend or replace the files; or leave them out with --skip-missing",
        )
    return len(errors)


def images_below(root: Path) -> list[str]:
    """Paths in `root` of all images at any depth, with '/', sorted; hidden files and folders are passed over."""
    relative = (path.relative_to(root) for path in root.rglob("*") if is_image(path))
    return sorted(p.as_posix() for p in relative if not any(part.startswith(".") for part in p.parts))


def is_image(path: Path) -> bool:
    """Whether it is a file that ends as an image does, and is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def images_by_id(root: Path, dropped: Counter[str]) -> dict[str, Path]:
    """Name without ending -> image, of all images below `root`; of several with one name the first, by path.

    Args:
        root: the folder.
        dropped: reason -> count, added to.

    Raises:
        MissingFileError: there is no such folder.
    """
    if not root.is_dir():
        raise MissingFileError("there is no such folder of images", where=root)
    found: dict[str, Path] = {}
    for image in images_below(root):
        if found.setdefault((root / image).stem, root / image) != root / image:
            dropped["image of the same name as another"] += 1
    return found
