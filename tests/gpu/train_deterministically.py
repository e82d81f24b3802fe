"""Train on a prepared folder with deterministic algorithms.

python train_deterministically.py DATA OUT NAME cpu|gpu killed|whole|resumed

A killed run ends by SIGKILL in its second and last epoch, before anything of that epoch is kept.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from ggcam.data.augment_config import AugmentConfig
from ggcam.data.prepared import load_prepared
from ggcam.training.config import TrainConfig
from ggcam.training.train import resume, train


def kill_in_second_epoch(row: dict[str, float]) -> None:
    if row["epoch"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def train_deterministically(data: Path, out: Path, name: str, accelerator: str, how: str) -> None:
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        if how == "resumed":
            resume(out / name)
            return
        augment = AugmentConfig(rotate_deg=5, shift=0.05)
        config = TrainConfig(
            backbone="test_resnet", epochs=2, batch_size=8, accelerator=accelerator, devices="1", augment=augment
        )
        on_epoch = kill_in_second_epoch if how == "killed" else None
        train(load_prepared(data), config, out, name, on_epoch=on_epoch)
    finally:
        torch.use_deterministic_algorithms(False)


if __name__ == "__main__":
    data, out, name, accelerator, how = sys.argv[1:]
    train_deterministically(Path(data), Path(out), name, accelerator, how)
