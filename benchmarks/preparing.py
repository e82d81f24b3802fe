"""`ggcam prepare` against the Data Processing of the original GG-CAM, on the same raw cases of MIMIC-CXR's size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pydicom
import torch
from PIL import Image

from benchmarks.fresh_process import measure
from benchmarks.raw_cases import RAW_SIZE, SHORT_SIZE, folder_bytes, raw_cases, repeat_cases
from benchmarks.side_by_side import Result, race, threads
from ggcam.data import images
from ggcam.data.case import Case, Frame, Source
from ggcam.data.framing import Fitted
from ggcam.data.pixel_arrays import to_uint8
from ggcam.data.png import write_png
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.images import PixelFiles
from ggcam.data.prepare.pipeline import prepare_source

CASES, OTHER_CASES = 64, 4
"""Cases per call: ours starts processes, which pays off with many cases; the original takes the same time per case."""


def run(short: bool = False) -> Iterator[Result]:
    """Measure speed on all cores, disk space, memory, and the time of each stage of a case."""
    cases, other_cases, rounds = (6, 1, 1) if short else (CASES, OTHER_CASES, 3)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        source = raw_cases(root / "raw", SHORT_SIZE if short else RAW_SIZE)
        ours, theirs = root / "ours", root / "theirs"
        yield race(
            "ggcam prepare",
            partial(_prepare, repeat_cases(source, cases), ours),
            "as the original",
            lambda: [original(case, theirs) for case in source.cases[:other_cases]],
            cases,
            rounds,
            target=8,
            other_cases=other_cases,
        )
        disk, other_disk = folder_bytes(ours) / cases, folder_bytes(theirs) / other_cases
        yield Result("prepared folder", "as the original", disk, other_disk, other_disk / disk, target=12, unit="B")
        peak, fourfold_peak = (measure(_prepare, repeat_cases(source, n * cases), ours).peak_bytes for n in (1, 4))
        name, other = (f"peak memory, {n * cases} cases" for n in (4, 1))
        yield Result(name, other, fourfold_peak, peak, peak / fourfold_peak, target=0.9, unit="B")
        yield from _stages("DICOM", source, root / "dicom")
        yield from _stages("JPEG", _as_jpeg(source, root / "jpegs"), root / "jpeg")


def _prepare(source: Source, out: Path) -> None:
    prepare_source(source, out, PrepareConfig(split="position", overwrite=True))


def original(case: Case, out: Path) -> None:
    """Process a case as the original does: blur at full size per kernel, sample, save three times as float32."""
    raw = pydicom.dcmread(case.image).pixel_array.astype(np.float32)
    masks = {name: np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) > 0 for name, path in case.masks.items()}
    fixations = case.fixations.select(case.fixations.inside(*raw.shape))
    dots = np.zeros(raw.shape, np.float32)
    np.add.at(dots, (fixations.y_px.astype(int), fixations.x_px.astype(int)), fixations.duration_s)
    cxr = _on_canvas(raw)[::2, ::2]
    content = {
        "cxr": np.repeat((cxr / cxr.max())[None], 3, axis=0),
        "lung": _on_canvas(masks["left_lung"] | masks["right_lung"])[::64, ::64].copy(),
        "heart": _on_canvas(masks["mediastinum"])[::64, ::64].copy(),
        "Y": np.int64(case.class_index),
    }
    for kernel_px in (200, 500, 800):
        side = kernel_px + 1
        gaze = _on_canvas(cv2.GaussianBlur(dots, (side, side), 0))[::64, ::64]
        target = out / f"Down2_Blur{kernel_px}" / f"{case.case_id}.pt"
        target.parent.mkdir(parents=True, exist_ok=True)
        arrays = {**content, "gaze": (gaze / gaze.max())[None]}
        torch.save({name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}, target)


def _on_canvas(pixels: np.ndarray) -> np.ndarray:
    canvas = np.zeros((3072, 2560), pixels.dtype)
    top, left = (3072 - pixels.shape[0]) // 2, (2560 - pixels.shape[1]) // 2
    canvas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return canvas


def _as_jpeg(source: Source, folder: Path) -> Source:
    """Return the same cases with JPEG images of quality 95, as in MIMIC-CXR-JPG."""
    folder.mkdir()

    def compressed(case: Case) -> Case:
        target = folder / f"{case.case_id}.jpg"
        Image.fromarray(to_uint8(images.read_image(case.image))).save(target, quality=95)
        return replace(case, image=target)

    return replace(source, cases=tuple(compressed(case) for case in source.cases))


def _stages(kind: str, source: Source, out: Path) -> Iterator[Result]:
    """Measure the processor time of each stage of a case."""
    out.mkdir()
    spent = dict.fromkeys(("image decoded", "masks decoded", "averaged over areas", "encoded and written"), 0.0)
    with threads(1):
        for case in source.cases:
            files = PixelFiles.from_case(case)
            framing = Fitted(Frame())
            started = time.process_time()
            pixels = images.read_pixels(case.image)
            image_read = time.process_time()
            masks = {name: images.read_mask(path, name) for name, path in files.masks.items()}
            masks_read = time.process_time()
            framed = to_uint8(framing.image(pixels))
            bits = np.bitwise_or.reduce([framing.mask(mask) * np.uint8(1) for mask in masks.values()])
            framed_at = time.process_time()
            for number, array in enumerate((framed, bits)):
                write_png(out / f"{number}.png", array)
            ends = (image_read, masks_read, framed_at, time.process_time())
            for stage, start, end in zip(spent, (started, *ends[:-1]), ends, strict=True):
                spent[stage] += (end - start) / len(source.cases)
    whole = sum(spent.values())
    for stage, seconds in spent.items():
        yield Result(f"prepare, one {kind} case, one core", f"of that: {stage}", whole, seconds, seconds / whole)
