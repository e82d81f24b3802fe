"""Run the service until it is asked to end."""

from __future__ import annotations

import errno
import logging
import socket
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import uvicorn

from ggcam.errors import ConfigError
from ggcam.server.app import create_app
from ggcam.server.connections import TimedConnection
from ggcam.server.counters import Counters
from ggcam.server.prediction_queue import PredictionQueue
from ggcam.server.settings import Settings

if TYPE_CHECKING:
    from fastapi import APIRouter

MAX_CONNECTIONS = 512
"""Connections beyond it are answered with 503."""

_KEEP_ALIVE_S = 5
_LOGGED = ("ggcam.server", "ggcam.dicomweb", "uvicorn")
"""Loggers whose messages hold nothing of a request's content."""


def serve(
    queue: PredictionQueue,
    settings: Settings,
    counters: Counters,
    routers: Sequence[APIRouter] = (),
    started: Callable[[str], None] = lambda _: None,
) -> None:
    """Answer requests until SIGTERM or Ctrl-C; then answer those that have arrived, and return.

    Args:
        queue: predicts the images; the caller closes it.
        settings: limits, and where to listen.
        counters: what is counted.
        routers: further routes.
        started: called with the address once the service answers.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    config = uvicorn.Config(
        create_app(queue, settings, counters, routers),
        http=TimedConnection,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.timeout_s) + 1,
    )
    server = _Server(config, lambda: started(address))
    with listening:
        server.run(sockets=[listening])


def log_without_content() -> None:
    """Let this process log only what holds nothing of an image, a path or a patient, and no stack traces.

    Warnings of decoders quote values of DICOM files, and those of Python name source files.
    """
    warnings.simplefilter("ignore")
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_content)
    for name in ("ggcam.server", "ggcam.dicomweb"):
        logging.getLogger(name).setLevel(logging.INFO)


def _without_content(record: logging.LogRecord) -> bool:
    if not any(record.name == name or record.name.startswith(f"{name}.") for name in _LOGGED):
        return False
    record.exc_info, record.exc_text, record.stack_info = None, None, None
    return True


class _Server(uvicorn.Server):
    """Tells when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]):
        super().__init__(config)
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell()


def _listen(settings: Settings) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=socket.AddressFamily(family), backlog=MAX_CONNECTIONS)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        raise ConfigError(
            "the address cannot be listened on",
            where="--host, --port",
            got=f"{settings.host}:{settings.port}, {error.strerror or error}",
            hint="choose another --port, or 0 for any free one" if in_use else "choose an address of this machine",
        ) from None
