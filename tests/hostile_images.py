"""Image files that crash a decoder, block it, or make it take all memory unless something stops them."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEG2000Lossless, RLELossless

from data.dicom_fixture import make_dicom

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 48)).astype(np.uint8)


def write_hostile_images(folder: Path) -> dict[str, str]:
    """Write one file of each kind, and return file name -> words of the message about it."""
    folder.mkdir(parents=True, exist_ok=True)
    jpeg = bytes(cv2.imencode(".jpg", PIXELS)[1])
    at = jpeg.index(b"\xff\xc0") + 5  # height and width in the frame header
    (folder / "huge.jpg").write_bytes(jpeg[:at] + struct.pack(">HH", 65000, 65000) + jpeg[at + 4 :])
    (folder / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "bomb.png").write_bytes(_png_header(50_000, 50_000))
    (folder / "damaged.tif").write_bytes(_tiff(entries=0xFFFF))
    _write(folder / "box.dcm", JPEG2000Lossless, b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(4) + b"ftypjp2 " + bytes(80))
    # The runs of the first of two segments are longer than the image: the decoder in Rust panics.
    runs = b"\x81\x05" * (PIXELS.size // 128)
    header = struct.pack("<16L", 2, 64, 64 + len(runs) + 2, *[0] * 13)
    _write(folder / "panic.dcm", RLELossless, header + runs + b"\x81\x05" + runs, bits=16)
    return {
        "huge.jpg": "at most 100,000,000 pixels",
        "truncated.jpg": "cannot be decoded",
        "bomb.png": "at most 100,000,000 pixels",
        "damaged.tif": "unknown image format|cannot be decoded",
        "box.dcm": "compressed pixel data are damaged",
        "panic.dcm": "cannot be decoded",
    }


def _write(path: Path, syntax: UID, frame: bytes, bits: int = 8) -> None:
    dataset = make_dicom(PIXELS, bits)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame])
    dataset.save_as(path, enforce_file_format=True)


def _png_header(height: int, width: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))

    header = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )


def _tiff(entries: int | None = None) -> bytes:
    """Return a TIFF file whose directory names itself as the next one, or has a wrong number of entries."""
    file = BytesIO()
    Image.fromarray(PIXELS).save(file, "TIFF")
    content = bytearray(file.getvalue())
    (start,) = struct.unpack_from("<L", content, 4)
    (there,) = struct.unpack_from("<H", content, start)
    struct.pack_into("<L", content, start + 2 + 12 * there, start)
    struct.pack_into("<H", content, start, there if entries is None else entries)
    return bytes(content)


def write_looping_tiff(path: Path) -> Path:
    """Write an image whose list of directories never ends; the first one is sound."""
    path.write_bytes(_tiff())
    return path
