"""Attention maps drawn on the CAM grid, against a blur at full image size; one thread each."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from benchmarks.side_by_side import Result, race, threads
from ggcam.gaze.maps import attention_maps
from ggcam.gaze.original_map import original_map, original_sigma_px

RAW, GRID, KERNEL_PX, BATCH = (3056, 2544), (48, 40), 500, 64
SIGMA_PX = original_sigma_px(KERNEL_PX)
TARGETS = {60: 500.0, 3000: 100.0}
"""Points per case -> target ratio: fixations, and raw samples of 50 s at 60 Hz."""


def run(short: bool = False) -> Iterator[Result]:
    """Time one case per call, and a batch of 64 for attention_maps."""
    raw = (382, 318) if short else RAW
    rounds = 1 if short else 3
    with threads(1):
        for points, target in TARGETS.items():
            yield from _compare(points, raw, rounds, target)


def _compare(points: int, raw: tuple[int, int], rounds: int, target: float) -> Iterator[Result]:
    rng = np.random.default_rng(0)
    rows, columns = (rng.integers(0, side, points) for side in raw)
    count = np.ones(points)
    where = torch.rand(BATCH, points, 2) * torch.tensor([float(raw[1]), float(raw[0])])
    weight = torch.rand(BATCH, points)

    def dots() -> np.ndarray:
        image = np.zeros(raw, np.float32)
        np.add.at(image, (rows, columns), count)
        return image

    def original() -> np.ndarray:
        """As in the original code: blur, centre on the canvas, keep every 64th pixel."""
        side = KERNEL_PX // 2 * 2 + 1
        blurred = cv2.GaussianBlur(dots(), (side, side), 0)
        canvas = np.zeros((64 * GRID[0], 64 * GRID[1]), np.float32)
        top, left = ((full - side) // 2 for full, side in zip(canvas.shape, raw, strict=True))
        canvas[top : top + raw[0], left : left + raw[1]] = blurred
        kept = canvas[::64, ::64]
        return kept / kept.max()

    def ours() -> np.ndarray:
        return original_map(rows, columns, count, raw, KERNEL_PX)

    np.testing.assert_allclose(ours(), original(), atol=1e-5)
    name = f"original_map, {points} points"
    yield race(name, ours, "cv2.GaussianBlur(501), same map", original, rounds=rounds, target=target)
    for name, blur in (
        ("cv2.GaussianBlur", lambda: cv2.GaussianBlur(dots(), (0, 0), SIGMA_PX)[::64, ::64]),
        ("scipy gaussian_filter", lambda: gaussian_filter(dots(), SIGMA_PX)[::64, ::64]),
    ):
        yield race(
            f"attention_maps, {points} points, batch of {BATCH}",
            lambda: attention_maps(where, weight, SIGMA_PX, raw, GRID),
            f"{name}, sigma {SIGMA_PX:g} px",
            blur,
            cases=BATCH,
            rounds=rounds,
            target=target,
            other_cases=1,
        )
