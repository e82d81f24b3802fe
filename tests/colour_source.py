"""A folder of photographs in two classes that differ in their colour only, not in their brightness."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

RGB = {"blue": (40, 90, 255), "red": (200, 67, 32)}
"""Class -> colour; both have the grey value 94."""


def photograph(class_name: str, seed: int, size: tuple[int, int] = (72, 96)) -> np.ndarray:
    """Draw a coloured disc on noise with the colours of the class mixed in, as an RGB array of uint8."""
    random = np.random.default_rng(seed)
    grey = random.integers(40, 150, size).astype(np.uint8)
    image = np.repeat(grey[:, :, None], 3, axis=2)
    centre = tuple(int(random.integers(side // 4, 3 * side // 4)) for side in size[::-1])
    cv2.circle(image, centre, min(size) // 4, RGB[class_name], -1)
    return image


def write_photographs(root: Path, per_class: int = 24, suffix: str = ".png") -> Path:
    """Write a folder with one folder per class."""
    for number, class_name in enumerate(RGB):
        (root / class_name).mkdir(parents=True)
        for index in range(per_class):
            image = photograph(class_name, seed=1000 * number + index)
            cv2.imwrite(str(root / class_name / f"{index:03}{suffix}"), image[:, :, ::-1])
    return root
