"""Limits of time and memory that a worker process sets on itself before it reads a file from elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MARGIN_S = 5.0
"""The parent ends a worker at the deadline; the worker's own alarm is for the case that the parent has gone."""


@dataclass(frozen=True)
class Limits:
    """What a task may use.

    Attributes:
        seconds: time until the worker is ended.
        memory_bytes: memory that the worker may take beyond what it holds already. Ignored where the system cannot
            limit it (Windows, macOS).
    """

    seconds: float
    memory_bytes: int

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
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, even in the middle of a decoder's loop
        signal.setitimer(signal.ITIMER_REAL, self.seconds + _MARGIN_S)
        wanted = _data_bytes() + self.memory_bytes
        limits = [wanted, *(limit for limit in before if limit != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_DATA, (min(limits), before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)
            signal.setitimer(signal.ITIMER_REAL, 0)


def _data_bytes() -> int:
    """Return the size of this process's data; 0 where the system does not tell."""
    import resource

    try:
        fields = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 0
    return int(fields[5]) * resource.getpagesize()
