"""Predict image files one by one, as a script without ggcam does: pydicom, OpenCV, timm, and Grad-CAM on request.

python benchmarks/plain_prediction.py FOLDER OUT BACKBONE HEIGHT WIDTH [cam]
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import pydicom
import timm
import torch
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image


def read(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Return an image as floats in 0..1 at the size of the network."""
    if path.suffix == ".dcm":
        dataset = pydicom.dcmread(path)
        pixels = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(np.float32)
        if dataset.PhotometricInterpretation == "MONOCHROME1":
            pixels = pixels.max() - pixels
    else:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert grey is not None
        pixels = grey.astype(np.float32)
    small = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA)
    return (small - small.min()) / max(float(np.ptp(small)), 1e-6)


def main() -> None:
    folder, out, backbone = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    size = int(sys.argv[4]), int(sys.argv[5])
    network = timm.create_model(backbone, num_classes=3, in_chans=1).eval()
    cam = GradCAM(network, [network.get_submodule("layer4")]) if sys.argv[6:] == ["cam"] else None
    out.mkdir(parents=True, exist_ok=True)
    with (out / "predictions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        for path in sorted(folder.iterdir()):
            image = read(path, size)
            pixels = torch.from_numpy((image - 0.449) / 0.226)[None, None]
            if cam is None:
                with torch.inference_mode():
                    logits = network(pixels)
            else:
                heat = cam(pixels, None)[0]  # pyright: ignore[reportArgumentType]
                logits = cam.outputs.detach()
                drawn = show_cam_on_image(np.repeat(image[..., None], 3, axis=2), heat)
                cv2.imwrite(str(out / f"{path.stem}.png"), drawn)
            table.writerow([path.name, *logits.softmax(dim=1)[0].tolist()])


if __name__ == "__main__":
    main()
