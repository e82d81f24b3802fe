"""A service as a good engineer writes it in an afternoon: FastAPI, pydicom and torch, one image at a time.

python benchmarks/plain_service.py BACKBONE HEIGHT WIDTH
"""

import socket
import sys
from threading import Lock
from typing import Annotated

import cv2
import numpy as np
import pydicom
import timm
import torch
import uvicorn
from fastapi import FastAPI, File, UploadFile
from pydicom.pixels.processing import apply_voi_lut

CLASS_NAMES = ("Normal", "CHF", "pneumonia")

backbone, height, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
network = timm.create_model(backbone, in_chans=1, num_classes=len(CLASS_NAMES)).eval()
network = network.to(memory_format=torch.channels_last)
one_at_a_time = Lock()
app = FastAPI()


@app.post("/predict")
def predict(file: Annotated[UploadFile, File()]) -> dict[str, float]:
    dataset = pydicom.dcmread(file.file)
    pixels = apply_voi_lut(dataset.pixel_array, dataset).astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels = pixels.max() - pixels
    pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    pixels = (pixels - pixels.min()) / max(float(np.ptp(pixels)), 1e-6)
    image = torch.from_numpy((pixels - 0.449) / 0.226)[None, None].contiguous(memory_format=torch.channels_last)
    with one_at_a_time, torch.inference_mode():
        probabilities = network(image).softmax(dim=1)[0].tolist()
    return dict(zip(CLASS_NAMES, probabilities, strict=True))


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
