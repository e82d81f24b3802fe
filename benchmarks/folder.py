"""`ggcam predict` on a folder of large files, against a script that predicts them one by one, start-up included.

A third each of the files are 12-bit DICOM, the same compressed with JPEG 2000, and JPEG. Besides the time, the
processor time of each command and its workers is compared, which other programs on the machine hardly change.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

from benchmarks.prediction import CLASSES, with_settled_batch_norm
from benchmarks.side_by_side import Result
from ggcam.inference.onnx_conversion import to_onnx
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier

KINDS = 3
DISTINCT = 2
"""Different images per kind; the others are further names of these files."""

SCRIPT = Path(__file__).with_name("plain_prediction.py")


def run(short: bool = False) -> Iterator[Result]:
    """Time 48 files of 2544x3056 with a ResNet-50 at 512x448, with overlays and without, at either resolution."""
    raw, frame, files, rounds = ((150, 120), (64, 64), 6, 1) if short else ((3056, 2544), (512, 448), 48, 3)
    backbone = "resnet10t" if short else "resnet50"
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_images(root / "images", raw, files)
        write_network(root / "NET.onnx", backbone, frame)
        size = list(map(str, frame))
        for with_cam, target in ((True, 4.0), (False, 2.5)):
            overlays = [] if with_cam else ["--no-overlays"]
            ours = ["-m", "ggcam", "predict", "NET.onnx", "images", "--out", "ours", *overlays]
            script = [str(SCRIPT), "images", "theirs", backbone, *size, *(["cam"] if with_cam else [])]
            commands = (ours, [*ours, "--reduced-resolution"], script)
            measured = [[_measure(command, root) for command in commands] for _ in range(rounds)]
            other = f"one by one, {'pytorch-grad-cam' if with_cam else 'no CAM'}"
            for variant, resolution in enumerate(("", ", reduced resolution")):
                name = f"{files} files of {raw[1]}x{raw[0]}, {'' if with_cam else 'no '}overlays{resolution}"
                for kind, what in enumerate(("", ", processor time")):
                    times = [(each[variant][kind] / files, each[-1][kind] / files) for each in measured]
                    yield Result(
                        f"ggcam predict, {name}{what}",
                        other,
                        statistics.median(a for a, _ in times),
                        statistics.median(b for _, b in times),
                        statistics.median(b / a for a, b in times),
                        None if kind else target,
                    )


def _measure(arguments: Sequence[str], folder: Path) -> tuple[float, float]:
    """Run Python and return the seconds, and the seconds of processor time with those of its workers."""
    shutil.rmtree(folder / "ours", ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [*sys.path, str(Path.cwd() / "src")]))}
    started, before = time.perf_counter(), _processor_time()
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started, _processor_time() - before


def _processor_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def write_network(path: Path, backbone: str, frame: tuple[int, int]) -> None:
    """Write an ONNX file as `ggcam export` does, of a network with random weights."""
    model = with_settled_batch_norm(CAMClassifier(create_backbone(backbone, frame), CLASSES), frame)
    metadata = {"class_names": ["a", "b", "c"], "multi_label": False, "framing": "fitted"}
    path.write_bytes(to_onnx(model, frame, metadata))


def write_images(folder: Path, size: tuple[int, int], files: int) -> None:
    """Write images with smooth structures and the noise of a detector."""
    folder.mkdir()
    rows, columns = np.mgrid[: size[0], : size[1]] / size[0]
    for number in range(DISTINCT):
        large = 1200 * np.sin(6 * columns + number) * np.cos(5 * rows)
        small = 300 * np.sin(90 * rows + 40 * columns)
        noise = np.random.default_rng(number).normal(0, 12, size)
        pixels = np.clip(2000 + large + small + noise, 0, 4095).astype(np.uint16)
        originals = [folder / f"{number:02}-{kind}" for kind in ("plain.dcm", "j2k.dcm", "jpeg.jpg")]
        dataset = _dicom(pixels)
        dataset.save_as(originals[0], enforce_file_format=True)
        dataset.compress(JPEG2000Lossless)
        dataset.save_as(originals[1], enforce_file_format=True)
        cv2.imwrite(str(originals[2]), (pixels >> 4).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])
        for copy in range(DISTINCT + number, files // KINDS, DISTINCT):
            for original in originals:
                (folder / f"{copy:02}{original.name[2:]}").hardlink_to(original)


def _dicom(pixels: np.ndarray) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.PixelData = pixels.tobytes()
    return dataset
