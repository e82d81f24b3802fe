"""Text files of tables and recordings: compression, text encoding and separator, recognised from the content."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import logging
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NoReturn, cast

from ggcam.errors import MissingFileError, TableError
from ggcam.utils.sniff import sniff_wrong_content

MAX_UNPACKED_BYTES = 2**30
"""Largest size of a compressed table after decompression: 1 GiB."""

MAX_COLUMNS = 20_000
"""Maximum number of columns of a table."""

COMPRESSED: dict[bytes, str] = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
"""First bytes -> kind of compression."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BLOCK = 2**20
_SEPARATORS = ",\t;"
_DAMAGED: tuple[type[Exception], ...] = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)
_DECODERS = (*_DAMAGED, OSError)

log = logging.getLogger(__name__)


@contextmanager
def open_unpacked(path: Path, max_bytes: int = MAX_UNPACKED_BYTES) -> Iterator[io.BufferedIOBase]:
    """Open a file and decompress it while reading.

    Args:
        path: the file, plain or compressed by gzip, bzip2 or xz.
        max_bytes: maximum size after decompression. A file that is not compressed may be larger.

    Yields:
        The decompressed content.

    Raises:
        MissingFileError: the file does not exist.
        TableError: the file is not a table, its compressed content is damaged, or it is too large.
    """
    if not path.is_file():
        raise MissingFileError("the table does not exist", where=path)
    if instead := sniff_wrong_content(path, allowed=(*COMPRESSED, *_UTF_16)):
        raise TableError("not a table", where=path, got=instead.what, hint=instead.hint)
    kind = compression(path)
    try:
        if kind is None:
            with path.open("rb") as file:
                yield file
        else:
            opened = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[kind](path, "rb")
            with opened:
                yield io.BufferedReader(_Limited(path, cast(io.BufferedIOBase, opened), max_bytes), _BLOCK)
    except _DECODERS as error:
        raise_unreadable(path, error)


def compression(path: Path) -> str | None:
    """Recognise the compression of a file by its first bytes.

    Args:
        path: the file.

    Returns:
        "gzip", "bzip2" or "xz"; None if the file is not compressed.
    """
    with path.open("rb") as file:
        head = file.read(8)
    return next((kind for magic, kind in COMPRESSED.items() if head.startswith(magic)), None)


class _Limited(io.RawIOBase):
    """A decompressed stream that refuses to grow beyond a limit."""

    def __init__(self, path: Path, source: io.BufferedIOBase, max_bytes: int) -> None:
        self.path, self.source, self.max_bytes, self.n_bytes = path, source, max_bytes, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            content = self.source.read(len(buffer))
        except _DECODERS as error:
            raise_unreadable(self.path, error)
        self.n_bytes += len(content)
        if self.n_bytes > self.max_bytes:
            raise TableError(
                "the compressed file is too large",
                where=self.path,
                expected=f"at most {self.max_bytes / 2**30:g} GiB after decompression",
                hint="if you trust the file, decompress it, or allow more with --max-unpacked-gb (source table)",
            )
        buffer[: len(content)] = content
        return len(content)


def raise_unreadable(path: Path, error: BaseException) -> NoReturn:
    """Raise an error about a file whose content is damaged.

    Args:
        path: the file.
        error: what the decoder reported.

    Raises:
        TableError: always.
    """
    damaged = isinstance(error, _DAMAGED)
    raise TableError(
        "the table cannot be read",
        where=path,
        got=error,
        hint="the compressed content is damaged or cut off: download the file again" if damaged else None,
    ) from error


def text_encoding(path: Path) -> str:
    """Determine the text encoding of a file from its content, and log a warning if it is not Unicode.

    Args:
        path: the file, plain or compressed.

    Returns:
        "utf-8", "utf-16", "cp932" (Shift-JIS), "cp1252" or "latin-1".

    Raises:
        MissingFileError: the file does not exist.
        TableError: the file cannot be read.
    """
    status = path.stat() if path.is_file() else None
    return _text_encoding(path, (status.st_size, status.st_mtime_ns) if status else (0, 0))


@lru_cache(maxsize=4096)
def _text_encoding(path: Path, version: tuple[int, int]) -> str:  # noqa: ARG001  `version` renews the cache
    sample = b""
    with open_unpacked(path) as file:
        start = file.read(4)
        if start.startswith(_UTF_16):
            return "utf-16"
        if len(start) == 4 and start[1] == start[3] == 0 and start[0] and start[2]:
            return "utf-16-le"
        block = carried = b""
        for content in itertools.chain([start], iter(lambda: file.read(_BLOCK), b"")):
            block = carried + content
            if block.isascii():  # which most large tables are; far faster than decoding
                carried = b""
                continue
            try:
                block.decode("utf-8")
                carried = b""
            except UnicodeDecodeError as error:
                if len(block) - error.start < 4 and error.reason == "unexpected end of data":
                    carried = block[error.start :]
                else:
                    sample = block + file.read(_BLOCK)
                    break
        else:
            if not carried:
                return "utf-8"
            sample = block
    encoding = _guess_encoding(sample)
    log.warning("%s is not in UTF-8 and is read as %s; if letters look wrong, save the file in UTF-8", path, encoding)
    return encoding


def _guess_encoding(content: bytes) -> str:
    """Distinguish Shift-JIS from the one-byte encodings of Western Europe.

    Japanese words are runs of wide characters, most of which begin with a byte that Western text hardly uses.
    """
    try:
        text = content[: content.rfind(b"\n") + 1 or None].decode("cp932")
        wide = [char for char in text if ord(char) > 127]
        runs = sum(ord(char) > 127 >= ord(before) for before, char in itertools.pairwise("\n" + text))
        typical = sum(0x81 <= char.encode("cp932")[0] <= 0x9F for char in wide)
        if wide and len(wide) >= 1.5 * runs and typical >= len(wide) / 2:
            return "cp932"
    except UnicodeDecodeError:
        pass
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def read_header(path: Path) -> tuple[list[str], str]:
    """Read the first row of a table.

    Args:
        path: the file, plain or compressed.

    Returns:
        The fields, and the separator: a comma, tab or semicolon, whichever the row has most of.

    Raises:
        MissingFileError: the file does not exist.
        TableError: the file cannot be read, or has more than `MAX_COLUMNS` columns.
    """
    encoding = text_encoding(path)
    with open_unpacked(path) as file:
        first = file.read(_BLOCK).decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    line = first[: first.find("\n") + 1 or None]
    separator = max(_SEPARATORS, key=lambda mark: sum(part.count(mark) for part in line.split('"')[::2]))
    if len(line) >= _BLOCK or line.count(separator) >= MAX_COLUMNS:
        raise TableError(
            "the first row of the table is too long",
            where=path,
            expected=f"at most {MAX_COLUMNS:,} columns",
            got=f"{line.count(separator) + 1:,} columns" + (" or more" if len(line) >= _BLOCK else ""),
        )
    try:
        return next(csv.reader(io.StringIO(first, newline=""), delimiter=separator), []), separator
    except csv.Error as error:
        raise_unreadable(path, error)
