"""Arrays are read from an archive, or it is refused before memory is allocated."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ggcam.errors import MissingFileError, RunFolderError
from ggcam.utils.npz import read_npz

ARRAYS = {"case_id": ("U", 1), "cam": ("f", 3)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.savez_compressed(tmp_path / "a.npz", case_id=np.array(["a", "b"]), cam=np.zeros((2, 3, 4), np.float16))
    return tmp_path / "a.npz"


def test_arrays_are_read_back(path: Path):
    found = read_npz(path, {**ARRAYS, "more": ("i", 0)}, optional=("more",))
    assert found["case_id"].tolist() == ["a", "b"]
    assert (found["cam"].dtype, found["cam"].shape) == (np.float16, (2, 3, 4))
    assert set(found) == {"case_id", "cam"}


def test_other_arrays_are_refused(path: Path):
    for arrays, message in (
        ({"cams": ("f", 3)}, r"an array is missing(.|\n)*cams"),
        ({"cam": ("f", 4)}, r"the array cam has another type or shape(.|\n)*shape \(2, 3, 4\)"),
        ({"cam": ("i", 3)}, "the array cam has another type or shape"),
    ):
        with pytest.raises(RunFolderError, match=message):
            read_npz(path, arrays, RunFolderError)
    with pytest.raises(MissingFileError):
        read_npz(path.with_name("nothing.npz"), ARRAYS)


def test_a_damaged_archive_is_refused_at_every_length_and_with_every_flipped_byte(path: Path):
    content = path.read_bytes()
    refused = 0
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(RunFolderError):
            read_npz(path, ARRAYS, RunFolderError)
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 0xFF
        path.write_bytes(flipped)
        try:
            read_npz(path, ARRAYS, RunFolderError)
        except RunFolderError:
            refused += 1
    assert refused > len(content) / 2  # the others are in dates and names that nothing depends on


def test_pickled_objects_are_refused(path: Path):
    np.savez(path, case_id=np.array([{}], dtype=object), cam=np.zeros((1, 1, 1)))
    with pytest.raises(RunFolderError, match=r"case_id has another type"):
        read_npz(path, ARRAYS, RunFolderError)


def test_an_array_that_is_large_only_when_unpacked_is_refused_without_allocating_it(path: Path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f2", "fortran_order": False, "shape": (2, 2**15, 2**15)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cam.npy", header.getvalue() + bytes(2**20))
    tracemalloc.start()
    with pytest.raises(RunFolderError, match=r"the array cam is too large(.|\n)*got: 4.0 GiB from 0.0 MiB"):
        read_npz(path, {"cam": ("f", 3)}, RunFolderError)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize("header", ["{'descr': '<f2', 'shape': (2,", "{'shape': (2, 3]}", "\0" * 60])
def test_a_header_that_is_no_python_literal_is_refused(tmp_path: Path, header: str):
    content = b"\x93NUMPY\x01\x00" + (64).to_bytes(2, "little") + header.encode().ljust(63) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("cam.npy", content)
    with pytest.raises(RunFolderError, match="the file is damaged"):
        read_npz(tmp_path / "a.npz", {"cam": ("f", 4)}, RunFolderError)
