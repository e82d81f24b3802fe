"""The preprocessing of the original GG-CAM for images, masks, gaze and split, defects included.

An image is placed in the middle of a canvas of twice the frame's size (3072x2560), and every second pixel is kept.
Images are not scaled to fit: a small image stays small, a large one is cropped (a landscape image of 3056 px loses
248 px on each side), and details alias. The split follows the order of the table, so the images of a patient may be in
several splits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from ggcam.data.affine import Affine
from ggcam.data.case import SPLITS, Case, Frame, Split
from ggcam.data.original.pt_files import CELL_PX, OriginalFile
from ggcam.errors import ConfigError, DataError, join_limited
from ggcam.gaze.fixations import Fixations

STRIDE_PX = 2
"""Every second pixel of the canvas is kept, as in the folder names `Down2_...`."""

BLURS_PX = (200, 500, 800)
"""Sizes of the blur kernels in pixels of the raw image; 500 was used for training."""

GAZE_MAP_FLAG = "gaze_map="
"""Prefix of the flag of cases whose fixations are cells of a blurred map; the name of the map's folder follows."""


def folder_name(blur_px: int) -> str:
    """Return the name of the folder with the files of one blur.

    Args:
        blur_px: size of the blur kernel in pixels.

    Returns:
        Such as "Down2_Blur500".
    """
    return f"Down{STRIDE_PX}_Blur{blur_px}"


def affine_to_frame(frame: Frame, height_px: int, width_px: int) -> Affine:
    """Compute the map from a raw image to the frame.

    The centre of each kept raw pixel becomes the centre of its pixel in the frame.

    Args:
        frame: size of the result.
        height_px: height of the raw image.
        width_px: width of the raw image.

    Returns:
        The map of continuous pixel coordinates.
    """
    half = 0.5 - 0.5 / STRIDE_PX
    return Affine(
        scale_x=1 / STRIDE_PX,
        shift_x_px=_padding(frame.width_px, width_px) / STRIDE_PX + half,
        scale_y=1 / STRIDE_PX,
        shift_y_px=_padding(frame.height_px, height_px) / STRIDE_PX + half,
    )


def crops(frame: Frame, height_px: int, width_px: int) -> bool:
    """Tell whether a raw image is larger than the canvas, so that its margins are lost.

    Args:
        frame: size of the result.
        height_px: height of the raw image.
        width_px: width of the raw image.

    Returns:
        True if it is cropped.
    """
    return height_px > STRIDE_PX * frame.height_px or width_px > STRIDE_PX * frame.width_px


def sample(
    pixels: Shaped[np.ndarray, "h w"], frame: Frame, stride_px: int = STRIDE_PX
) -> Shaped[np.ndarray, "rows columns"]:
    """Place an array in the middle of the canvas, and keep every n-th pixel.

    Args:
        pixels: array of any type, shape (h, w).
        frame: half of the size of the canvas.
        stride_px: distance of kept pixels; it must divide the sides of the canvas.

    Returns:
        The kept pixels; 0 or False outside the array.
    """
    kept = np.zeros(
        (STRIDE_PX * frame.height_px // stride_px, STRIDE_PX * frame.width_px // stride_px), dtype=pixels.dtype
    )
    to_rows, from_rows = _kept_slices(frame.height_px, pixels.shape[0], stride_px)
    to_columns, from_columns = _kept_slices(frame.width_px, pixels.shape[1], stride_px)
    kept[to_rows, to_columns] = pixels[from_rows, from_columns]
    return kept


def divide_by_maximum(pixels: Shaped[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Divide an image by its maximum.

    Args:
        pixels: shape (h, w), 0 or more.

    Returns:
        The image with maximum 1; all zero for a black image, where the original would divide by 0.
    """
    values = pixels.astype(np.float32)
    peak = values.max(initial=0)
    return values / peak if peak > 0 else values


def process(
    pixels: Shaped[np.ndarray, "h w"],
    fixations: Fixations,
    lung: Bool[np.ndarray, "h w"],
    heart: Bool[np.ndarray, "h w"],
    label: int,
    frame: Frame,
) -> dict[int, OriginalFile]:
    """Compute the content of one case's files.

    A fixation counts with its duration at its raw pixel; fixations off the image are ignored. Without gaze the map is
    zero, whereas the original writes NaN.

    Args:
        pixels: image with black as 0, shape (h, w).
        fixations: fixations in pixels of the raw image.
        lung: mask of both lungs, shape (h, w).
        heart: mask of the mediastinum, shape (h, w).
        label: class index.
        frame: size of the result.

    Returns:
        Content of the file for each size of the blur kernel.
    """
    from ggcam.gaze.original_map import original_map  # imports torch, which other ways of preparing do not need

    height, width = pixels.shape
    on_image = fixations.select(fixations.inside(height, width))
    cxr = divide_by_maximum(sample(pixels, frame))
    cell = STRIDE_PX * CELL_PX
    masks = [sample(mask, frame, cell) for mask in (lung, heart)]
    canvas = (STRIDE_PX * frame.height_px, STRIDE_PX * frame.width_px)
    rows, columns = (np.floor(position).astype(np.int64) for position in (on_image.y_px, on_image.x_px))
    maps = {
        blur: original_map(rows, columns, on_image.duration_s, (height, width), blur, canvas, cell) for blur in BLURS_PX
    }
    return {
        blur: OriginalFile(cxr, gaze_map.astype(np.float32), masks[0], masks[1], label)
        for blur, gaze_map in maps.items()
    }


def split_by_position(
    case_ids: Sequence[str],
    labels: Sequence[int],
    split_fractions: tuple[float, float, float],
    fraction: float = 1.0,
    seed: int = 0,
) -> dict[str, Split]:
    """Split cases by their order: of each class the first cases for training, the next for validation, then test.

    Args:
        case_ids: ids in the order of the table.
        labels: class of each case.
        split_fractions: fractions of train, valid and test, with sum 1.
        fraction: fraction of each split to keep, drawn with the seeds `seed`, `seed + 1` and `seed + 2`. The released
            code keeps 0.01.
        seed: random seed of the cases to keep.

    Returns:
        Split of each case that is kept.

    Raises:
        ConfigError: the fraction leaves no case of a split that has some.
    """
    import pandas as pd

    parts: dict[Split, list[pd.Series]] = {split: [] for split in SPLITS}
    table = pd.Series(list(case_ids), dtype=object)
    for _, class_ids in table.groupby(np.asarray(labels)):
        # 1 - 0.2 is 0.8, as in the original; 0.7 + 0.1 is a little less.
        cuts = [int(split_fractions[0] * len(class_ids)), int((1 - split_fractions[2]) * len(class_ids))]
        for split, start, end in zip(SPLITS, [0, *cuts], [*cuts, len(class_ids)], strict=True):
            parts[split].append(class_ids.iloc[start:end])
    splits: dict[str, Split] = {}
    for number, (split, split_ids) in enumerate(parts.items()):
        ids = pd.concat(split_ids)
        kept = ids.sample(frac=fraction, random_state=seed + number)
        if len(ids) and not len(kept):
            raise ConfigError(
                f"a fraction of {fraction:g} leaves no {split} cases",
                where="--subset-fraction",
                got=f"{fraction:g} of {len(ids):,} cases",
                expected=f"above {0.5 / len(ids):.2g}",
            )
        splits |= dict.fromkeys(kept.tolist(), split)
    return splits


def is_processed(case: Case) -> bool:
    """Tell whether a case comes from a `.pt` file, which this preprocessing wrote.

    Args:
        case: the case.

    Returns:
        True if it is preprocessed already.
    """
    return any(flag.startswith(GAZE_MAP_FLAG) for flag in case.flags)


def check_raw(cases: Sequence[Case]) -> None:
    """Check that no case is preprocessed already.

    Args:
        cases: cases to preprocess.

    Raises:
        DataError: some cases are preprocessed already.
    """
    processed = [case.case_id for case in cases if is_processed(case)]
    if processed:
        raise DataError(
            "the cases are already preprocessed as in the original GG-CAM",
            where="--preset original",
            got=join_limited(processed),
            hint="leave the preset out, and keep their split with --split source",
        )


def _padding(frame_px: int, side_px: int) -> int:
    """Count the canvas pixels before the array; negative if it is cropped. Floor division, as in the original."""
    return (STRIDE_PX * frame_px - side_px) // 2


def _kept_slices(frame_px: int, side_px: int, stride_px: int) -> tuple[slice, slice]:
    """Return, along one axis, the slice of the kept pixels that lie on the array, and the slice of the array."""
    before = _padding(frame_px, side_px)
    first = max(0, -(-before // stride_px))
    end = min(STRIDE_PX * frame_px // stride_px, -(-(before + side_px) // stride_px))
    start = first * stride_px - before
    return slice(first, end), slice(start, start + max(0, end - first - 1) * stride_px + 1, stride_px)
