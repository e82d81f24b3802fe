"""The results of all parts as Markdown tables and as JSON, with the machine that gave them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from benchmarks import record
from benchmarks.gpu.measurements import in_words
from benchmarks.gpu.parts import Outcome
from ggcam.utils.versions import versions


def machine() -> dict[str, str]:
    """Describe the machine and the versions that a result depends on."""
    described = record.machine()
    packages = versions("torchvision", "timm", "lightning")
    described["versions"] = ", ".join(f"{name} {version}" for name, version in packages.items())
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        described["GPU 0"] = (
            f"{device.name}, {device.total_memory / 2**30:.0f} GiB, compute capability {device.major}.{device.minor}"
        )
        described["CUDA, cuDNN, driver"] = f"{torch.version.cuda}, {torch.backends.cudnn.version()}, {_driver()}"
    return described


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def write_json(path: Path, machine: dict[str, str], outcomes: Iterable[Outcome]) -> None:
    """Write everything to a file."""
    content = {"machine": machine, "parts": [outcome.to_dict() for outcome in outcomes]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def tables(machine: dict[str, str], outcomes: Sequence[Outcome]) -> str:
    """Return the machine in a line, a table for each part, and one of all parts."""
    blocks = ["; ".join(f"{name}: {value}" for name, value in machine.items()) + "."]
    for outcome in outcomes:
        if outcome.measurements:
            values = [row.values.items() for row in outcome.measurements]
            names = list(dict.fromkeys(name for items in values for name, value in items if value is not None))
            rows = [[row.subject, *(in_words(row.values.get(name)) for name in names)] for row in outcome.measurements]
            blocks.append(f"{outcome.part.title}\n\n{_table([outcome.part.name, *names], rows)}")
    summary = [[o.part.name, o.status, f"{o.seconds:.0f} s", f"{o.part.limit_s:.0f} s"] for o in outcomes]
    blocks.append(_table(["part", "outcome", "took", "limit"], summary))
    return "\n\n".join(blocks)


def _table(header: list[str], rows: list[list[str]]) -> str:
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in cells]
    return "\n".join([lines[0], f"| {' | '.join('-' * max(3, width) for width in widths)} |", *lines[1:]])
