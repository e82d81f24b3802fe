"""Freed memory is used again without asking the system for pages."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told")

MEASURE = """
import resource
from ggcam.utils.freed_memory import all_freed_memory_kept, keep_freed_memory
def faults(mib):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        arrays = [b"x" * (mib * 2**20) for _ in range(4)]  # NumPy would ask for huge pages
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 2**20
"""
PAGES_OF_A_MIB = 2**20 // resource.getpagesize()


def measured(code: str) -> list[int]:
    run = subprocess.run([sys.executable, "-c", MEASURE + code], check=True, capture_output=True, text=True)
    return [int(word) for word in run.stdout.split()]


def test_freed_memory_is_kept():
    (kept,), (returned,) = (
        measured(f"{call}\nfaults(8); print(faults(8))") for call in ("assert keep_freed_memory()", "")
    )
    assert kept < 10 * 4 * 8 * PAGES_OF_A_MIB / 100 < returned


@pytest.mark.parametrize("before", ["", "keep_freed_memory()\n"])
def test_within_a_block_memory_of_any_size_is_kept_and_at_its_end_it_is_returned(before):
    inside, resident, afterwards, returned = measured(f"""
{before}with all_freed_memory_kept():
    faults(64)
    print(faults(64), resident_mib())
print(resident_mib(), faults(64))
""")
    pages = 10 * 4 * 64 * PAGES_OF_A_MIB
    assert inside < pages / 100
    assert returned > 0.9 * pages
    assert resident - afterwards > 200


@pytest.mark.parametrize("before", ["", "keep_freed_memory()\n"])
def test_after_the_block_smaller_arrays_are_kept_as_before(before):
    (kept,) = measured(f"""
{before}with all_freed_memory_kept():
    faults(8)
faults(8)
print(faults(8))
""")
    assert kept < 10 * 4 * 8 * PAGES_OF_A_MIB / 100
