"""A folder of synthetic images with several labels each, some unknown, and fixations that partly name a label."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData
from ggcam.data.sources import folder

CLASSES = ("left", "right", "low")
SPOTS = {"left": (30, 15), "right": (30, 45), "low": (62, 30)}
"""Class -> row and column of its bright blob."""


def prepare_multilabel(raw: Path) -> PreparedData:
    """Prepare the output of `write_multilabel`, in a folder beside it."""
    return prepare_source(
        folder.read(raw), raw.with_name("data"), PrepareConfig(size="64x64", split="source", workers=1)
    )


def write_multilabel(root: Path, cases: int = 50, seed: int = 0) -> Path:
    """Write images, labels.csv and fixations.csv.

    Every label is unknown in a fifth of the cases, though its blob may be there. Every fourth case has no gaze; in the
    others the reader looks at the blobs, and the fixations name the label in every second case only.
    """
    random = np.random.default_rng(seed)
    root.mkdir(parents=True)
    present = random.random((cases, 3)) < 0.45
    known = random.random((cases, 3)) < 0.8
    splits = np.resize(["train", "train", "valid", "test", "test"], cases)
    labels = ["image,patient_id,split,label_left,label_right,label_low"]
    fixations = ["image,x_px,y_px,duration_s,label"]
    for number in range(cases):
        image = random.integers(0, 90, (80, 60)).astype(np.uint8)
        for name in np.array(CLASSES)[present[number]]:
            row, column = SPOTS[name]
            cv2.circle(image, (column, row), 7, 250, -1)
            if number % 4:
                word = name if number % 2 else ""
                fixations += [f"{number}.png,{column + shift},{row},0.4,{word}" for shift in (-2, 0, 3)]
        if number % 4:
            fixations.append(f"{number}.png,30,5,0.3,")
        cv2.imwrite(str(root / f"{number}.png"), image)
        cells = [str(int(yes)) if sure else "" for yes, sure in zip(present[number], known[number], strict=True)]
        labels.append(f"{number}.png,p{number - (number % 5 == 1)},{splits[number]},{','.join(cells)}")
    (root / "labels.csv").write_text("\n".join(labels) + "\n")
    (root / "fixations.csv").write_text("\n".join(fixations) + "\n")
    return root
