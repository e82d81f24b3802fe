"""The runs of a study map the decoded images instead of decoding them again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ggcam.data.dataset import PreparedDataset
from ggcam.data.pixel_cache import DecodedImages
from ggcam.data.prepared import load_prepared
from ggcam.study import shared_images as module
from ggcam.study.plan import plan_study
from ggcam.study.run import Task
from ggcam.study.shared_images import shared_images
from ggcam.training.config import TrainConfig


def tasks(data: Path, study: Path, runs: int = 2, **options) -> list[Task]:
    return [Task(data, study, run) for run in plan_study(TrainConfig(**options), ["none"], runs).runs]


def test_images_are_mapped_by_all_runs_and_gone_after_the_study(prepared, tmp_path):
    data = load_prepared(prepared)
    with shared_images(tasks(prepared, tmp_path)) as shared:
        (path,) = {task.images for task in shared}
        assert path is not None
        assert path.parent.name.startswith("partial-")  # what a killed study leaves is removed by the next one
        decoded = DecodedImages(path, data.cases["case_id"].tolist())
        assert list(decoded) == data.cases["case_id"].tolist()
        plain, mapped = PreparedDataset(data, "train"), PreparedDataset(replace(data, decoded=decoded), "train")
        assert mapped.in_memory
        assert torch.equal(mapped.batch(range(len(mapped))).image, plain.batch(range(len(plain))).image)
        first = mapped.cases["case_id"].tolist()[0]
        assert np.shares_memory(mapped[0].image.numpy(), decoded[first])
        assert not np.shares_memory(plain[0].image.numpy(), decoded[first])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cache", ["none", "disk"])
def test_a_cache_that_is_not_in_memory_stays_what_it_is(prepared, tmp_path, cache):
    with shared_images(tasks(prepared, tmp_path, cache=cache)) as shared:
        assert {task.images for task in shared} == {None}


def test_one_run_or_images_without_room_are_not_decoded(prepared, tmp_path, monkeypatch):
    for runs in (0, 1):
        with shared_images(tasks(prepared, tmp_path)[:runs]) as shared:
            assert [task.images for task in shared] == [None] * runs
    monkeypatch.setattr(module, "AUTO_CACHE_BYTES", 1000)
    with shared_images(tasks(prepared, tmp_path)) as shared:
        assert {task.images for task in shared} == {None}
    with shared_images(tasks(prepared, tmp_path, cache="memory")) as shared:
        assert None not in {task.images for task in shared}
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with shared_images(tasks(prepared, tmp_path, cache="memory")) as shared:
        assert {task.images for task in shared} == {None}


def test_damaged_images_are_left_for_the_runs_to_report(prepared, tmp_path):
    broken = tmp_path / "data"
    shutil.copytree(prepared, broken)
    next((broken / "images").iterdir()).write_bytes(b"no image")
    (tmp_path / "study").mkdir()
    with shared_images(tasks(broken, tmp_path / "study")) as shared:
        assert {task.images for task in shared} == {None}
    assert not list((tmp_path / "study").iterdir())
