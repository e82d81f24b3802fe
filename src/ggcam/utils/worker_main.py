"""A worker process: takes tasks from its standard input, and answers each on its standard output.

Started by :mod:`ggcam.utils.worker_process` with a fresh interpreter, so it neither inherits the locks of its parent's
threads nor imports the parent's script.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import IO, Literal, NamedTuple

from ggcam.utils.freed_memory import keep_freed_memory
from ggcam.utils.limits import Limits
from ggcam.utils.logs import LogRecords
from ggcam.utils.worker_messages import Message, receive, send

STARTED = "started"
"""Sent when a task has been unpickled and its modules imported; the time of its limit starts then."""


class Answer(NamedTuple):
    """The answer to a task.

    Attributes:
        kind: whether the function returned, raised an exception, or crashed without one that can be handled.
        content: the returned value or the exception; None after a crash.
        records: what was logged meanwhile.
    """

    kind: Literal["returned", "raised", "crashed"]
    content: object
    records: LogRecords


def main() -> None:
    """Answer tasks until the parent closes the pipe or ends."""
    tasks, answers = _take_over_pipes()
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is left to the parent
    keep_freed_memory()
    import cv2

    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    warnings.showwarning = _log_warning
    waiting: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks, waiting), daemon=True).start()
    while True:
        answer = _answer(waiting.get(), answers)
        try:
            send(answers, answer)
        except OSError:  # the parent has ended
            return
        except Exception as error:  # a value or an exception that cannot be pickled
            send(answers, Answer("raised", RuntimeError(f"{error}: {answer.content!r}"), answer.records))


def import_modules(names: Sequence[str]) -> None:
    """Import modules, so that a later task does not wait for it.

    Args:
        names: full names of the modules.
    """
    for name in names:
        import_module(name)


def _answer(message: Message, answers: IO[bytes]) -> Answer:
    records = LogRecords()
    with records.collected():
        try:
            work, task, limits, folder = message.load()  # pyright: ignore[reportGeneralTypeIssues]
            _enter(folder)
            send(answers, STARTED)
            return Answer("returned", _call(work, task, limits), records)
        except Exception as error:
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
            return Answer("raised", error.with_traceback(None), records)
        except BaseException:  # a panic of a decoder written in Rust is no Exception
            return Answer("crashed", None, records)


def _enter(folder: str) -> None:
    """Change to the parent's current folder; a folder that was removed and created again is another one."""
    with suppress(OSError):
        os.chdir(folder)


def _call(work, task: object, limits: Limits | None) -> object:
    if limits is None:
        return work(task)
    with limits.enforced():
        return work(task)


def _take_over_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Return the two pipes, and let whatever else reads or prints in this process use the null device."""
    tasks, answers = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return os.fdopen(tasks, "rb"), os.fdopen(answers, "wb")


def _receive(tasks: IO[bytes], waiting: queue.SimpleQueue[Message]) -> None:
    """Hand on messages, and end the process at once when the parent has ended."""
    while True:
        try:
            waiting.put(receive(tasks))
        except (EOFError, OSError):
            os._exit(1)


def _log_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    del category
    logging.getLogger("py.warnings").warning(str(message))


if __name__ == "__main__":
    sys.exit(main())
