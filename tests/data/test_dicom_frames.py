"""Compressed pixel data whose own header is damaged, or contradicts that of the file, never reach a decoder."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from data.dicom_fixture import make_dicom
from ggcam.data.dicom_frames import _DamagedError, jpeg_2000_size, jpeg_size
from ggcam.data.images import read_image
from ggcam.errors import ImageError

PIXELS = np.arange(40 * 48, dtype=np.uint16).reshape(40, 48)


def box(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    return struct.pack(">L", 8 + len(content) if length is None else length) + kind + content


def codestream() -> bytes:
    return bytes(cv2.imencode(".jp2", PIXELS)[1]).partition(b"jp2c")[2]


SIGNATURE = box(b"jP  ", b"\r\n\x87\n")


def test_the_size_of_a_jpeg_is_that_of_its_frame_header():
    content = bytes(cv2.imencode(".jpg", PIXELS.astype(np.uint8))[1])
    assert jpeg_size(content) == (40, 48)
    assert jpeg_size(content[:2] + b"\xff" * 3 + content[2:]) == (40, 48)  # fill bytes before a marker


def test_the_size_of_a_jpeg_2000_is_found_with_and_without_boxes():
    boxed = SIGNATURE + box(b"ftyp", b"jp2 ") + box(b"jp2c", codestream(), length=0)
    assert jpeg_2000_size(codestream()) == jpeg_2000_size(boxed) == (40, 48)


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_box_that_does_not_advance_is_damaged(length):
    with pytest.raises(_DamagedError):
        jpeg_2000_size(SIGNATURE + box(b"ftyp", b"jp2 ", length) + box(b"jp2c", codestream()))


def write(path, syntax, frame: bytes, **attributes) -> None:
    dataset = make_dicom(PIXELS, **attributes)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(
    ("syntax", "frame", "message"),
    [
        (JPEG2000Lossless, SIGNATURE + box(b"ftyp", b"jp2 ", 0) + box(b"jp2c", codestream()), "are damaged"),
        (JPEG2000Lossless, codestream()[:20], "are damaged"),
        (JPEG2000Lossless, codestream().replace(b"\0\0\0\x30\0\0\0\x28", b"\0\0\1\x30\0\0\0\x28"), "another size"),
        (JPEGBaseline8Bit, b"\xff\xd8\xff\xd9", "are damaged"),
        (JPEGBaseline8Bit, b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00", "another size"),
        (RLELossless, struct.pack("<16L", 2, 64, 10, *[0] * 13) + bytes(100), "are damaged"),
        (RLELossless, struct.pack("<16L", 2, 64, 4096, *[0] * 13) + bytes(100), "are damaged"),
        (RLELossless, struct.pack("<16L", 40, *[64] * 15) + bytes(100), "are damaged"),
        (RLELossless, b"\2\0\0\0", "are damaged"),
    ],
)
def test_a_contradiction_is_refused_in_words(tmp_path, syntax, frame, message):
    write(tmp_path / "x.dcm", syntax, frame)
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / "x.dcm")


def test_a_decoder_that_fails_logs_no_traceback(tmp_path, caplog):
    write(tmp_path / "x.dcm", JPEG2000Lossless, codestream()[:60])
    with pytest.raises(ImageError, match="cannot be decoded"):
        read_image(tmp_path / "x.dcm")
    assert not caplog.records
