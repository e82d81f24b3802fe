"""The decoded images of a prepared folder in one memory-mapped file, which is read without decoding.

DATA/pixels/<key>.npy, (n, height, width), or (n, height, width, 3) for RGB; uint8 or uint16. It takes three times the
disk space of the images, and is useful if these do not fit into memory and the disk is fast. The key depends on the
cases and on the size and time of each image file, so the cache is never outdated. Files that are no longer needed may
be deleted.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

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
            _write(temporary, data, case_ids)
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


def _write(path: Path, data: PreparedData, case_ids: Sequence[str]) -> None:
    """Write a header and one image after the other; writing to a memory-mapped file would fill the memory."""
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


def _key(data: PreparedData, case_ids: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for case_id in case_ids:
        path = data.root / image_name(case_id)
        status = path.stat() if path.is_file() else None
        digest.update(f"{case_id} {status and (status.st_size, status.st_mtime_ns)}\n".encode())
    return digest.hexdigest()[:16]
