"""A small source of synthetic cases: noise images of two sizes and depths, with gaze, masks and regions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ggcam.data.case import Case, MaskName, Region, Source
from ggcam.gaze.fixations import Fixations

CLASS_NAMES = ("Normal", "Heart failure", "Pneumonia")


def small_source(folder: Path, cases: int = 24, height: int = 90, width: int = 70, seed: int = 0) -> Source:
    """Write images to a folder and describe them as cases; every fourth has no gaze, every third no masks."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    return Source(
        name="small",
        class_names=CLASS_NAMES,
        cases=tuple(_case(folder, number, height, width, random) for number in range(cases)),
        dropped={"record without a class": 2},
    )


def _write(path: Path, pixels: np.ndarray) -> None:
    """Write an image unless the file has it already: a later call leaves the time of the file as it is."""
    content = cv2.imencode(".png", pixels)[1].tobytes()
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def _case(folder: Path, number: int, height: int, width: int, random: np.random.Generator) -> Case:
    case_id = f"case_{number:04}"
    height, width = (height, width) if number % 5 else (width, height)
    noise = cv2.GaussianBlur(random.random((height, width)), (0, 0), height / 12)
    pixels = cv2.normalize(noise, None, 0, 65535 if number % 2 else 255, cv2.NORM_MINMAX)
    image = folder / f"{case_id}.png"
    _write(image, pixels.astype(np.uint16 if number % 2 else np.uint8))
    masks: dict[MaskName, Path] = {}
    halves: tuple[tuple[MaskName, slice], ...] = (
        ("right_lung", slice(width // 8, width // 2 - 4)),
        ("left_lung", slice(width // 2 + 4, -width // 8)),
    )
    for name, columns in halves if number % 3 else ():
        mask = np.zeros((height, width), np.uint8)
        mask[height // 5 : -height // 4, columns] = 255
        masks[name] = folder / f"{case_id}_{name}.png"
        _write(masks[name], mask)
    count = 0 if number % 4 == 0 else int(random.integers(5, 30))
    reading = Fixations.build(
        random.uniform(0, width, count),
        random.uniform(0, height, count),
        duration_s=random.lognormal(-1.3, 0.5, count),
        start_s=np.sort(random.uniform(0, 12, count)),
        px_per_degree=20.0,
        label=np.where(random.random(count) < 0.5, "search", "") if count else "",
    )
    return Case(
        case_id=case_id,
        patient_id=f"patient_{number // 2}",
        label=number // 2 % 3,
        image=image,
        readings={"r1": reading},
        masks=masks,
        regions=(Region("cardiac silhouette", "box", width * 0.3, height * 0.4, width * 0.7, height * 0.8),),
        flags=("device",) if number % 6 == 0 else (),
    )
