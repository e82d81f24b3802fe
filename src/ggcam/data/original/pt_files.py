"""The `.pt` files of the original GG-CAM: `Down<d>_Blur<b>/{Train,Valid,Test}/<ID>.pt`, one per case.

| key | shape | type | content |
| --- | --- | --- | --- |
| cxr | (3, H, W) | float32 | three equal channels, 0 to 1 |
| gaze | (1, H/32, W/32) | float32 | blurred map, maximum 1 (the original writes NaN if no gaze is on the image) |
| lung, heart | (H/32, W/32) | bool | masks |
| Y | () | int64 | class index |
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from ggcam.data.case import SPLITS, MaskName, Split
from ggcam.errors import ImageError
from ggcam.utils.safe_pickle import load_tensors

CELL_PX = 32
"""Side of a cell of gaze and masks in pixels of cxr, the stride of the original networks."""

SPLIT_FOLDERS: Mapping[Split, str] = {split: split.capitalize() for split in SPLITS}
"""Folder names of the splits: Train, Valid and Test."""

_TYPES = {"cxr": np.float32, "gaze": np.float32, "lung": np.bool_, "heart": np.bool_, "Y": np.int64}


@dataclass(frozen=True, eq=False)
class OriginalFile:
    """Content of one file.

    Attributes:
        cxr: one of the three equal channels, (H, W), 0 to 1.
        gaze: gaze map, (H/32, W/32), with maximum 1; all zero without gaze.
        lung: mask of both lungs, (H/32, W/32).
        heart: mask of the mediastinum, (H/32, W/32).
        label: class index.
    """

    cxr: Float32[np.ndarray, "h w"]
    gaze: Float32[np.ndarray, "r c"]
    lung: Bool[np.ndarray, "r c"]
    heart: Bool[np.ndarray, "r c"]
    label: int

    def mask(self, name: MaskName) -> Bool[np.ndarray, "h w"]:
        """Return a mask at the size of cxr.

        Args:
            name: name of the mask. The file does not separate the lungs, so each lung's mask shows both.

        Returns:
            The mask, (H, W).
        """
        cells = self.heart if name == "mediastinum" else self.lung
        return cells.repeat(CELL_PX, axis=0).repeat(CELL_PX, axis=1)


def read_original(path: Path) -> OriginalFile:
    """Read one file; its pixels are memory-mapped, and only read when used.

    Args:
        path: the `.pt` file.

    Returns:
        Its content.

    Raises:
        ImageError: the file is unsafe or damaged, lacks a key, or has an array of another shape, type or range.
    """
    arrays = load_tensors(path)
    _check(arrays, path)
    gaze = arrays["gaze"][0]
    if np.isnan(gaze).all():  # the original divided 0 by 0, because no gaze was on the image
        gaze = np.zeros_like(gaze)
    if not (np.isfinite(gaze).all() and (gaze >= 0).all()):
        raise ImageError("gaze has invalid values", where=path, expected="finite numbers of 0 or more")
    return OriginalFile(arrays["cxr"][0], gaze, arrays["lung"], arrays["heart"], int(arrays["Y"]))


def read_original_pixels(path: Path) -> Float32[np.ndarray, "h w"]:
    """Read and check the pixels of one file.

    Args:
        path: the `.pt` file.

    Returns:
        The image, (H, W), 0 to 1.

    Raises:
        ImageError: the file is unsafe or damaged, or lacks a key; its channels differ, or a value is outside 0 to 1.
    """
    arrays = load_tensors(path)
    _check(arrays, path)
    first, *others = arrays["cxr"]
    if not (np.isfinite(first).all() and first.min() >= 0 and first.max() <= 1):
        raise ImageError("cxr has invalid values", where=path, expected="finite numbers from 0 to 1")
    if not all(np.array_equal(first, other) for other in others):
        raise ImageError("the channels of cxr differ", where=path, expected="three equal channels")
    return first


def write_original(path: Path, content: OriginalFile) -> None:
    """Write one file in the format of the original.

    Args:
        path: the `.pt` file.
        content: its content.

    Raises:
        OSError: the file cannot be written.
    """
    import torch

    arrays = {
        "cxr": np.repeat(content.cxr[None], 3, axis=0),
        "gaze": content.gaze[None],
        "lung": content.lung,
        "heart": content.heart,
        "Y": np.int64(content.label),
    }
    buffer = io.BytesIO()  # torch's own writer does not raise OSError when the disk is full
    torch.save({key: torch.from_numpy(np.array(value, _TYPES[key])) for key, value in arrays.items()}, buffer)
    path.write_bytes(buffer.getbuffer())


def _check(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Raise ImageError unless all keys exist with the right type and shape."""
    if missing := [key for key in _TYPES if key not in arrays]:
        raise ImageError(
            f"the .pt file has no {', '.join(missing)}", where=path, expected=", ".join(_TYPES), got=", ".join(arrays)
        )
    height, width = arrays["cxr"].shape[-2:] if arrays["cxr"].ndim == 3 else (0, 0)
    cells = (height // CELL_PX, width // CELL_PX)
    shapes = {"cxr": (3, height, width), "gaze": (1, *cells), "lung": cells, "heart": cells, "Y": ()}
    for key, shape in shapes.items():
        array = arrays[key]
        if array.dtype != _TYPES[key]:
            raise ImageError(
                f"{key} has another type", where=path, expected=np.dtype(_TYPES[key]).name, got=array.dtype
            )
        if array.shape != shape or not height or height % CELL_PX or width % CELL_PX:
            expected = f"(3, H, W), sides divisible by {CELL_PX}" if key == "cxr" else shape
            raise ImageError(f"{key} has another shape", where=path, expected=expected, got=array.shape)
