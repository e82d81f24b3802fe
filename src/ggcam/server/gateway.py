"""The outermost layer of the service: access, time limits, headers of responses, the log and counters of requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ggcam.server.access import check_access
from ggcam.server.counters import Counters
from ggcam.server.request_errors import RequestError, error_body
from ggcam.server.settings import Settings

log = logging.getLogger(__name__)

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Headers of all responses."""

CLIENT_LEFT = 499
"""Status in the log of a request whose client left before it was answered, as other servers use it."""


class Gateway:
    """Wraps an application. No path, message or name from a request or an exception reaches a response or the log.

    Args:
        app: the application.
        settings: limits, and who may ask.
        counters: counts the requests.
        routes: paths of the application; all others are logged and counted as one.
    """

    def __init__(self, app: ASGIApp, settings: Settings, counters: Counters, routes: frozenset[str]):
        self._app, self._settings, self._counters, self._routes = app, settings, counters, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def send_in_time(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            async with asyncio.timeout(self._settings.timeout_s):  # a client that does not read its response
                await send(message)

        try:
            check_access(scope["path"], Headers(scope=scope), self._settings)
            await self._app(scope, receive, send_in_time)
        except RequestError as error:
            await _error_response(error)(scope, receive, send_in_time)
        except (ClientDisconnect, TimeoutError):
            status = CLIENT_LEFT
        except Exception as error:
            log.error("internal error: %s", _place(error))
            if not status:
                await _error_response(RequestError(500, "internal error of the service"))(scope, receive, send_in_time)
            status = 500
        finally:
            self._count(scope, status or CLIENT_LEFT, time.perf_counter() - started)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        path = getattr(scope.get("route"), "path", scope["path"])
        route = path if path in self._routes else "(other)"
        method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "(other)"
        self._counters.requests.labels(method, route, str(status)).inc()
        self._counters.seconds.labels(route).observe(seconds)
        log.info("%s %s %d %.0f ms", method, route, status, 1000 * seconds)


def _error_response(error: RequestError) -> JSONResponse:
    return JSONResponse({"error": error_body(error)}, HTTPStatus(error.status), error.headers)


def _place(error: BaseException) -> str:
    """Return the type of an exception and the module and line that raised it; its message may name a patient."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_globals.get('__name__')}, line {trace.tb_lineno}" if trace is not None else ""
    return f"{type(error).__name__}{where}"
