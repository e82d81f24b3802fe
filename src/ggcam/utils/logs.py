"""Log records: brought from worker processes with the name of the file, and printed once with a count."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class _Record(NamedTuple):
    logger: str
    level: int
    template: str
    values: tuple[object, ...]


class LogRecords(list[_Record]):
    """Records of one task, in a form that can be sent to another process."""

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Collect the records of this process, warnings and above, while the context lasts."""
        handler = _Collector(self)
        logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)

    def emit(self, where: object = None) -> None:
        """Log the records in this process.

        Args:
            where: the file that the task was about. Put in front of the messages of other packages, which do not name
                it. Default: the messages stay as they are.
        """
        for name, level, template, values in self:
            logger = logging.getLogger(name)
            if where is None or name.partition(".")[0] == "ggcam":
                logger.log(level, template, *values)
            else:
                logger.log(level, "%s: " + (template if values else template.replace("%", "%%")), where, *values)


class _Collector(logging.Handler):
    def __init__(self, records: LogRecords):
        super().__init__(logging.WARNING)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.args, tuple):
            values = tuple(value if isinstance(value, (int, float)) else str(value) for value in record.args)
            self._records.append(_Record(record.name, record.levelno, str(record.msg), values))
        else:
            self._records.append(_Record(record.name, record.levelno, record.getMessage(), ()))


@contextmanager
def repeated_warnings_counted() -> Iterator[None]:
    """Print the first of the same warnings about several files and, when the context ends, how many more there were.

    A warning about a file has a format that starts with `%s: `, for the file. Two are the same if their formats are.
    """
    counter = _RepeatCounter()
    handlers = list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(counter)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(counter)
        for line in counter.summary():
            logging.getLogger(__name__).warning("%s", line)


class _RepeatCounter(logging.Filter):
    """Passes the first record with each format."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], str] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to print a record: it is the first of its kind, or not about a file."""
        if not str(record.msg).startswith("%s: "):
            return True
        known = getattr(record, "_ggcam_is_first", None)
        if known is None:  # not yet seen by another handler
            kind = (record.name, str(record.msg))
            self._counts[kind] += 1
            self._first.setdefault(kind, record.getMessage())
            known = record._ggcam_is_first = self._counts[kind] == 1
        return known

    def summary(self) -> list[str]:
        """Return a line for each kind of which there were more."""
        return [
            f"{count - 1:,} more like this: {self._first[kind]}" for kind, count in self._counts.items() if count > 1
        ]
