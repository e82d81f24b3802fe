"""Files that are something else than their name says, as downloads and spreadsheets leave them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class WrongContent(NamedTuple):
    """What a file is instead, and what to do about it."""

    what: str
    hint: str


_WEB_PAGE = WrongContent("a web page", "download the file again, signed in where the site asks for it")
_UTF_16 = WrongContent("text in UTF-16", "save it as CSV in UTF-8")
_BY_START: tuple[tuple[bytes, WrongContent], ...] = (
    (
        b"version https://git-lfs",
        WrongContent("a pointer of Git LFS to a file that was not fetched", "fetch it: git lfs pull"),
    ),
    (b"<!doctype html", _WEB_PAGE),
    (b"<html", _WEB_PAGE),
    (
        b"pk\x03\x04",
        WrongContent("a ZIP archive or a spreadsheet", "unpack it; or export the spreadsheet as CSV (UTF-8)"),
    ),
    (b"\xff\xfe", _UTF_16),
    (b"\xfe\xff", _UTF_16),
    (b"\x1f\x8b", WrongContent("a gzip archive", "let its name end in .gz, or unpack it with gunzip")),
)


def sniff_mistake(path: Path, admitted: bytes = b"") -> WrongContent | None:
    """Tell by the first bytes; None for a file that is none of these.

    Args:
        path: a file that is there.
        admitted: first bytes that are as they should be.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if admitted and head.startswith(admitted):
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((kind for begin, kind in _BY_START if start.startswith(begin)), None)
