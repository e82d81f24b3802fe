"""Batches of prepared images, against a DataLoader written with Pillow, with equal numbers of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.raw_cases import SHORT_SIZE, raw_cases, repeat_cases
from benchmarks.side_by_side import Result, race, threads
from ggcam.data.data_module import PreparedDataModule
from ggcam.data.dataset import Cache
from ggcam.data.png import write_png
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData
from ggcam.utils.parallel import cpu_count

CASES, BATCH = 64, 8


class WithPillow(Dataset[tuple[Tensor, int]]):
    """The usual data set: open an image, convert it to an array and a tensor, and let the loader stack them."""

    def __init__(self, paths: list[Path], labels: list[int]):
        self.paths, self.labels = paths, labels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return torch.from_numpy(np.array(Image.open(self.paths[row])))[None], self.labels[row]


def run(short: bool = False) -> Iterator[Result]:
    """Time an epoch over a split, from the request for the first batch to the arrival of the last one."""
    cases, rounds, size = (24, 1, "64x64") if short else (CASES, 5, "1536x1280")
    with TemporaryDirectory() as folder:
        # Small raw images are enough: only the prepared ones are read, with added noise.
        source = raw_cases(Path(folder) / "raw", SHORT_SIZE)
        config = PrepareConfig(size=size, split="position", split_fractions=(1.0, 0.0, 0.0))
        data = prepare_source(repeat_cases(source, cases), Path(folder) / "data", config)
        _add_noise(data)
        own = _save_with_pillow(data, Path(folder) / "own")
        labels = data.cases["label"].tolist()
        for workers in (0, cpu_count()):
            for name, target, paths in (
                ("Pillow, its own files", 1.5, own),
                ("Pillow, the same files", None, [data.root / image for image in data.cases["image"]]),
            ):
                for cache in ("memory", "none") if workers == 0 else ("none", "disk"):
                    with threads(1 if workers else cpu_count()):
                        yield race(
                            f"cache {cache}, {workers} workers",
                            _epoch(_our_loader(data, cache, workers)),
                            f"{name}, {workers} workers",
                            _epoch(_pillow_loader(paths, labels, workers)),
                            cases,
                            rounds,
                            target,
                        )


def _pillow_loader(paths: list[Path], labels: list[int], workers: int) -> DataLoader:
    persistent = workers > 0
    return DataLoader(
        WithPillow(paths, labels), BATCH, shuffle=True, num_workers=workers, persistent_workers=persistent
    )


def _save_with_pillow(data: PreparedData, folder: Path) -> list[Path]:
    """Save the same images with the default settings of Pillow."""
    folder.mkdir()
    for case_id in data.cases["case_id"]:
        Image.fromarray(data.read_image(case_id)).save(folder / f"{case_id}.png")
    return [folder / f"{case_id}.png" for case_id in data.cases["case_id"]]


def _our_loader(data: PreparedData, cache: Cache, workers: int) -> DataLoader:
    return PreparedDataModule(data, BATCH, cache=cache, workers=workers).train_dataloader()


def _epoch(loader: Iterable[object]) -> Callable[[], int]:
    return lambda: sum(1 for _ in loader)


def _add_noise(data: PreparedData) -> None:
    """Add noise like that of a radiograph (standard deviation 2 of 255), which determines the time to decode."""
    rng = np.random.default_rng(0)
    for case_id, image in zip(data.cases["case_id"], data.cases["image"], strict=True):
        pixels = data.read_image(case_id)
        noise = rng.normal(0, 2, pixels.shape).astype(np.float32)
        write_png(data.root / image, np.clip(pixels + noise, 0, 255).astype(np.uint8))
