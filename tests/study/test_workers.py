"""The number of runs at a time follows from cores, memory and GPUs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ggcam.data.case import Frame
from ggcam.data.prepared import load_prepared
from ggcam.study import workers
from ggcam.study.plan import plan_study
from ggcam.study.workers import choose_workers
from ggcam.training.config import TrainConfig


@pytest.fixture
def machine(monkeypatch):
    def has(cores: int, gigabytes: float, gpus: int = 0) -> None:
        monkeypatch.setattr(workers, "cpu_count", lambda: cores)
        monkeypatch.setattr(workers, "_memory_bytes", lambda: gigabytes * 1e9)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return has


def test_small_runs_take_a_core_each_and_large_ones_as_much_memory_as_there_is(prepared, machine):
    data, plan = load_prepared(prepared), plan_study(TrainConfig(), ["none"], 12)
    machine(2, 24)
    assert choose_workers(plan, data) == 2
    assert choose_workers(plan, data, threads=2) == 1
    machine(16, 24)
    assert choose_workers(plan, data) == 9
    machine(64, 512)
    assert choose_workers(plan, data) == 12
    machine(64, 512)
    assert choose_workers(plan, data, threads=16) == 4
    machine(2, 24)
    large = replace(data, frame=Frame(1536, 1280))
    assert choose_workers(plan_study(TrainConfig(batch_size=2), ["none"], 12), large) == 1
    machine(2, 0)  # the system does not tell
    assert choose_workers(plan, data) == 1


def test_a_gpu_executes_one_run_at_a_time(prepared, machine):
    data = load_prepared(prepared)
    machine(16, 24, gpus=4)
    assert choose_workers(plan_study(TrainConfig(), ["none"], 12), data) == 4
    assert choose_workers(plan_study(TrainConfig(), ["none"], 3), data) == 3
    assert choose_workers(plan_study(TrainConfig(accelerator="cpu"), ["none"], 12), data) == 9
    assert choose_workers(plan_study(TrainConfig(accelerator="mps"), ["none"], 12), data) == 1
