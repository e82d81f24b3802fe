"""An epoch of training from disk, validation included, against a script with timm, Lightning, torchvision and Pillow.

The second epoch is compared, in which everything has been set up. Each training has a process of its own: what the C
library has learnt about memory from one would change the time of the next.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd
from PIL import Image

from benchmarks.fresh_process import call_in_new_process
from benchmarks.plain_training import epoch_seconds
from benchmarks.raw_cases import raw_cases, repeat_cases
from benchmarks.side_by_side import Result
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.training.config import TrainConfig
from ggcam.training.train import train
from ggcam.training.trainer import quiet_lightning
from ggcam.utils.parallel import cpu_count

JPEG_SIDE = 384
"""Size of the JPEG files that the script reads, as those of ChestX-ray14 in reduced collections."""


class Epoch(NamedTuple):
    """What is trained.

    Attributes:
        backbone: name of a timm network.
        frame: height and width of the images in pixels.
        batch_size: images per batch.
        cases: number of images, of which a fifth validates.
        target: minimum of the ratio to the tuned script.
    """

    backbone: str
    frame: tuple[int, int]
    batch_size: int
    cases: int
    target: float


EPOCHS = (
    Epoch("resnet10t", (128, 128), 32, 899, 1.3),
    Epoch("resnet18", (224, 224), 32, 899, 1.3),
    Epoch("resnet50", (512, 448), 8, 80, 1.0),
    Epoch("resnet50", (1536, 1280), 2, 10, 1.3),
    Epoch("tf_efficientnetv2_s", (1536, 1280), 2, 10, 1.3),
)
SHORT = (Epoch("test_resnet", (64, 64), 4, 24, 1.0),)


def run(short: bool = False) -> Iterator[Result]:
    """Time each epoch beside the script in bfloat16 with channels last, three times, and in float32, once."""
    for epoch in SHORT if short else EPOCHS:
        with TemporaryDirectory() as folder:
            root = Path(folder)
            data = _prepare(root, epoch)
            yield from _compare(epoch, data, _write_jpeg(data, root / "jpeg"), root, rounds=1 if short else 3)


def _compare(epoch: Epoch, data: PreparedData, table: pd.DataFrame, root: Path, rounds: int) -> Iterator[Result]:
    def script(tuned: bool) -> float:
        return call_in_new_process(_seconds_of_script, epoch, table, tuned, root / "script")

    def result(other: str, pairs: Sequence[tuple[float, float]]) -> Result:
        ours, others = (statistics.median(each) / epoch.cases for each in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        return Result(name, f"timm + Lightning + Pillow, {other}", ours, others, ratio, epoch.target)

    height, width = epoch.frame
    name = f"epoch, {epoch.backbone}, {height}x{width}, from disk"
    pairs = [(call_in_new_process(_our_seconds, epoch, data.root, root), script(tuned=True)) for _ in range(rounds)]
    yield result("bf16, channels last", pairs)
    yield result("float32", [(pairs[-1][0], script(tuned=False))])


def _our_seconds(epoch: Epoch, data: Path, root: Path) -> float:
    config = TrainConfig(
        backbone=epoch.backbone,
        batch_size=epoch.batch_size,
        epochs=2,
        accelerator="cpu",
        calibration=False,
        typicality=False,
    )
    return train(load_prepared(data), config, root / "runs").history["seconds"].iloc[-1]


def _seconds_of_script(epoch: Epoch, table: pd.DataFrame, tuned: bool, out: Path) -> float:
    with warnings.catch_warnings(), quiet_lightning():
        warnings.simplefilter("ignore")  # Lightning recommends other numbers of workers
        return epoch_seconds(table, epoch.frame, epoch.backbone, epoch.batch_size, tuned, workers=cpu_count(), out=out)


def _prepare(root: Path, epoch: Epoch) -> PreparedData:
    height, width = epoch.frame
    source = repeat_cases(raw_cases(root / "raw", "192x160" if height < 100 else "1600x1400"), epoch.cases)
    config = PrepareConfig(size=f"{height}x{width}", split="position", split_fractions=(0.8, 0.2, 0.0))
    return prepare_source(source, root / "data", config)


def _write_jpeg(data: PreparedData, folder: Path) -> pd.DataFrame:
    """Write the images as JPEG files, as large as the frame for large frames; return their table."""
    folder.mkdir()
    side = max(JPEG_SIDE, *data.frame.shape)
    paths = []
    for case_id in data.cases["case_id"]:
        paths.append(folder / f"{case_id}.jpg")
        Image.fromarray(data.read_image(case_id)).resize((side, side)).save(paths[-1], quality=95)
    return data.cases[["label", "split"]].assign(path=paths)
