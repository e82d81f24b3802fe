"""Files of regions beside three small images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from data.sources.test_folder import add_image, write_text

HEAD = "image,name,x0_px,y0_px,x1_px,y1_px"


def three_images(folder: Path) -> Path:
    """Write three images of 20x30 pixels and their labels to a folder, and return it."""
    add_image(folder, "img/a.png", "img/b.jpg", "img/c.dcm")
    write_text(
        folder / "labels.csv",
        "image,labels,patient_id",
        "img/a.png,Mass|Nodule,p1",
        "img/b.jpg,Nodule,p2",
        "img/c.dcm,No Finding,p3",
    )
    return folder


def mask(path: Path, rows: slice, columns: slice, size=(20, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = np.zeros(size, np.uint8)
    drawn[rows, columns] = 1
    cv2.imwrite(str(path), drawn)
    return path


def coco(*annotations, size=(20, 30), file_name="img/a.png"):
    return {
        "images": [{"id": 7, "file_name": file_name, "height": size[0], "width": size[1]}],
        "categories": [{"id": 1, "name": "Mass"}, {"id": 2, "name": "Nodule"}],
        "annotations": [{"id": n, "image_id": 7, **each} for n, each in enumerate(annotations)],
    }


def write_coco(root, content):
    path = root / "annotations.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
