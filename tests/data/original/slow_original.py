"""The preprocessing of the original GG-CAM, step by step at full size: slow, but easy to check."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd


def place_on_canvas(raw: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    """Place an array in the middle of a canvas, and crop it on both sides if it is too large."""
    placed = np.zeros(canvas, raw.dtype)
    top, left = (canvas[0] - raw.shape[0]) // 2, (canvas[1] - raw.shape[1]) // 2
    for row in range(max(0, top), min(canvas[0], top + raw.shape[0])):
        first, last = max(0, left), min(canvas[1], left + raw.shape[1])
        placed[row, first:last] = raw[row - top, first - left : last - left]
    return placed


def process(arrays: dict[str, np.ndarray], kernel_px: int, canvas: tuple[int, int]) -> dict[str, np.ndarray]:
    """Compute the arrays of one `.pt` file from those of one D_ folder."""
    cxr = place_on_canvas(arrays["cxr"].astype(np.float32), canvas)[::2, ::2]
    side = kernel_px // 2 * 2 + 1
    blurred = cv2.GaussianBlur(arrays["gaze_dot"].astype(np.float32), (side, side), 0)
    gaze = place_on_canvas(blurred, canvas)[::64, ::64]
    return {
        "cxr": np.stack([cxr / cxr.max()] * 3),
        "gaze": (gaze / gaze.max())[None],
        "lung": place_on_canvas(arrays["seg_left_lung"] | arrays["seg_right_lung"], canvas)[::64, ::64],
        "heart": place_on_canvas(arrays["seg_mediastanum"], canvas)[::64, ::64],
    }


def split_by_position(table: pd.DataFrame, fraction: float, seed: int) -> dict[str, list[str]]:
    """Split a table with the columns ID and Y; return the IDs of each split in the original's order."""
    parts: dict[str, list[pd.DataFrame]] = {"train": [], "valid": [], "test": []}
    for label in sorted(table["Y"].unique()):
        class_rows = table[table["Y"] == label]
        n = len(class_rows)
        parts["train"].append(class_rows[: int(0.7 * n)])
        parts["valid"].append(class_rows[int(0.7 * n) : int(0.8 * n)])
        parts["test"].append(class_rows[int(0.8 * n) :])
    return {
        name: pd.concat(part).sample(frac=fraction, random_state=seed + number)["ID"].tolist()
        for number, (name, part) in enumerate(parts.items())
    }
