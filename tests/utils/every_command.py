"""Run every command on a few simulated cases in the current folder. Run by test_telemetry.py, and by hand:

    python tests/utils/every_command.py --complete

With `--complete` also what takes long: exporting in 8-bit integers, commands on a local Ray cluster, a small demo.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from ggcam.cli import main
from ggcam.study.demo import run_demo

TRAIN = ["--backbone", "test_resnet", "--epochs", "1", "--batch-size", "8", "--workers", "0"]
STUDY = ["study", "DATA", "--guidance", "none", "--seeds", "1", "--backbone", "test_resnet", "--epochs", "1"]

COMMANDS = [
    ["simulate", "raw", "--cases", "24", "--size", "64x64", "--workers", "1"],
    ["prepare", "raw", "DATA", "--size", "64x64", "--split-file", "raw/split.csv", "--workers", "1"],
    ["inspect", "DATA"],
    ["train", "DATA", *TRAIN, "--name", "mine"],
    ["evaluate", "run/mine"],
    ["predict", "run/mine", "raw/files", "--out", "torch", "--engine", "torch"],
    ["export", "run/mine", "--format", "onnx", "--out", "mine.onnx"],
    ["verify", "run/mine", "mine.onnx", "--images", "raw/files", "--max-images", "4"],
    ["predict", "mine.onnx", "raw/files", "--out", "onnxruntime", "--engine", "onnxruntime"],
    ["predict", "mine.onnx", "raw/files", "--out", "openvino", "--engine", "openvino"],
    ["report", "run/mine"],
    STUDY,
    ["report", "study"],
]

LONG_COMMANDS = [
    ["export", "run/mine", "--format", "onnx-int8", "--out", "mine-int8.onnx"],
    ["export", "run/mine", "--format", "bundle", "--out", "bundle"],
    ["predict", "bundle", "raw/files", "--out", "bundled", "--engine", "torch"],
    ["prepare", "raw", "RAY_DATA", "--size", "64x64", "--split-file", "raw/split.csv", "--ray", "local"],
    ["predict", "mine.onnx", "raw/files", "--out", "ray", "--engine", "onnxruntime", "--ray", "local"],
    [*STUDY, "--out", "ray_study", "--ray", "local"],
]


def serve() -> None:
    """Serve until one image has been predicted."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = threading.Thread(target=_ask_and_end, args=(port,))
    client.start()
    main(["serve", "run/mine", "--port", str(port), "--engine", "torch"])
    client.join()


def _ask_and_end(port: int) -> None:
    image = next(Path("raw/files").rglob("*.dcm")).read_bytes()
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + image + b"\r\n--x--\r\n"
    try:
        until = time.monotonic() + 120
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < until:
            time.sleep(0.1)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for path in ("/", "/docs", "/openapi.json", "/model", "/metrics"):
            connection.request("GET", path)
            connection.getresponse().read()
        connection.request("POST", "/predict?format=zip", body, {"Content-Type": "multipart/form-data; boundary=x"})
        response = connection.getresponse()
        sys.stdout.write(f"POST /predict: {response.status}, {len(response.read())} bytes\n")
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    complete = "--complete" in sys.argv
    for command in COMMANDS + LONG_COMMANDS * complete:
        sys.stdout.write(f"ggcam {' '.join(command)}\n")
        main(command)
    serve()
    if complete:
        run_demo("demo", cases=60, epochs=1)
