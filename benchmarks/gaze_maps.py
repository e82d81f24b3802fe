"""Gaze maps on the grid of the CAM against a blur of the full-size image."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch

from benchmarks.side_by_side import Result, race
from ggcam.gaze.maps import attention_maps, released_map

FRAME, RAW, GRID, BATCH = (1536, 1280), (3056, 2544), (48, 40), 64


def blurred(pixels: np.ndarray, durations: np.ndarray) -> np.ndarray:
    """What one would write with OpenCV: count, blur, keep every 32nd pixel."""
    image = np.zeros(FRAME, np.float32)
    np.add.at(image, (pixels[:, 1], pixels[:, 0]), durations)
    return cv2.GaussianBlur(image, (0, 0), 37.75)[::32, ::32]


def run() -> Iterator[Result]:
    """One case a call for the others, a batch of 64 for ours."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    generator = torch.Generator().manual_seed(0)
    for points in (60, 3000):
        where = torch.rand(BATCH, points, 2, generator=generator) * torch.tensor([1280.0, 1536.0])
        weight = torch.rand(BATCH, points, generator=generator)
        pixels, durations = where[0].long().numpy(), weight[0].numpy()
        yield race(
            f"attention_maps, {points} points, batch of {BATCH}",
            lambda where=where, weight=weight: attention_maps(where, weight, 37.75, FRAME, GRID),
            "cv2.GaussianBlur at 1536x1280",
            lambda pixels=pixels, durations=durations: [blurred(pixels, durations) for _ in range(BATCH)],
            cases=BATCH,
            rounds=3,
        )
    rng = np.random.default_rng(0)
    rows, columns, count = rng.integers(0, RAW[0], 60), rng.integers(0, RAW[1], 60), np.ones(60)

    def original() -> np.ndarray:
        image = np.zeros(RAW, np.float32)
        np.add.at(image, (rows, columns), count)
        return cv2.GaussianBlur(image, (501, 501), 0)[::64, ::64]

    yield race(
        "released_map, 60 points, kernel 500",
        lambda: released_map(rows, columns, count, RAW, 500),
        "cv2.GaussianBlur(501) at 3056x2544",
        original,
        rounds=3,
    )
