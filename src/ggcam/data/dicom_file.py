"""DICOM file -> pydicom's data set; a deflated file is inflated no further than its header declares."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from ggcam.data.image_limits import check_size
from ggcam.errors import ImageError

_CHUNK = 2**16
_FIRST_HEADER_BYTES, MAX_HEADER_BYTES = 2**20, 2**26
"""Inflated bytes in which the pixel data are looked for: first 1 MiB, at most 64 MiB."""

_AFTER_PIXELS = 2**20
"""Bytes that may follow the pixel data."""

_DEFERRED = 2**20
"""Elements of more bytes than this are read when they are used."""

_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_BYTES_PER_PIXEL = 8
"""Maximum: 16 bits of three channels, with a margin."""


def read_dicom_header(path: Path, tags: Sequence[str] | None = None) -> Dataset:
    """Read a DICOM file up to its pixel data.

    Args:
        path: the file, with or without preamble.
        tags: keywords of the attributes to read; None for all.

    Returns:
        The data set without pixels.

    Raises:
        ImageError: a deflated file is damaged, or its header is larger than `MAX_HEADER_BYTES`.
        Exception: the file is damaged; pydicom does not document what it raises.
    """
    with path.open("rb") as file:
        inflated = _start_inflating(file, path)
        if inflated is not None:
            return inflated.header()
    return pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(tags) if tags else None)


def read_dicom_file(path: Path) -> Dataset:
    """Read a whole DICOM file, after its size in pixels has been checked.

    Args:
        path: the file, with or without preamble.

    Returns:
        The data set; its pixels are not decoded.

    Raises:
        ImageError: the image has an unsupported size; or a deflated file is damaged, or has more content than it
            declares.
        Exception: the file is damaged; pydicom does not document what it raises.
    """
    with path.open("rb") as file:
        inflated = _start_inflating(file, path)
        if inflated is not None:
            return inflated.whole()
    dataset = pydicom.dcmread(path, force=True, defer_size=_DEFERRED)  # large elements are not read yet
    _check_declared_size(dataset, path)
    return dataset


def _check_declared_size(header: Dataset, path: Path) -> int:
    """Check Rows and Columns if there are any, and return the number of pixels."""
    if "Rows" not in header or "Columns" not in header:
        return 0
    rows, columns = (header[name].value for name in ("Rows", "Columns"))
    if not isinstance(rows, int) or not isinstance(columns, int):  # reported where the attributes are checked
        return 0
    height, width = check_size(rows, columns, path)
    return height * width


def _start_inflating(file: BinaryIO, path: Path) -> _Deflated | None:
    """Return the deflated part of a file; None if it is not deflated."""
    start = file.read(_CHUNK)
    if DeflatedExplicitVRLittleEndian.encode() not in start:
        return None
    file.seek(0)
    preamble = read_preamble(file, force=True)
    meta = FileMetaDataset(read_dataset(file, False, True, stop_when=_after_meta))
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return None
    return _Deflated(file, path, preamble, meta)


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag == 0x7FE00010


class _Deflated:
    """A file whose data set is deflated (PS3.5 A.5), opened behind its meta information."""

    def __init__(self, file: BinaryIO, path: Path, preamble: bytes | None, meta: FileMetaDataset):
        self._file, self._path = file, path
        self._preamble, self._meta = preamble, meta
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._content = bytearray()

    def header(self) -> FileDataset:
        """Return what precedes the pixel data."""
        limit = _FIRST_HEADER_BYTES
        while True:
            self._inflate(limit)
            header, end = self._parse(stop=True)
            if self._content[end : end + 4] == _PIXEL_DATA or len(self._content) < limit:
                return header
            if limit >= MAX_HEADER_BYTES:
                raise ImageError(
                    "the header of the deflated DICOM file is too large",
                    where=self._path,
                    expected=f"at most {MAX_HEADER_BYTES:,} bytes before the pixel data",
                )
            limit *= 8

    def whole(self) -> FileDataset:
        """Return the whole data set."""
        pixels = _check_declared_size(self.header(), self._path)
        limit = len(self._content) + _BYTES_PER_PIXEL * pixels + _AFTER_PIXELS
        self._inflate(limit)
        if len(self._content) >= limit:
            raise ImageError(
                "the deflated DICOM file contains more than it declares",
                where=self._path,
                expected=f"at most {limit:,} bytes for {pixels:,} pixels",
                got="more",
            )
        return self._parse(stop=False)[0]

    def _inflate(self, limit: int) -> None:
        """Inflate up to a total number of bytes."""
        try:
            while len(self._content) < limit and not self._inflater.eof:
                chunk = self._inflater.unconsumed_tail or self._file.read(_CHUNK)
                if not chunk:
                    break  # truncated: what is missing is reported by its reader
                self._content += self._inflater.decompress(chunk, limit - len(self._content))
        except zlib.error:
            raise ImageError("the DICOM file is damaged: its content cannot be inflated", where=self._path) from None

    def _parse(self, stop: bool) -> tuple[FileDataset, int]:
        """Return the data set in the inflated content, and the position at which reading stopped."""
        buffer = BytesIO(self._content)
        parsed = read_dataset(buffer, False, True, stop_when=_at_pixels if stop else None)
        found = FileDataset(self._path, parsed, self._preamble, self._meta, False, True)
        return found, buffer.tell()
