"""The application of the service: routes, the page, errors, and the gateway around them."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from importlib.resources import files

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from ggcam.errors import GGCamError
from ggcam.server.access import FILES
from ggcam.server.bodies import USE
from ggcam.server.counters import Counters
from ggcam.server.gateway import Gateway
from ggcam.server.prediction_queue import PredictionQueue
from ggcam.server.request_errors import RequestError, as_request_error, error_body
from ggcam.server.routes import Service, router
from ggcam.server.settings import Settings
from ggcam.server.uploads import MemoryBudget

PAGES = {"/": "index.html", "/docs": "docs.html"}
"""Paths of the pages, and their files."""

NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
"""FastAPI records requests and exceptions for OpenTelemetry, and exports them if the environment says where to."""


def create_app(
    queue: PredictionQueue, settings: Settings, counters: Counters, routers: Sequence[APIRouter] = ()
) -> ASGIApp:
    """Make the application of a service.

    Args:
        queue: predicts the images; the caller closes it.
        settings: limits, and who may ask.
        counters: what is counted.
        routers: further routes.

    Returns:
        The ASGI application.
    """
    app = FastAPI(
        title="ggcam",
        summary=USE,
        version=queue.model.version,
        docs_url=None,  # its page would fetch scripts from elsewhere
        redoc_url=None,
        telemetry=NO_TELEMETRY,  # pyright: ignore[reportArgumentType]
    )
    app.state.service = Service(queue, settings, counters, MemoryBudget(settings.max_held_bytes))
    all_routers = (router, _page_router(), *routers)
    for each in all_routers:
        app.include_router(each)
    app.add_exception_handler(GGCamError, _answer_error)
    app.add_exception_handler(MemoryError, _answer_error)
    app.add_exception_handler(OSError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_fault)
    paths = frozenset(getattr(route, "path", "") for each in all_routers for route in each.routes)
    return Gateway(app, settings, counters, paths | {"/openapi.json"})


def _page_router() -> APIRouter:
    """Return the routes of the pages and their files, which are read once."""
    pages = APIRouter(include_in_schema=False)
    folder = files("ggcam.server").joinpath("page")
    content = {file.name: file.read_bytes() for file in folder.iterdir()}
    for path, name in {**PAGES, **{FILES + name: name for name in content if not name.endswith(".html")}}.items():
        media_type, fresh = mimetypes.guess_type(name)[0], {"Cache-Control": "no-cache"}
        response = Response(content[name], media_type=media_type, headers=fresh)
        pages.add_route(path, lambda _, response=response: response, methods=["GET"])
    return pages


async def _answer_error(_: Request, error: Exception) -> Response:
    answer = as_request_error(error)
    if answer is None:
        raise error
    return JSONResponse({"error": error_body(answer)}, answer.status, answer.headers)


async def _answer_invalid(_: Request, error: Exception) -> Response:
    """Name the parameter that is wrong, without the value: it may be anything."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = str(first["loc"][-1])
    answer = RequestError(400, "invalid parameter", where=where, expected=first.get("ctx", {}).get("expected"))
    return JSONResponse({"error": error_body(answer)}, answer.status)


async def _answer_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = {404: "there is no such page", 405: "the method is not allowed here"}.get(error.status_code, "bad request")
    return JSONResponse({"error": {"what": what}}, error.status_code, error.headers)


async def _answer_fault(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": {"what": "internal error of the service"}}, 500)
