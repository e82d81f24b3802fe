"""What a part measures: kept line by line in a file, so that a part that is stopped loses nothing."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

Value = float | str | None


@dataclass(frozen=True)
class Measurement:
    """One row of a part's table.

    Attributes:
        subject: what was measured.
        values: name of a column -> number or text.
    """

    subject: str
    values: dict[str, Value]

    def __str__(self) -> str:
        return f"{self.subject}: " + ", ".join(f"{name} {in_words(value)}" for name, value in self.values.items())


def in_words(value: Value) -> str:
    """Format a value for a table: three digits of a number."""
    if isinstance(value, str) or value is None:
        return value or ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


@dataclass
class Work:
    """What a part is given, and where it puts its measurements.

    Attributes:
        device: "cuda" or "cpu".
        tiny: take sizes that show that the part works, and measure nothing of interest.
        folder: an empty folder of its own.
        rows: file to which a line of JSON is added for each measurement.
        deadline: value of `time.monotonic()` after which nothing new should be begun.
        failures: what went wrong so far; a part with any fails in the end.
    """

    device: str
    tiny: bool
    folder: Path
    rows: Path
    deadline: float
    failures: list[str] = field(default_factory=list)

    def add(self, subject: str, **values: Value) -> None:
        """Keep a measurement and print it."""
        measurement = Measurement(subject, values)
        print(measurement, flush=True)
        with self.rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"subject": subject, **values}) + "\n")

    @contextmanager
    def measuring(self, subject: str) -> Iterator[None]:
        """Let an error inside the block end this measurement alone. Too little memory is a result, not a failure."""
        try:
            yield
        except torch.cuda.OutOfMemoryError:
            self.add(subject, note="out of memory")
        except Exception as error:
            traceback.print_exc()
            self.failures.append(subject)
            self.add(subject, note=f"failed: {type(error).__name__}: {error}"[:200].partition("\n")[0])

    def has_time(self, subject: str, needed_s: float = 0.0) -> bool:
        """Return whether there is time to begin what takes so many seconds; if not, say so in the subject's row."""
        if time.monotonic() + needed_s < self.deadline:
            return True
        self.add(subject, note="left out: no time")
        return False


def read_rows(path: Path) -> list[Measurement]:
    """Read what a part has measured; nothing if it came to nothing. A line cut off by a kill is left out."""
    found: list[Measurement] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            content: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        found.append(Measurement(content.pop("subject"), content))
    return found
