"""Call functions in worker processes, which may crash, hang or take too much memory without harm to the caller.

Workers are started with a fresh interpreter, not forked (a fork inherits the locks of threads that do not exist in it)
and not spawned by multiprocessing (which imports the user's script again). They are kept for later calls.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Literal, TypeVar

from ggcam.utils.limits import TIME_SIGNALS, Limits
from ggcam.utils.worker_main import STARTED, Answer, import_modules
from ggcam.utils.worker_messages import receive, send

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

START_S = 120.0
"""Time in which a worker must have started and imported the function's module."""

MAX_IDLE = 8
"""Number of workers kept for later calls."""


class WorkerError(Exception):
    """A worker process did not answer.

    Attributes:
        reason: "not started", "overran" (the processor time), "waited" (until the deadline), "crashed", or "killed" by
            the system or the user.
        detail: the signal or exit code, in words.
    """

    def __init__(self, reason: Literal["not started", "overran", "waited", "crashed", "killed"], detail: str = ""):
        super().__init__(f"the worker process {reason}: {detail}")
        self.reason = reason
        self.detail = detail


def call_in_worker(
    work: Callable[[Task], Outcome], task: Task, limits: Limits | None = None, label: object = None
) -> Outcome:
    """Call a function in a worker process and wait for its outcome; several threads may do so at a time.

    Args:
        work: the function; importable by other processes, so no lambda, nested function, or function of a script.
        task: its argument.
        limits: time and memory that it may use; None for no limits.
        label: what the task is about, such as a file; named in forwarded warnings of other packages.

    Returns:
        The outcome.

    Raises:
        WorkerError: the worker could not start, overran its time, crashed, or was killed twice: once may be bad luck
            on a machine that is short of memory.
        Exception: any exception that `work` raises.
    """
    try:
        return _call_once(work, task, limits, label)
    except WorkerError as error:
        if error.reason != "killed":
            raise
        return _call_once(work, task, limits, label)


def start_workers(count: int, *modules: str) -> None:
    """Start workers in the background, so that a later call does not wait for them.

    Args:
        count: number of workers that are wanted, idle ones included.
        modules: what the workers import meanwhile.
    """
    for _ in range(min(count, MAX_IDLE) - len(_idle)):
        worker = _Worker()
        worker.prepare(modules)
        _idle.put(worker)


def _call_once(work: Callable[[Task], Outcome], task: Task, limits: Limits | None, label: object) -> Outcome:
    worker = _idle.take()
    if worker is not None and worker.environment != _environment():
        worker.kill()
        worker = None
    worker = worker or _Worker()
    try:
        answer = worker.call(work, task, limits)
    except BaseException:  # KeyboardInterrupt, too: its answer would be taken for that of the next task
        worker.kill()
        raise
    answer.records.emit(label)
    if answer.kind == "crashed":
        worker.kill()
        raise WorkerError("crashed", "a panic of the decoder")
    _idle.put(worker)
    if answer.kind == "raised":
        assert isinstance(answer.content, BaseException)
        raise answer.content
    return answer.content  # pyright: ignore[reportReturnType]


class _Worker:
    """A worker process and the pipes to it."""

    def __init__(self) -> None:
        self.environment = _environment()
        paths = [path for path in sys.path if path]  # "" is the current folder, whose files must not run
        code = "import sys; sys.path[:] = sys.argv[1:]; from ggcam.utils.worker_main import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries in C write there, without the name of the file
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._tasks: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout
        self._unread = 0  # answers to `prepare`
        self._answered = False
        self._past_deadline = False

    def prepare(self, modules: Sequence[str]) -> None:
        """Let the worker import modules; does not wait for it."""
        with suppress(BrokenPipeError):  # reported by the first call
            send(self._tasks, (import_modules, modules, None, ""))
            self._unread += 1

    def call(self, work: Callable[[Task], Outcome], task: Task, limits: Limits | None) -> Answer:
        """Return the answer to a task."""
        started = False
        try:
            send(self._tasks, (work, task, limits, _current_folder()))
            while self._unread:
                self._unread -= isinstance(self._receive(START_S), Answer)
            first = self._receive(START_S)
            if first == STARTED:
                started = True
                first = self._receive(limits.deadline_s if limits else None)
        except (EOFError, BrokenPipeError):
            raise self._error(started) from None
        self._answered = True
        assert isinstance(first, Answer)  # without STARTED, the task could not be unpickled
        return first

    def kill(self) -> None:
        """End the process and close the pipes."""
        self._process.kill()
        self._process.wait()
        self._close_pipes()

    def abandon(self) -> None:
        """Forget the process, which belongs to the parent of this one."""
        self._process.returncode = 0
        self._close_pipes()

    def _close_pipes(self) -> None:
        with suppress(BrokenPipeError):
            self._tasks.close()
        self._answers.close()

    def _receive(self, seconds: float | None) -> object:
        """Receive an object within a time, after which the process is killed and EOFError raised."""
        if seconds is None:
            return receive(self._answers).load()
        timer = threading.Timer(seconds, self._overrun)
        timer.daemon = True
        timer.start()
        try:
            return receive(self._answers).load()
        finally:
            timer.cancel()

    def _overrun(self) -> None:
        self._past_deadline = True
        self._process.kill()

    def _error(self, started: bool) -> WorkerError:
        code = self._process.wait()
        if not started and not self._answered:
            return WorkerError("not started", _in_words(code))
        if self._past_deadline or -code in TIME_SIGNALS:
            return WorkerError("waited" if self._past_deadline else "overran", _in_words(code))
        by_system = code in (-signal.SIGTERM, -getattr(signal, "SIGKILL", signal.SIGTERM))
        return WorkerError("killed" if by_system or not started else "crashed", _in_words(code))


def _environment() -> dict[str, str]:
    """Return the variables that set limits; a worker keeps those with which it was started."""
    return {name: value for name, value in os.environ.items() if name.startswith("GGCAM_")}


def _current_folder() -> str:
    """Return the folder that relative paths of a task refer to; "" if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


class _IdleWorkers:
    """The workers that wait for a task."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []

    def __len__(self) -> int:
        return len(self._workers)

    def take(self) -> _Worker | None:
        """Return a worker that is no longer idle; None if there is none."""
        with self._lock:
            return self._workers.pop() if self._workers else None

    def put(self, worker: _Worker) -> None:
        """Keep a worker for a later call, or end it if there are enough."""
        with self._lock:
            if len(self._workers) < MAX_IDLE:
                self._workers.append(worker)
                return
        worker.kill()

    def end(self) -> None:
        """End all idle workers."""
        while worker := self.take():
            worker.kill()

    def abandon(self) -> None:
        """Forget all workers in a process that was forked: they belong to its parent."""
        self._lock = threading.Lock()  # another thread may have held it at the fork
        while worker := self.take():
            worker.abandon()


_idle = _IdleWorkers()
atexit.register(_idle.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.abandon)
