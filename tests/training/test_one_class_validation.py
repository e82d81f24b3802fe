"""A validation split of one class: no AUROC, so the epoch with the lowest loss is kept instead of the first one."""

from __future__ import annotations

import logging
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from ggcam.commands.train import EpochPrinter
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData
from ggcam.data.sources import folder
from ggcam.training.checkpoints import best_state
from ggcam.training.config import TrainConfig, read_train_config
from ggcam.training.train import train

CONFIG = TrainConfig(
    guidance="none", backbone="test_resnet", batch_size=8, epochs=4, schedule="constant", accelerator="cpu"
)


def prepare(raw: Path) -> PreparedData:
    """Draw the images that labels.csv lists, the second class brighter, and prepare them."""
    random = np.random.default_rng(0)
    for row in pd.read_csv(raw / "labels.csv").itertuples():
        level = 60 if row.label == "normal" else 160
        cv2.imwrite(str(raw / str(row.image)), random.normal(level, 30, (40, 40)).clip(0, 255).astype(np.uint8))
    config = PrepareConfig(size="32x32", split="source", workers=1)
    return prepare_source(folder.read(raw), raw.with_name("data"), config)


def own_labels(raw: Path) -> None:
    rows = [("train", 8, 8), ("valid", 6, 0), ("test", 4, 4)]
    names = [(split, label) for split, *counts in rows for label, n in zip("nx", counts, strict=True) for _ in range(n)]
    lines = [f"{i}.png,{'normal' if label == 'n' else 'effusion'},{split}" for i, (split, label) in enumerate(names)]
    (raw / "labels.csv").write_text("\n".join(["image,label,split", *lines]) + "\n")


@pytest.mark.parametrize("source", ["own", "shared"])
def test_the_epoch_with_the_lowest_loss_is_kept(source, tmp_path, caplog, request):
    raw = tmp_path / "raw"
    raw.mkdir()
    if source == "own":
        own_labels(raw)
    else:
        case = request.getfixturevalue("shared_cases") / "one_class_validation" / "labels.csv"
        shutil.copy(case, raw)
    data = prepare(raw)
    with caplog.at_level(logging.WARNING):
        run = train(data, CONFIG, tmp_path, "run")
    assert "no validation case is of class" in caplog.text
    assert "lowest validation loss" in caplog.text
    assert run.history["valid_macro_auroc"].isna().all()
    assert best_state(run.folder.checkpoints)["epoch"] == run.history["valid_classification"].idxmin()
    assert read_train_config(run.folder.config)[1].monitor == "loss"  # so the run says how its epoch was chosen


def test_an_undefined_auroc_is_printed_as_a_dash(capsys):
    row = dict.fromkeys(("train_total", "train_classification", "train_guidance", "valid_classification"), 0.5)
    row |= {"epoch": 0, "seconds": 1.0, "learning_rate": 1e-3, "valid_accuracy": 1.0, "valid_macro_auroc": math.nan}
    EpochPrinter(2)(row)
    assert "macro AUROC -, accuracy 1.0000" in capsys.readouterr().out
