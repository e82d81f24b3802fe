"""Recognise files whose content does not match their name, as downloads and spreadsheets produce them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class WrongContent(NamedTuple):
    """The real content of a file, and how to fix it.

    Attributes:
        what: noun phrase that names the content, such as "a web page".
        hint: how to fix it, in the imperative.
    """

    what: str
    hint: str


_WEB_PAGE = WrongContent("a web page", "download the file again, and sign in if the site requires it")
_UTF_16 = WrongContent("text in UTF-16", "save it as CSV in UTF-8")
_SIGNATURES: tuple[tuple[bytes, WrongContent], ...] = (
    (
        b"version https://git-lfs",
        WrongContent("a Git LFS pointer to a file that was not fetched", "fetch it: git lfs pull"),
    ),
    (b"<!doctype html", _WEB_PAGE),
    (b"<html", _WEB_PAGE),
    (
        b"pk\x03\x04",
        WrongContent("a ZIP archive or a spreadsheet", "unpack it; or export the spreadsheet as CSV (UTF-8)"),
    ),
    (b"\xff\xfe", _UTF_16),
    (b"\xfe\xff", _UTF_16),
    (b"\x1f\x8b", WrongContent("a gzip archive", "rename it to end in .gz, or unpack it with gunzip")),
)


def sniff_wrong_content(path: Path, allowed: tuple[bytes, ...] = ()) -> WrongContent | None:
    """Check the first bytes of a file for content that is often mistaken for data.

    Args:
        path: an existing file.
        allowed: first bytes that are correct for this file, such as those of gzip for a table.

    Returns:
        The real content, or None if it is not one of the known mistakes.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(allowed):
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((kind for signature, kind in _SIGNATURES if start.startswith(signature)), None)
