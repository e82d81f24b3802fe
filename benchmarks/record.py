"""Results of benchmarks as a JSON file, with a description of the machine."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.side_by_side import Result
from ggcam.utils.parallel import cpu_count
from ggcam.utils.processor import processor_name


@dataclass
class Record:
    """Results of benchmarks on one machine.

    Attributes:
        machine: name of a property -> its value.
        results: (name of the benchmark, result), in order.
    """

    machine: dict[str, str]
    results: list[tuple[str, Result]] = field(default_factory=list)

    @classmethod
    def for_this_machine(cls) -> Record:
        """Return an empty record for this machine."""
        return cls(machine())

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a file written by :meth:`write`."""
        content = json.loads(path.read_text(encoding="utf-8"))
        results = [(entry.pop("benchmark"), Result(**entry)) for entry in content["results"]]
        return cls(content["machine"], results)

    def add(self, benchmark: str, result: Result) -> None:
        """Add a result."""
        self.results.append((benchmark, result))

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        results = [{"benchmark": benchmark, **asdict(result)} for benchmark, result in self.results]
        content = {"machine": self.machine, "results": results}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, str]:
    """Describe everything about this machine that affects a time."""
    described = {
        "processor": f"{processor_name()}, {cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "OpenCV, NumPy": f"{cv2.__version__}, {np.__version__}",
    }
    if torch.cuda.is_available():
        described["GPU"] = f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return described
