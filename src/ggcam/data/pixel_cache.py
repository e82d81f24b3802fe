"""Decoded images of a prepared folder in one file, mapped into memory: read without decoding, shared by processes.

DATA/pixels/<key>.npy, (n, height, width), uint8 or uint16. It takes three times the room of the images, and pays where
these do not fit into memory and a fast disk is to be had. The key tells which cases it holds, and the size and time of
each image, so that a file is never stale; one that is not wanted any more may be deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ggcam.data.prepared import PreparedData
from ggcam.data.schema import image_name
from ggcam.errors import PreparedFolderError
from ggcam.utils.atomic import atomic_path


def pixel_cache(data: PreparedData, case_ids: Sequence[str]) -> Path:
    """The file with these images in this order, written first where it is missing: whole or not at all.

    Raises:
        ImageError: an image is missing or damaged.
        PreparedFolderError: it cannot be written.
    """
    path = data.root / "pixels" / f"{_key(data, case_ids)}.npy"
    if path.is_file():
        return path
    try:
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as aside:
            _write(aside, data, case_ids)
    except OSError as error:
        raise PreparedFolderError(
            "the decoded images cannot be written beside the prepared ones",
            where=path,
            got=error.strerror,
            hint="make room, or choose --cache memory or --cache none",
        ) from None
    return path


def _write(path: Path, data: PreparedData, case_ids: Sequence[str]) -> None:
    """One image after the other, behind a header: mapping a file to write it would fill the memory."""
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
        there = path.stat() if path.is_file() else None
        digest.update(f"{case_id} {there and (there.st_size, there.st_mtime_ns)}\n".encode())
    return digest.hexdigest()[:16]
