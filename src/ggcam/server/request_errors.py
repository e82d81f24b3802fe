"""Errors of requests: their status, and their words without paths."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from ggcam.errors import ConfigError, GGCamError, ImageError
from ggcam.server.prediction_queue import QueueFullError

RETRY_AFTER = {"Retry-After": "2"}
_SHORT_OF = (errno.ENOSPC, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EDQUOT)


class RequestError(GGCamError):
    """A request that is not answered as it was asked for.

    Args:
        status: HTTP status.
        what: as for :class:`ggcam.errors.GGCamError`.
        headers: headers of the response.
        where: the parameter concerned.
        expected: as for :class:`ggcam.errors.GGCamError`.
        got: as for :class:`ggcam.errors.GGCamError`.
        hint: as for :class:`ggcam.errors.GGCamError`.
    """

    def __init__(
        self,
        status: int,
        what: str,
        headers: Mapping[str, str] | None = None,
        /,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        hint: str | None = None,
    ):
        super().__init__(what, where=where, expected=expected, got=got, hint=hint)
        self.status, self.headers = status, dict(headers or {})


def as_request_error(error: Exception) -> RequestError | None:
    """Return the error that a client is told, in the words of the command line.

    Args:
        error: what was raised while a request was answered.

    Returns:
        The error without the path of a file; None for a fault of the program, of which clients learn nothing.
    """
    if isinstance(error, RequestError):
        return error
    if isinstance(error, QueueFullError):
        return RequestError(503, error.what, RETRY_AFTER, **error.details)
    if isinstance(error, ImageError):
        what, details = without_path(error)
        return RequestError(422, what, **details)
    if isinstance(error, ConfigError | MemoryError) or (isinstance(error, OSError) and error.errno in _SHORT_OF):
        return RequestError(
            503,
            "the service is short of memory, disk space or processes",
            RETRY_AFTER,
            hint="send the image again later",
        )
    return None


def without_path(error: GGCamError) -> tuple[str, dict[str, str]]:
    """Return the words of an error about a file without its path, which means nothing to a client.

    Args:
        error: the error; its "where" is the path.

    Returns:
        What the problem is; and "expected", "got" and "hint" as far as they are known.
    """
    path = error.details.get("where") or "\0"
    details = {name: text.replace(path, "the file") for name, text in error.details.items() if name != "where"}
    return error.what.replace(path, "the file"), details


def error_body(error: GGCamError) -> dict[str, str]:
    """Return an error as its response shows it.

    Args:
        error: the error.

    Returns:
        "what", and "where", "expected", "got" and "hint" as far as they are known.
    """
    return {"what": error.what, **error.details}
