"""Limits of time and memory that a worker process sets on itself before it reads a file from elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_WAITING = 6
"""A task may last this many times its processor time, waiting for a busy machine or a slow disk."""

_MARGIN_S = 5.0
"""The parent ends a worker at the deadline; the worker's own alarm is for the case that the parent has gone."""


TIME_SIGNALS = tuple(getattr(signal, name) for name in ("SIGPROF", "SIGALRM") if hasattr(signal, name))
"""Signals that end a worker whose time is over."""


@dataclass(frozen=True)
class Limits:
    """What a task may use.

    Attributes:
        seconds: processor time after which the worker is ended. Where the system cannot limit it (Windows), only the
            deadline counts.
        memory_bytes: memory that the worker may take beyond what it holds already. Ignored where the system cannot
            limit it (Windows, macOS).
    """

    seconds: float
    memory_bytes: int

    @property
    def deadline_s(self) -> float:
        """Time after which the worker is ended, whatever it waits for."""
        return _WAITING * self.seconds

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Set the limits on this process while the context lasts; called in the main thread of a worker."""
        try:
            import resource
        except ImportError:  # Windows
            yield
            return
        # RLIMIT_DATA counts all memory that is taken, but not the code of libraries: torch alone maps 3 GB of it,
        # which RLIMIT_AS would count.
        before = resource.getrlimit(resource.RLIMIT_DATA)
        for alarm in TIME_SIGNALS:  # they end the process, even in the middle of a decoder's loop
            signal.signal(alarm, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, self.seconds)
        signal.setitimer(signal.ITIMER_REAL, self.deadline_s + _MARGIN_S)
        wanted = _data_bytes() + self.memory_bytes
        limits = [wanted, *(limit for limit in before if limit != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_DATA, (min(limits), before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)
            for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
                signal.setitimer(timer, 0)


def _data_bytes() -> int:
    """Return the size of this process's data; 0 where the system does not tell."""
    import resource

    try:
        fields = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 0
    return int(fields[5]) * resource.getpagesize()
