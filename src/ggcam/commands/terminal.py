"""What commands show while they work and when they are done: progress and tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ggcam.utils.printable import printable

FIRST_LINE_S = 2.0
"""A command that takes less time than this prints no lines of progress."""

LONGEST_SILENCE_S = 30.0
"""A line of progress is printed at least this often, if a unit of work is finished."""


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output, each row as long as the head."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*map(printable, head))
    for row in rows:
        table.add_row(*map(printable, row))
    Console(markup=False).print(table)  # an id may contain brackets


@contextmanager
def show_progress(what: str, unit: str, lines: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show progress on standard error: a bar on a terminal, lines of text elsewhere.

    Args:
        what: the activity, such as "preparing".
        unit: what is counted, in the plural, such as "cases".
        lines: whether to print lines where there is no terminal; a command that prints its own passes False.

    Yields:
        A function to call with the number of finished units and the number of all units.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressLines(what, unit, lambda line: console.print(line, soft_wrap=True)) if lines else _ignore
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _ignore(_done: int, _total: int) -> None:
    pass


class ProgressLines:
    """Progress as lines of text: one per tenth of the work, and one after each 30 seconds.

    Args:
        what: the activity, such as "preparing".
        unit: what is counted, in the plural.
        write: called with each line.
        clock: returns the time in seconds.
    """

    def __init__(
        self, what: str, unit: str, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._unit, self._write, self._clock = what, unit, write, clock
        self._started = self._last_time = clock()
        self._last_tenth = 0
        self._done_before: int | None = None  # an interrupted command continues with some units finished

    def __call__(self, done: int, total: int) -> None:
        """Print a line if one is due.

        Args:
            done: number of finished units.
            total: number of all units.
        """
        now = self._clock()
        if self._done_before is None:
            self._done_before = done
        tenth = 10 * done // max(total, 1)
        due = tenth > self._last_tenth or now - self._last_time >= LONGEST_SILENCE_S
        if not due or now - self._started < FIRST_LINE_S:
            return
        self._last_tenth, self._last_time = tenth, now
        self._write(
            f"{self._what}: {done:,} of {total:,} {self._unit} ({done / max(total, 1):.0%}), "
            f"{duration(now - self._started)}"
            f"{time_left(now - self._started, done - self._done_before, total - self._done_before)}"
        )


def time_left(elapsed_s: float, done: int, total: int) -> str:
    """Return ", about 3 min left", estimated from the mean time per unit; nothing when all units are finished.

    Args:
        elapsed_s: seconds since the first unit was started.
        done: number of finished units.
        total: number of all units.
    """
    if not 0 < done < total:
        return ""
    return f", about {duration(elapsed_s / done * (total - done))} left"


def duration(seconds: float) -> str:
    """Return a time span in words, such as "41 s", "3 min 20 s" or "2 h 5 min".

    Args:
        seconds: length of the span.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
