"""The decoded images of a prepared folder in one memory-mapped file, which is read without decoding.

`pixel_cache` keeps such a file beside the images, and `DecodedImages` reads one that several runs share.

DATA/pixels/<key>.npy, (n, height, width), or (n, height, width, 3) for RGB; uint8 or uint16. It takes three times the
disk space of the images, and is useful if these do not fit into memory and the disk is fast. The key depends on the
cases and on the size and time of each image file, so the cache is never outdated. Files that are no longer needed may
be deleted.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from ggcam.data.prepared import PreparedData
from ggcam.data.schema import image_name
from ggcam.errors import PreparedFolderError
from ggcam.utils.atomic import atomic_path

log = logging.getLogger(__name__)


def pixel_cache(data: PreparedData, case_ids: Sequence[str]) -> Path:
    """Return the file with the decoded images of some cases; write it if it does not exist, or is damaged.

    Args:
        data: prepared folder.
        case_ids: ids of the cases, in the order of the images in the file.

    Returns:
        Path of the `.npy` file.

    Raises:
        ImageError: an image is missing or damaged.
        PreparedFolderError: the file cannot be written.
    """
    path = data.root / "pixels" / f"{_key(data, case_ids)}.npy"
    shape = (len(case_ids), *data.image_shape)
    if path.is_file():
        if _is_whole(path, shape):
            return path
        log.warning("%s is damaged and is written again", path)
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as temporary:
            write_pixels(temporary, data, case_ids)
    except OSError as error:
        raise PreparedFolderError(
            "the cache of decoded images cannot be written",
            where=path,
            got=error.strerror,
            hint="free disk space, or use --cache memory or --cache none",
        ) from None
    return path


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    """Return whether a file has the size of its images; reading all of them would take as long as decoding."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            found, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
            size = file.tell() + int(np.prod(shape)) * dtype.itemsize
    except (OSError, ValueError, TypeError, SyntaxError):
        return False
    return found == shape and not fortran_order and dtype in (np.uint8, np.uint16) and path.stat().st_size == size


def write_pixels(path: Path, data: PreparedData, case_ids: Sequence[str]) -> None:
    """Write the decoded images of some cases to a `.npy` file.

    Args:
        path: the file; it is not written atomically.
        data: prepared folder.
        case_ids: ids of the cases, at least one, in the order of the images in the file.

    Raises:
        ImageError: an image is missing or damaged.
        OSError: the file cannot be written.
    """
    # One image after the other: writing to a memory-mapped file would fill the memory.
    first = data.read_image(case_ids[0])
    header = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": False,
        "shape": (len(case_ids), *first.shape),
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for case_id in case_ids:
            file.write(data.read_image(case_id).astype(first.dtype, casting="safe", copy=False).tobytes())


class DecodedImages(Mapping[str, Shaped[np.ndarray, "H W *rgb"]]):
    """The decoded images of a prepared folder: case id -> pixels, in memory that all processes with the file share.

    Args:
        path: file that `write_pixels` wrote.
        case_ids: the ids that it was written with.
    """

    def __init__(self, path: Path, case_ids: Sequence[str]):
        # Copied on writing: torch warns about arrays that cannot be written to, although it only reads these.
        self._pixels = np.load(path, mmap_mode="c")
        self._rows = {case_id: row for row, case_id in enumerate(case_ids)}

    def __getitem__(self, case_id: str) -> Shaped[np.ndarray, "H W *rgb"]:
        return np.asarray(self._pixels[self._rows[case_id]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _key(data: PreparedData, case_ids: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for case_id in case_ids:
        path = data.root / image_name(case_id)
        status = path.stat() if path.is_file() else None
        digest.update(f"{case_id} {status and (status.st_size, status.st_mtime_ns)}\n".encode())
    return digest.hexdigest()[:16]
