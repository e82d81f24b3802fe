"""What the original GG-CAM's Data Processing does to images, masks, gaze and table, defects included.

An image is laid in the middle of a canvas twice the frame's size (3072x2560), and every second pixel is kept: nothing
is scaled to fit, so a small image stays small, a larger one is cropped (a landscape one of 3056 px loses 248 px at each
side), and detail aliases. The table is split by its order, image by image, so a patient may be on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from ggcam.data.case import SPLITS, Affine, Case, Frame, Split
from ggcam.data.original.pt_files import CELL_PX, OriginalFile
from ggcam.errors import ConfigError, DataError, join_limited
from ggcam.gaze.fixations import Fixations

STRIDE_PX = 2
"""Every second pixel of the canvas is kept: `Down2`."""

BLURS_PX = (200, 500, 800)
"""Sides of the blur kernels, in pixels of the raw image; 500 was used for training."""

GAZE_MAP = "gaze_map="
"""Begins a flag of cases whose fixations are the cells of a blurred map; the folder that it lay in follows."""


def folder_name(blur_px: int) -> str:
    """Where the files of one blur lie."""
    return f"Down{STRIDE_PX}_Blur{blur_px}"


def place(frame: Frame, height_px: int, width_px: int) -> Affine:
    """Raw image -> frame. The centre of a kept raw pixel becomes the centre of its pixel in the frame."""
    half = 0.5 - 0.5 / STRIDE_PX
    return Affine(
        scale_x=1 / STRIDE_PX,
        shift_x_px=_before(frame.width_px, width_px) / STRIDE_PX + half,
        scale_y=1 / STRIDE_PX,
        shift_y_px=_before(frame.height_px, height_px) / STRIDE_PX + half,
    )


def crops(frame: Frame, height_px: int, width_px: int) -> bool:
    """Whether a raw image is larger than the canvas, so that its margins are lost."""
    return height_px > STRIDE_PX * frame.height_px or width_px > STRIDE_PX * frame.width_px


def sample(
    pixels: Shaped[np.ndarray, "h w"], frame: Frame, stride_px: int = STRIDE_PX
) -> Shaped[np.ndarray, "rows columns"]:
    """Lay an array in the middle of the canvas and keep every so manieth pixel; 0 or false beyond the array.

    Args:
        pixels: shape (h, w), of any type.
        frame: half the canvas's size.
        stride_px: between kept pixels of the canvas; it divides the canvas.
    """
    kept = np.zeros(
        (STRIDE_PX * frame.height_px // stride_px, STRIDE_PX * frame.width_px // stride_px), dtype=pixels.dtype
    )
    to_rows, from_rows = _kept(frame.height_px, pixels.shape[0], stride_px)
    to_columns, from_columns = _kept(frame.width_px, pixels.shape[1], stride_px)
    kept[to_rows, to_columns] = pixels[from_rows, from_columns]
    return kept


def divided_by_maximum(pixels: Shaped[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """The pixels as float32 of maximum 1; all zero where the original would divide 0 by 0."""
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
    """One case's files, by the side of the blur kernel.

    A fixation counts by its duration, at the raw pixel that it is on; those off the image do not. The map is zero where
    no gaze is left, where the original writes NaN.

    Args:
        pixels: shape (h, w), black 0.
        fixations: in pixels of the raw image.
        lung: both lungs, shape (h, w).
        heart: the mediastinum, shape (h, w).
        label: class index.
        frame: size of the result.
    """
    from ggcam.gaze.original_map import original_map  # brings torch, which preparing can do without

    height, width = pixels.shape
    on_image = fixations.select(fixations.inside(height, width))
    cxr = divided_by_maximum(sample(pixels, frame))
    cell = STRIDE_PX * CELL_PX
    masks = [sample(mask, frame, cell) for mask in (lung, heart)]
    canvas = (STRIDE_PX * frame.height_px, STRIDE_PX * frame.width_px)
    rows, columns = (np.floor(at).astype(np.int64) for at in (on_image.y_px, on_image.x_px))
    maps = {
        blur: original_map(rows, columns, on_image.duration_s, (height, width), blur, canvas, cell) for blur in BLURS_PX
    }
    return {
        blur: OriginalFile(cxr, drawn.astype(np.float32), masks[0], masks[1], label) for blur, drawn in maps.items()
    }


def split_by_position(
    case_ids: Sequence[str],
    labels: Sequence[int],
    shares: tuple[float, float, float],
    fraction: float = 1.0,
    seed: int = 0,
) -> dict[str, Split]:
    """Split of each case that is taken: per class, in the order given, the first share, the next and the rest.

    Args:
        case_ids: in the order of the table.
        labels: class of each.
        shares: of train, valid and test; they sum to 1.
        fraction: of each split that is taken, drawn with the seeds `seed`, `seed + 1` and `seed + 2`. The original as
            shipped takes 0.01.
        seed: decides which cases are taken, and nothing else.

    Raises:
        ConfigError: the fraction leaves a split without a case that had some.
    """
    import pandas as pd

    parts: dict[Split, list[pd.Series]] = {split: [] for split in SPLITS}
    table = pd.Series(list(case_ids), dtype=object)
    for _, of_class in table.groupby(np.asarray(labels)):
        # 1 - 0.2 is 0.8, as the original has it; 0.7 + 0.1 is a little less.
        cuts = [int(shares[0] * len(of_class)), int((1 - shares[2]) * len(of_class))]
        for split, start, end in zip(SPLITS, [0, *cuts], [*cuts, len(of_class)], strict=True):
            parts[split].append(of_class.iloc[start:end])
    splits: dict[str, Split] = {}
    for number, (split, of_split) in enumerate(parts.items()):
        whole = pd.concat(of_split)
        taken = whole.sample(frac=fraction, random_state=seed + number)
        if len(whole) and not len(taken):
            raise ConfigError(
                f"a fraction of {fraction:g} leaves no {split} case",
                where="--subset-fraction",
                got=f"{len(whole):,} cases",
                expected=f"above {0.5 / len(whole):.2g}",
            )
        splits |= dict.fromkeys(taken.tolist(), split)
    return splits


def is_processed(case: Case) -> bool:
    """Whether the case comes from a file that this procedure wrote."""
    return any(flag.startswith(GAZE_MAP) for flag in case.flags)


def check_raw(cases: Sequence[Case]) -> None:
    """Demand that no case has been through this procedure before.

    Raises:
        DataError: some have.
    """
    done = [case.case_id for case in cases if is_processed(case)]
    if done:
        raise DataError(
            "these cases have been through the original's procedure already",
            where="--preset original",
            got=join_limited(done),
            hint="leave the preset out; --split source keeps their split",
        )


def _before(frame_px: int, side_px: int) -> int:
    """Canvas pixels before the array's first; negative where it is cropped. Floor division, as in the original."""
    return (STRIDE_PX * frame_px - side_px) // 2


def _kept(frame_px: int, side_px: int, stride_px: int) -> tuple[slice, slice]:
    """Along one axis: which kept pixels lie on the array, and which of the array's pixels they are."""
    before = _before(frame_px, side_px)
    first = max(0, -(-before // stride_px))
    end = min(STRIDE_PX * frame_px // stride_px, -(-(before + side_px) // stride_px))
    start = first * stride_px - before
    return slice(first, end), slice(start, start + max(0, end - first - 1) * stride_px + 1, stride_px)
