"""The `.pt` files of the original GG-CAM: `Down<d>_Blur<b>/{Train,Valid,Test}/<ID>.pt`, one a case.

| key | shape | type | content |
| --- | --- | --- | --- |
| cxr | (3, H, W) | float32 | three equal channels, 0 to 1 |
| gaze | (1, H/32, W/32) | float32 | blurred map, maximum 1 (the original writes NaN where no gaze is on the image) |
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

from ggcam.data.case import MaskName, Split
from ggcam.errors import ImageError
from ggcam.utils.safe_pickle import load_tensors

CELL_PX = 32
"""Side of a cell of gaze and masks, in pixels of cxr: the stride of the original's networks."""

SPLIT_FOLDERS: Mapping[Split, str] = {"train": "Train", "valid": "Valid", "test": "Test"}

_TYPES = {"cxr": np.float32, "gaze": np.float32, "lung": np.bool_, "heart": np.bool_, "Y": np.int64}


@dataclass(frozen=True, eq=False)
class OriginalFile:
    """Content of one file, in arrays.

    Attributes:
        cxr: (H, W), one of the three equal channels, 0 to 1.
        gaze: (H/32, W/32), maximum 1; all zero where there is no gaze.
        lung: (H/32, W/32), both lungs.
        heart: (H/32, W/32), the mediastinum.
        label: class index.
    """

    cxr: Float32[np.ndarray, "h w"]
    gaze: Float32[np.ndarray, "r c"]
    lung: Bool[np.ndarray, "r c"]
    heart: Bool[np.ndarray, "r c"]
    label: int

    def mask(self, name: MaskName) -> Bool[np.ndarray, "h w"]:
        """A mask in the size of cxr. The file does not tell the lungs apart: both lungs stand for either."""
        cells = self.heart if name == "mediastinum" else self.lung
        return cells.repeat(CELL_PX, axis=0).repeat(CELL_PX, axis=1)


def read_original(path: Path) -> OriginalFile:
    """Read one file. Its pixels are mapped: reading the gaze alone does not read them.

    Raises:
        ImageError: the file is hostile, damaged, lacks a key, or holds an array of another shape, type or range.
    """
    arrays = load_tensors(path)
    _check(arrays, path)
    gaze = arrays["gaze"][0]
    if np.isnan(gaze).all():  # the original divided 0 by 0: no gaze was on the image
        gaze = np.zeros_like(gaze)
    if not (np.isfinite(gaze).all() and (gaze >= 0).all()):
        raise ImageError("gaze holds values that cannot be", where=path, expected="finite numbers of 0 or more")
    return OriginalFile(arrays["cxr"][0], gaze, arrays["lung"], arrays["heart"], int(arrays["Y"]))


def read_original_pixels(path: Path) -> Float32[np.ndarray, "h w"]:
    """The image of one file, 0 to 1, with its pixels checked.

    Raises:
        ImageError: as for :func:`read_original`; or the channels differ, or values lie outside 0 to 1.
    """
    arrays = load_tensors(path)
    _check(arrays, path)
    first, *others = arrays["cxr"]
    if not (np.isfinite(first).all() and first.min() >= 0 and first.max() <= 1):
        raise ImageError("cxr holds values that cannot be", where=path, expected="finite numbers from 0 to 1")
    if not all(np.array_equal(first, other) for other in others):
        raise ImageError("the channels of cxr differ", where=path, expected="three equal ones")
    return first


def write_original(path: Path, content: OriginalFile) -> None:
    """Write one file as the original does.

    Raises:
        OSError: it cannot be written.
    """
    import torch

    arrays = {
        "cxr": np.repeat(content.cxr[None], 3, axis=0),
        "gaze": content.gaze[None],
        "lung": content.lung,
        "heart": content.heart,
        "Y": np.int64(content.label),
    }
    buffer = io.BytesIO()  # torch's own writer raises no OSError where there is no room
    torch.save({key: torch.from_numpy(np.array(value, _TYPES[key])) for key, value in arrays.items()}, buffer)
    path.write_bytes(buffer.getbuffer())


def _check(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Raise unless every key is there with the type and the shape that it must have."""
    if missing := [key for key in _TYPES if key not in arrays]:
        raise ImageError(
            f"the .pt file has no {', '.join(missing)}", where=path, expected=", ".join(_TYPES), got=", ".join(arrays)
        )
    height, width = arrays["cxr"].shape[-2:] if arrays["cxr"].ndim == 3 else (0, 0)
    cells = (height // CELL_PX, width // CELL_PX)
    shapes = {"cxr": (3, height, width), "gaze": (1, *cells), "lung": cells, "heart": cells, "Y": ()}
    for key, shape in shapes.items():
        found = arrays[key]
        if found.dtype != _TYPES[key]:
            raise ImageError(
                f"{key} is of another type", where=path, expected=np.dtype(_TYPES[key]).name, got=found.dtype
            )
        if found.shape != shape or not height or height % CELL_PX or width % CELL_PX:
            expected = f"(3, H, W), sides divisible by {CELL_PX}" if key == "cxr" else shape
            raise ImageError(f"{key} is of another shape", where=path, expected=expected, got=found.shape)
