"""Real X-rays with lung masks as backgrounds for simulated findings and gaze.

Public data sets with lung masks show patients with a disease (those named in the documentation all have COVID-19). So a
"Normal" case is one without a *simulated* finding. All classes use the same backgrounds, which therefore say nothing
about the class.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from ggcam.errors import DataError, ImageError, MissingFileError, join_limited
from ggcam.simulation.anatomy import SIDES, Chest, Mask, Side, bounding_box
from ggcam.simulation.canvas import Canvas, Layer, blur
from ggcam.simulation.findings import CTR_NORMAL

MIN_PATIENTS = 3
HEART_TOP = 0.45
"""Fraction of the lungs' height below which the space between them is heart rather than vessels."""
HEART_WIDEST, DIAPHRAGM = 0.74, 0.90
"""Fractions of that height at which the heart is widest, and at which it ends."""


@dataclass(frozen=True)
class Background:
    """A real X-ray with its lung masks.

    Attributes:
        image: path of `<id>.png`.
        patient: index of its patient.
    """

    image: Path
    patient: int

    def lung_mask(self, side: Side) -> Path:
        """Return the path of a lung's mask.

        Args:
            side: "left" or "right", seen from the patient.

        Returns:
            Path of `<id>_<side>_lung.png`.
        """
        return self.image.with_name(f"{self.image.stem}_{side}_lung.png")


def find_backgrounds(folder: Path) -> tuple[Background, ...]:
    """List the X-rays of a folder.

    A `manifest.csv` with the columns id and patient_id tells which images belong to the same patient. Images without
    patient_id are patients of their own.

    Args:
        folder: folder with images `<id>.png`, masks `<id>_left_lung.png` and `<id>_right_lung.png`.

    Returns:
        The X-rays in the order of their names.

    Raises:
        MissingFileError: the folder does not exist, or an image has no mask.
        DataError: there are fewer than three patients.
    """
    if not folder.is_dir():
        raise MissingFileError("the folder of backgrounds does not exist", where=folder)
    images = [path for path in sorted(folder.glob("*.png")) if not path.stem.endswith("_lung")]
    missing = [
        mask.name for path in images for side in SIDES if not (mask := Background(path, 0).lung_mask(side)).is_file()
    ]
    if missing:
        raise MissingFileError(
            f"{len(missing)} lung masks are missing: {join_limited(missing)}",
            where=folder,
            expected="<id>_left_lung.png and <id>_right_lung.png beside every <id>.png",
        )
    patient_ids = _read_patient_ids(folder / "manifest.csv")
    names = [patient_ids.get(path.stem) or f"only {path.stem}" for path in images]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    if len(numbers) < MIN_PATIENTS:
        raise DataError(
            "there are too few patients among the backgrounds to fill three splits",
            where=folder,
            expected=f"images <id>.png of {MIN_PATIENTS} patients or more",
            got=f"{len(images)} images of {len(numbers)} patients",
        )
    return tuple(Background(path, numbers[name]) for path, name in zip(images, names, strict=True))


def _read_patient_ids(manifest: Path) -> dict[str, str]:
    if not manifest.is_file():
        return {}
    with manifest.open(newline="", encoding="utf-8") as file:
        return {row["id"]: row["patient_id"] for row in csv.DictReader(file) if row.get("patient_id") and "id" in row}


def chest_from_background(canvas: Canvas, background: Background, ratio: float, rng: Generator) -> Chest:
    """Crop a real X-ray around its lungs, and enlarge its heart for a high cardiothoracic ratio.

    The heart's own size is unknown, so the part of the ratio above the mean of normal hearts is added on its left side.

    Args:
        canvas: size of the image.
        background: the X-ray.
        ratio: cardiothoracic ratio.
        rng: random generator of the case.

    Returns:
        The chest.

    Raises:
        ImageError: the X-ray or a mask cannot be read, or they do not match.
    """
    image, left, right = _crop(canvas, background, rng)
    lungs: dict[Side, Mask] = {"left": left > 0.5, "right": right > 0.5}
    between = _mediastinum_mask(lungs["left"], lungs["right"])
    growth_px = (ratio - CTR_NORMAL[0]) * (bounding_box(lungs["left"]).x1_px - bounding_box(lungs["right"]).x0_px)
    if growth_px >= 1:
        image, between = _enlarge_heart(canvas, image, between, lungs, growth_px)
        lungs = {side: lungs[side] & ~between for side in SIDES}
    return Chest.build(image, lungs, between, _aortic_knob_mask(canvas, between))


def _crop(canvas: Canvas, background: Background, rng: Generator) -> tuple[Layer, Layer, Layer]:
    """Scale image and lung masks to the canvas, so that the lungs fill it about as in the phantoms."""
    source = _read(background)
    lungs = bounding_box((source[1] + source[2]) > 0.5)
    size = np.array([canvas.width_px, canvas.height_px])
    height, width = source[0].shape
    room = size / [lungs.x1_px - lungs.x0_px, lungs.y1_px - lungs.y0_px]
    covering = float((size / [width, height]).max())
    scale = float(np.clip(1.04 * covering, 0.7 * room.min(), 0.92 * room.min())) * rng.uniform(0.97, 1.03)
    # Centre the lungs, unless this would show an edge of the X-ray that could be outside the image.
    origin = 0.5 * size - scale * np.array(lungs.centre) + rng.normal(0, 0.015, 2) * size
    slack = size - scale * np.array([width, height])
    origin = np.where(slack < 0, np.clip(origin, slack, 0), origin)
    turn = cv2.getRotationMatrix2D((canvas.width_px / 2, canvas.height_px / 2), rng.normal(0, 1.0), 1.0)
    move = np.array([[scale, 0, origin[0]], [0, scale, origin[1]], [0, 0, 1]])
    smooth = max(0.3, 0.4 / scale)
    shape = (canvas.width_px, canvas.height_px)
    cut = [cv2.warpAffine(blur(layer, smooth), turn @ move, shape, flags=cv2.INTER_LINEAR) for layer in source]
    return cut[0], cut[1], cut[2]


@lru_cache(maxsize=128)
def _read(background: Background) -> tuple[Layer, Layer, Layer]:
    layers = []
    for path in (background.image, background.lung_mask("left"), background.lung_mask("right")):
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise ImageError("the background cannot be read", where=path, expected="an 8-bit PNG of one channel")
        layers.append(pixels.astype(np.float32) * np.float32(1 / 255))
    for path, layer in zip((background.lung_mask("left"), background.lung_mask("right")), layers[1:], strict=True):
        if layer.shape != layers[0].shape or not (layer > 0.5).any():
            raise ImageError(
                "the lung mask does not fit its X-ray",
                where=path,
                expected=f"{layers[0].shape[0]}x{layers[0].shape[1]} pixels, some of them 255",
                got=f"{layer.shape[0]}x{layer.shape[1]} pixels, {int((layer > 0.5).sum())} of them 255",
            )
    return layers[0], layers[1], layers[2]


def _mediastinum_mask(left: Mask, right: Mask) -> Mask:
    """Fill the space between the lungs, row by row, down to the diaphragm.

    Near the diaphragm the inner borders of the lungs diverge, but the heart does not get wider below `HEART_WIDEST`.
    """
    cols = np.arange(left.shape[1])
    rows = np.flatnonzero(left.any(axis=1) & right.any(axis=1))
    inner_right = np.where(right[rows], cols, -1).max(axis=1)
    inner_left = np.where(left[rows], cols, left.shape[1]).min(axis=1)
    share = (rows - rows[0]) / max(1, rows[-1] - rows[0])
    low = share > HEART_WIDEST
    heart = (share > HEART_TOP) & ~low
    inner_right[low] = np.maximum(inner_right[low], inner_right[heart].min())
    inner_left[low] = np.minimum(inner_left[low], inner_left[heart].max())
    between = np.zeros_like(left)
    between[rows] = (cols > inner_right[:, None]) & (cols < inner_left[:, None]) & (share < DIAPHRAGM)[:, None]
    return between


def _enlarge_heart(
    canvas: Canvas, image: Layer, between: Mask, lungs: dict[Side, Mask], growth_px: float
) -> tuple[Layer, Mask]:
    """Move the left side of the heart outwards by up to `growth_px`, most in the middle of its height."""
    height = bounding_box(lungs["left"])
    share = (canvas.y_px - height.y0_px) / (height.y1_px - height.y0_px)
    bulge = growth_px * np.clip(np.sin(np.pi * np.clip((share - HEART_TOP) / 0.62, 0, 1)), 0, 1)
    edge = np.where(between, canvas.x_px, 0).max(axis=1, keepdims=True)
    grown = between | (lungs["left"] & (edge > 0) & (canvas.x_px > edge) & (canvas.x_px < edge + bulge))
    added = blur((grown & ~between).astype(np.float32), 0.006 * canvas.unit_px)
    heart = between & (share > HEART_TOP)
    level = float(image[heart].mean()) if heart.any() else float(image.mean())
    return image + added * np.clip(level - image, 0, None) * 0.85, grown


def _aortic_knob_mask(canvas: Canvas, between: Mask) -> Mask:
    """Draw a disc at the upper left border of the mediastinum."""
    box = bounding_box(between)
    row = round(box.y0_px + 0.28 * (box.y1_px - box.y0_px))
    edge = np.flatnonzero(between[row])
    x = float(edge[-1]) if len(edge) else box.centre[0]
    radius = 0.028 * canvas.unit_px
    return np.asarray(canvas.squared_distance(x - 0.6 * radius, row, radius, radius) < 1)
