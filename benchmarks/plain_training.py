"""Training as a good engineer writes it: timm, Lightning, torchvision's transforms and Pillow, without CAM or gaze."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

import lightning
import pandas as pd
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

Precision = Literal["32-true", "bf16-mixed"]


class Images(Dataset[tuple[Tensor, int]]):
    """JPEG files with labels; a table with the columns `path` and `label`."""

    def __init__(self, table: pd.DataFrame, frame: tuple[int, int]):
        self.paths, self.labels = table["path"].tolist(), table["label"].tolist()
        self.transform = v2.Compose(
            [v2.Resize(frame, antialias=True), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.25])]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[row]) as image:
            return self.transform(v2.functional.pil_to_tensor(image.convert("L"))), self.labels[row]


class Classifier(lightning.LightningModule):
    """A timm network with cross-entropy and AdamW."""

    def __init__(self, backbone: str, classes: int, channels_last: bool):
        super().__init__()
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        network: nn.Module = timm.create_model(backbone, num_classes=classes, in_chans=1)
        self.network = network.to(memory_format=self.format)  # pyright: ignore[reportCallIssue]

    def training_step(self, batch: tuple[Tensor, Tensor], _: int = 0) -> Tensor:
        image, label = batch
        return nn.functional.cross_entropy(self.network(image.contiguous(memory_format=self.format)), label)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        self.log("valid_loss", self.training_step(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class EpochTimer(lightning.Callback):
    """Seconds of each epoch, validation included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, *_: Any, **__: Any) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.perf_counter() - self._started)


def epoch_seconds(
    table: pd.DataFrame, frame: tuple[int, int], backbone: str, batch_size: int, tuned: bool, workers: int, out: Path
) -> float:
    """Train for two epochs, and return the seconds of the second one, after everything has been set up.

    Args:
        table: one row per image: path, label, split.
        frame: size of the images for the network.
        backbone: name of a timm network.
        batch_size: images per batch.
        tuned: bfloat16 and channels last instead of float32.
        workers: processes that decode.
        out: folder for checkpoints.
    """
    timer = EpochTimer()
    trainer = lightning.Trainer(
        accelerator="cpu",
        precision="bf16-mixed" if tuned else "32-true",
        max_epochs=2,
        num_sanity_val_steps=0,
        callbacks=[timer],
        logger=False,
        default_root_dir=out,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    train, valid = (
        DataLoader(
            Images(table.loc[table["split"] == split], frame),
            batch_size,
            shuffle=split == "train",
            drop_last=split == "train",
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        for split in ("train", "valid")
    )
    trainer.fit(Classifier(backbone, len(set(table["label"])), tuned), train, valid)
    return timer.seconds[-1]
