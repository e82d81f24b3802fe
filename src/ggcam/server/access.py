"""Who may ask: bearer tokens, and pages of other origins are kept out."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from ggcam.server.request_errors import RequestError
from ggcam.server.settings import Settings, is_loopback

OPEN_PATHS = frozenset({"/", "/health", "/docs", "/openapi.json"})
"""Paths without a token, beside the files of the page: they tell nothing about the network or an image."""

FILES = "/page/"
"""Beginning of the paths of the page's files."""


def check_access(path: str, headers: Headers, settings: Settings) -> None:
    """Check that a request may be answered.

    Args:
        path: path of the request.
        headers: its headers.
        settings: the settings of the service.

    Raises:
        RequestError: the request comes from a page of another origin, or has a wrong token or none.
    """
    host = headers.get("host", "")
    if settings.is_loopback and not is_loopback(_host_name(host)):
        # A page whose name was pointed to this machine (DNS rebinding) would count as the same origin.
        raise RequestError(403, "the name of the host is not one of this machine", hint="use http://127.0.0.1")
    origin = headers.get("origin")
    if headers.get("sec-fetch-site") == "cross-site" or (origin is not None and urlsplit(origin).netloc != host):
        raise RequestError(403, "requests from pages of another origin are refused")
    if settings.token is None or path in OPEN_PATHS or path.startswith(FILES):
        return
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), settings.token.encode()):
        raise RequestError(
            401,
            "the token is missing or wrong",
            {"WWW-Authenticate": "Bearer"},
            expected="the header Authorization: Bearer TOKEN",
        )


def _host_name(host: str) -> str:
    """Return the host without the port; an IPv6 address keeps its brackets."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
