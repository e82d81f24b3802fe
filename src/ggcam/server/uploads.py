"""Read uploaded images into memory: limits of size and time, and nothing written to the disk."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ggcam.server.request_errors import RETRY_AFTER, RequestError
from ggcam.server.settings import Settings

EXAMPLE = "curl -F file=@chest.dcm URL/predict"


class MemoryBudget:
    """Counts the bytes of all requests that are held in memory at a time.

    Args:
        max_bytes: their maximum.
    """

    def __init__(self, max_bytes: int):
        self.max_bytes, self.held = max_bytes, 0


class _InMemoryParser(MultiPartParser):
    """Keeps uploaded files in memory, however large they are; the size of the request is limited."""

    spool_max_size = sys.maxsize


@asynccontextmanager
async def uploaded_images(request: Request, settings: Settings, budget: MemoryBudget) -> AsyncIterator[list[bytes]]:
    """Read the files of a request, and count them as held while the context lasts. Their names are not looked at.

    Args:
        request: a request with a body of the type multipart/form-data.
        settings: the limits.
        budget: counts the bytes.

    Yields:
        The content of each file, at least one.

    Raises:
        RequestError: the body is broken, too large or too slow, or has no file or too many; or the memory for requests
            is used up.
    """
    _check_header(request, settings)
    held = [0]
    try:
        try:
            async with asyncio.timeout(settings.timeout_s):
                images = await _parse(request, settings, budget, held)
        except TimeoutError:
            raise RequestError(
                408, "the request did not arrive in time", expected=f"{settings.timeout_s:g} s"
            ) from None
        yield images
    finally:
        budget.held -= held[0]


def _check_header(request: Request, settings: Settings) -> None:
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise RequestError(415, "the body is not a form with files", expected="multipart/form-data", hint=EXAMPLE)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > settings.max_bytes:
        raise _too_large(settings)


async def _parse(request: Request, settings: Settings, budget: MemoryBudget, held: list[int]) -> list[bytes]:
    async with aclosing(_limited(request, settings, budget, held)) as chunks:
        parser = _InMemoryParser(request.headers, chunks, max_files=settings.max_files, max_fields=16)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise RequestError(400, "the form is broken", got=error.message, hint=EXAMPLE) from None
    try:
        images = [await item.read() for _, item in form.multi_items() if isinstance(item, UploadFile)]
    finally:
        await form.close()
    if not images:
        raise RequestError(400, "the form has no file", hint=EXAMPLE)
    return images


async def _limited(
    request: Request, settings: Settings, budget: MemoryBudget, held: list[int]
) -> AsyncGenerator[bytes, None]:
    """Yield the body, and count it."""
    async for chunk in request.stream():
        held[0] += len(chunk)
        budget.held += len(chunk)
        if held[0] > settings.max_bytes:
            raise _too_large(settings)
        if budget.held > budget.max_bytes:
            raise RequestError(
                503,
                "the memory for requests is used up",
                RETRY_AFTER,
                hint="send the image again later",
            )
        yield chunk


def _too_large(settings: Settings) -> RequestError:
    return RequestError(413, "the request is too large", expected=f"at most {settings.max_bytes:,} bytes")
