"""What the command makes of what the processes on a cluster tell it. Whole trainings: tests/test_on_ray.py."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from commands.calling import refusal
from ggcam.data.prepared import load_prepared
from ggcam.errors import BusyError, ConfigError, DivergenceError
from ggcam.training import on_ray, ray_worker
from ggcam.training.begin import begin_run
from ggcam.training.config import TrainConfig
from ggcam.utils.logs import LogRecords

RAY: Any = SimpleNamespace(get=lambda value: value)
"""Stands in for the module: what is called on the board is done at once."""


class Posted:
    """Stands in for the board: each look at it finds the next messages, and the training ends after the last ones."""

    def __init__(self, training: Future[object], *looks: list[tuple[str, object]]):
        self._training, self._looks = training, list(looks)
        self.take = SimpleNamespace(remote=self._take)

    def _take(self) -> list[tuple[str, object]]:
        if len(self._looks) == 1 and not self._training.done():
            self._training.set_result(None)
        return self._looks.pop(0) if self._looks else []


def epochs(*numbers: int) -> list[tuple[str, object]]:
    return [("epoch", {"epoch": number}) for number in numbers]


def test_an_epoch_that_is_repeated_after_a_loss_is_reported_once(monkeypatch, caplog):
    monkeypatch.setattr(on_ray, "_POLL_S", 0)
    training: Future[object] = Future()
    rows: list[float] = []
    looks = [("started", None), *epochs(0, 1, 2)], [("started", None), *epochs(2, 3)], epochs(4)
    on_ray._follow(RAY, Posted(training, *looks), training, lambda row: rows.append(row["epoch"]))
    assert rows == [0, 1, 2, 3, 4]
    assert [record.getMessage() for record in caplog.records] == [
        "a process of the training was lost; it continues after epoch 3 (restart 1 of at most 3)"
    ]


def test_warnings_of_the_processes_are_logged_and_their_mistakes_raised(monkeypatch, caplog):
    """The first process may still be writing to the run folder when another one has raised an error."""
    monkeypatch.setattr(on_ray, "_POLL_S", 0)
    training: Future[object] = Future()
    records = LogRecords()
    with records.collected():
        on_ray.log.warning("the data are %s", "strange")
    caplog.clear()
    board = Posted(training, [("mistake", DivergenceError("training diverged"))], [("ended", records)], [], [])
    with pytest.raises(DivergenceError, match="training diverged"):
        on_ray._follow(RAY, board, training, None)
    assert caplog.messages == ["the data are strange"]
    assert not training.done()


def test_a_mistake_is_raised_although_the_first_process_does_not_end(monkeypatch):
    monkeypatch.setattr(on_ray, "_POLL_S", 0)
    monkeypatch.setattr(on_ray, "_END_S", 0.0)
    training: Future[object] = Future()
    board = Posted(training, [("mistake", DivergenceError("training diverged"))], [], [], [])
    with pytest.raises(DivergenceError, match="training diverged"):
        on_ray._follow(RAY, board, training, None)


def test_what_ends_the_training_for_good_is_raised_in_words():
    failed = SimpleNamespace(worker_failures={1: RuntimeError("Traceback\n  connection closed by peer\n")})
    message = str(on_ray._lost(failed, Path("run/mine")))
    assert "the training was lost 4 times" in message
    assert "RuntimeError: connection closed by peer" in message
    assert "ggcam train --resume run/mine --ray ADDRESS" in message
    unplaced = SimpleNamespace(worker_failures={}, controller_failure=TimeoutError("no machine has room"))
    assert "could not be started" in str(on_ray._lost(unplaced, Path("run/mine")))
    assert "the connection to the cluster was lost" in str(on_ray._lost(ConnectionError("gone"), Path("run/mine")))


def test_options_that_exclude_each_other_are_refused_before_anything_starts(prepared, tmp_path, capsys):
    train = ("train", prepared, "--out", tmp_path / "runs")
    assert "pass its address as --ray" in refusal(capsys, *train, "--ray-workers", "2")
    for option, value in (("--devices", "2"), ("--nodes", "2"), ("--strategy", "ddp")):
        message = refusal(capsys, *train, option, value, "--ray", "192.0.2.1:6379")
        assert f"{option} does not apply to a Ray cluster" in message
        assert "--ray-workers" in message
    assert not (tmp_path / "runs").exists()


def test_a_batch_that_the_processes_cannot_share_leaves_no_folder_behind(prepared, tmp_path):
    data, config = load_prepared(prepared), TrainConfig(backbone="test_resnet", batch_size=8)
    with pytest.raises(ConfigError, match=r"a batch of 8 cannot be shared by 3 processes(?s:.*)use 6"):
        begin_run(data, config, tmp_path / "runs", None, 3)
    assert not (tmp_path / "runs").exists()


def test_a_process_waits_for_the_lock_of_a_lost_machine(monkeypatch):
    """A network file system keeps it for a while."""
    monkeypatch.setattr(ray_worker, "WAIT_S", 60.0)
    attempts = iter([BusyError("locked"), BusyError("locked"), None])

    def work() -> None:
        if error := next(attempts):
            raise error

    ray_worker._unlocked(work)
    assert next(attempts, "none left") == "none left"
    monkeypatch.setattr(ray_worker, "WAIT_S", 0.0)
    attempts = iter([BusyError("locked")])
    with pytest.raises(BusyError):
        ray_worker._unlocked(work)
