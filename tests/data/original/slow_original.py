"""The original GG-CAM's Data Processing, step by step and at full size, written to be checked by eye."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd


def on_canvas(raw: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    """Centred; what is too large is cut off at both sides."""
    laid = np.zeros(canvas, raw.dtype)
    top, left = (canvas[0] - raw.shape[0]) // 2, (canvas[1] - raw.shape[1]) // 2
    for row in range(max(0, top), min(canvas[0], top + raw.shape[0])):
        first, last = max(0, left), min(canvas[1], left + raw.shape[1])
        laid[row, first:last] = raw[row - top, first - left : last - left]
    return laid


def processed(arrays: dict[str, np.ndarray], kernel_px: int, canvas: tuple[int, int]) -> dict[str, np.ndarray]:
    """The arrays of one `.pt` file from those of one D_ folder."""
    cxr = on_canvas(arrays["cxr"].astype(np.float32), canvas)[::2, ::2]
    side = kernel_px // 2 * 2 + 1
    blurred = cv2.GaussianBlur(arrays["gaze_dot"].astype(np.float32), (side, side), 0)
    gaze = on_canvas(blurred, canvas)[::64, ::64]
    return {
        "cxr": np.stack([cxr / cxr.max()] * 3),
        "gaze": (gaze / gaze.max())[None],
        "lung": on_canvas(arrays["seg_left_lung"] | arrays["seg_right_lung"], canvas)[::64, ::64],
        "heart": on_canvas(arrays["seg_mediastanum"], canvas)[::64, ::64],
    }


def split(table: pd.DataFrame, fraction: float, seed: int) -> dict[str, list[str]]:
    """Columns ID and Y -> IDs of Train, Valid and Test, in the original's order."""
    parts: dict[str, list[pd.DataFrame]] = {"train": [], "valid": [], "test": []}
    for label in sorted(table["Y"].unique()):
        of_class = table[table["Y"] == label]
        n = len(of_class)
        parts["train"].append(of_class[: int(0.7 * n)])
        parts["valid"].append(of_class[int(0.7 * n) : int(0.8 * n)])
        parts["test"].append(of_class[int(0.8 * n) :])
    return {
        name: pd.concat(part).sample(frac=fraction, random_state=seed + number)["ID"].tolist()
        for number, (name, part) in enumerate(parts.items())
    }
