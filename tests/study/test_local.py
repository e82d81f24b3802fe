"""Processes that execute one run after the other: which are kept, and which are replaced."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from ggcam.study import local
from ggcam.study.plan import plan_study
from ggcam.study.run import Outcome, Task
from ggcam.training.config import TrainConfig


class ThreadContext:
    """In place of multiprocessing's: threads, each of which counts as a process."""

    def __init__(self) -> None:
        self.started: list[threading.Thread] = []

    Pipe = staticmethod(multiprocessing.Pipe)

    def Process(self, target: Callable[..., None], args: tuple[Connection, str | None]) -> threading.Thread:
        remote, gpu = args
        own = Connection(os.dup(remote.fileno()))  # as a process has; the caller closes the other one
        thread = threading.Thread(target=target, args=(own, gpu), daemon=True)
        thread.terminate = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
        self.started.append(thread)
        return thread


def tasks(runs: int, guidance: str = "none") -> list[Task]:
    plan = plan_study(TrainConfig(), [guidance], runs)
    return [Task(Path("data"), Path("study"), run) for run in plan.runs]


@pytest.fixture
def context(monkeypatch) -> ThreadContext:
    found = ThreadContext()

    @contextmanager
    def unchanged(tasks) -> Iterator[list[Task]]:
        yield tasks

    monkeypatch.setattr(local, "get_context", lambda _: found)
    monkeypatch.setattr(local, "init_worker", lambda: None)
    monkeypatch.setattr(local, "shared_images", unchanged)
    monkeypatch.setattr(local, "_gpus", list)
    monkeypatch.setattr(local, "run_one", lambda task: Outcome(task.run.name, None, float(task.threads)))
    return found


def test_runs_share_the_processes_and_the_cores(context, monkeypatch):
    monkeypatch.setattr(local, "cpu_count", lambda: 7)
    outcomes = list(local.run_locally(tasks(9), workers=3))
    assert sorted(outcome.name for outcome in outcomes) == [f"none-seed{k}" for k in range(9)]
    assert {outcome.seconds for outcome in outcomes} == {2}
    assert len(context.started) == 3
    for thread in context.started:
        thread.join(10)
        assert not thread.is_alive()


def test_a_process_is_replaced_after_a_number_of_runs(context, monkeypatch):
    monkeypatch.setattr(local, "RUNS_PER_PROCESS", 4)
    # One slot at a time is busy with 8 runs, however they are divided: at least 8 runs in processes of at most 4.
    assert len(list(local.run_locally(tasks(16), workers=2))) == 16
    assert len(context.started) >= 4


@pytest.mark.parametrize("guidance", ["none", "study.failing_guidance:Broken"])
def test_a_process_is_replaced_after_a_failure_and_after_code_of_the_user(context, monkeypatch, guidance):
    error = "no luck" if guidance == "none" else None
    monkeypatch.setattr(local, "run_one", lambda task: Outcome(task.run.name, error, 0.0))
    assert [outcome.error for outcome in local.run_locally(tasks(5, guidance), workers=2)] == [error] * 5
    assert len(context.started) == 5


def test_each_process_has_a_gpu_of_its_own(context, monkeypatch):
    monkeypatch.setattr(local, "_gpus", lambda: ["0", "1"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    given: list[str | None] = []

    class Recorded(local._Process):
        def __init__(self, gpu: str | None):
            given.append(gpu)
            super().__init__(gpu)

    monkeypatch.setattr(local, "_Process", Recorded)
    list(local.run_locally(tasks(6), workers=2))
    assert given == ["0", "1"]


def test_an_error_that_all_runs_would_meet_ends_the_study(context, monkeypatch):
    def full(task: Task) -> Outcome:
        raise OSError(28, os.strerror(28), str(task.study))

    monkeypatch.setattr(local, "run_one", full)
    with pytest.raises(OSError, match="No space left"):
        list(local.run_locally(tasks(4), workers=2))


def test_one_worker_is_this_process(context):
    assert len(list(local.run_locally([*map(_one_thread, tasks(2))]))) == 2
    assert not context.started


def _one_thread(task: Task) -> Task:
    return Task(task.data, task.study, task.run, threads=1)
