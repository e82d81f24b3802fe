"""Freed memory is used again without asking the system for pages."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

ARRAYS = """
import resource
import numpy as np
from ggcam.utils.freed_memory import keep_freed_memory
{}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        arrays = [np.ones(2**22, np.uint8) for _ in range(8)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""
PAGES = 10 * 8 * 2**22 // resource.getpagesize()


@pytest.mark.skipif(sys.platform != "linux", reason="the GNU C library is Linux's")
def test_freed_memory_is_kept():
    kept, returned = (
        int(subprocess.run([sys.executable, "-c", ARRAYS.format(call)], check=True, capture_output=True).stdout)
        for call in ("assert keep_freed_memory()", "")
    )
    assert kept < PAGES / 100 < returned
