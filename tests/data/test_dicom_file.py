"""Deflated DICOM files are inflated as far as their header declares, and large elements are read when they are used."""

from __future__ import annotations

import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from data.dicom_fixture import make_dicom, write_dicom
from ggcam.data import dicom_file
from ggcam.data.images import image_size, read_image
from ggcam.errors import ImageError

PIXELS = np.arange(40 * 48, dtype=np.uint16).reshape(40, 48)


def write_deflated(path: Path, extra_zeros: int = 0, before: int = 0) -> Path:
    """Write an image whose pixel data are followed by zeros that it does not declare."""
    dataset = make_dicom(PIXELS)
    if before:
        dataset.add_new(0x00091010, "OB", bytes(before))
        dataset.add_new(0x00090010, "LO", "ggcam")
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=False, implicit_vr=False, little_endian=True)
    plain = buffer.getvalue()
    body = plain[plain.index(b"\x08\x00\x16\x00") :]  # from the SOP class on, without preamble and meta information
    at = body.index(b"\xe0\x7f\x10\x00OW")
    body = body[: at + 8] + (PIXELS.nbytes + extra_zeros).to_bytes(4, "little") + PIXELS.tobytes()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    with path.open("wb") as file:
        file.write(b"\0" * 128 + b"DICM")
        write_file_meta_info(file, dataset.file_meta)
        file.write(deflate.compress(body))
        for _ in range(extra_zeros // 2**20):
            file.write(deflate.compress(bytes(2**20)))
        file.write(deflate.flush())
    return path


def test_a_deflated_file_is_read_like_a_plain_one(tmp_path):
    path = write_deflated(tmp_path / "x.dcm")
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, PIXELS)
    assert image_size(path) == (40, 48)
    np.testing.assert_array_equal(read_image(path), read_image(write_dicom(tmp_path / "plain.dcm", PIXELS)))


@pytest.mark.parametrize("function", [read_image, image_size])
def test_a_file_that_inflates_without_end_takes_no_memory(tmp_path, function):
    path = write_deflated(tmp_path / "bomb.dcm", extra_zeros=200 * 2**20)
    assert path.stat().st_size < 2**19
    tracemalloc.start()
    if function is read_image:
        with pytest.raises(ImageError, match=r"contains more than it declares(?s:.*)for 1,920 pixels"):
            read_image(path)
    else:
        assert image_size(path) == (40, 48)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_a_header_may_be_long_but_not_endless(tmp_path, monkeypatch):
    path = write_deflated(tmp_path / "x.dcm", before=3 * 2**20)
    assert image_size(path) == (40, 48)
    assert read_image(path).shape == (40, 48)
    monkeypatch.setattr(dicom_file, "MAX_HEADER_BYTES", 2**20)
    with pytest.raises(ImageError, match=r"header of the deflated DICOM file is too large"):
        image_size(path)


def test_damaged_and_truncated_content_is_refused(tmp_path):
    whole = write_deflated(tmp_path / "x.dcm").read_bytes()
    for length in range(len(whole) - 200, len(whole), 10):
        (tmp_path / "x.dcm").write_bytes(whole[:length])
        with pytest.raises(ImageError):
            read_image(tmp_path / "x.dcm")
    (tmp_path / "x.dcm").write_bytes(whole[:-300] + bytes(range(44)) * 5)
    with pytest.raises(ImageError, match=r"cannot be inflated|truncated"):
        read_image(tmp_path / "x.dcm")


def test_the_size_is_checked_before_the_pixels_are_read(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "x.dcm", np.zeros((2000, 2000), np.uint16))
    monkeypatch.setenv("GGCAM_MAX_MEGAPIXELS", "1")
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"at most 1,000,000 pixels(?s:.*)2000x2000(?s:.*)GGCAM_MAX_MEGAPIXELS"):
        read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**21
