"""`ggcam train` on a prepared folder whose images are decoded anew in every epoch."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd

from benchmarks.gpu.measurements import Work
from benchmarks.gpu.parts import ROOT
from benchmarks.gpu.prepared_data import prepared_data
from ggcam.data.prepared import PreparedData
from ggcam.utils.parallel import cpu_count

EPOCHS = 3
"""In the first one worker processes start and algorithms are chosen; the last one counts."""

BATCH_SIZE = 8

RUNS = (("resnet-ggcam", "none"), ("effnet-ggcam", "none"), ("resnet-ggcam", "memory"))
"""Preset and cache."""

TINY = (("test_resnet", "none"),)
"""Backbone and cache."""


def run(work: Work) -> None:
    """Train both presets' networks from disk, and one from memory for comparison."""
    size, cases, needed_s = ("64x64", 48, 0.0) if work.tiny else ("1536x1280", 32 * cpu_count(), 20.0)
    data = prepared_data(work.folder, size, cases)
    for network, cache in TINY if work.tiny else RUNS:
        subject = f"{network}, {size}, {'from disk' if cache == 'none' else 'from memory'}"
        if work.has_time(subject, needed_s):
            with work.measuring(subject):
                choice = "--backbone" if work.tiny else "--preset"
                _train(work, data, subject, (choice, network, "--cache", cache))


def _train(work: Work, data: PreparedData, subject: str, options: tuple[str, ...]) -> None:
    name = subject.replace(", ", "-").replace(" ", "-")
    command = [sys.executable, "-m", "ggcam", "train", data.root, "--out", work.folder, "--name", name]
    command += ["--epochs", EPOCHS, "--batch-size", BATCH_SIZE, *options]
    if work.device == "cpu":
        command += ["--accelerator", "cpu", "--device", "cpu"]
    subprocess.run([str(word) for word in command], cwd=ROOT, check=True)
    last = pd.read_csv(work.folder / name / "history.csv").to_dict("records")[-1]
    # An epoch ends with validation, which sees few images here and goes only forward; they count all the same.
    trained, validated = (data.cases["split"].tolist().count(split) for split in ("train", "valid"))
    work.add(
        subject,
        images_per_s=(trained // BATCH_SIZE * BATCH_SIZE + validated) / last["seconds"],
        data_wait_fraction=last["data_wait_fraction"],
        epoch_s=last["seconds"],
        cases=len(data.cases),
    )
