"""The name of the processor."""

from __future__ import annotations

import platform
from pathlib import Path

EXTENSIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Vector instructions that decide how fast a network is."""


def processor_name() -> str:
    """Return the name of the processor and, if the system tells, its vector instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines) if value}
    flags = known.get("flags", "").split()
    return " ".join([known.get("model name", platform.machine()), *(name for name in EXTENSIONS if name in flags)])
