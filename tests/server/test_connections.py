"""Slow clients: a connection whose header does not arrive ends, and others are answered meanwhile."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import uvicorn

from ggcam.server import connections
from ggcam.server.app import create_app
from ggcam.server.connections import TimedConnection
from ggcam.server.counters import Counters
from ggcam.server.run import _without_content
from ggcam.server.settings import Settings

HEADER_S = 0.5


@pytest.fixture
def port(queue, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connections, "HEADER_S", HEADER_S)
    app = create_app(queue, Settings(timeout_s=1), Counters())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", http=TimedConnection))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def read_all(client: socket.socket) -> bytes:
    received = b""
    while chunk := client.recv(4096):
        received += chunk
    return received


@pytest.mark.parametrize("begun", [b"", b"GET /health HTTP/1.1\r\nHo"])
def test_a_connection_without_a_header_ends(port: int, begun: bytes):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(begun)
        started = time.monotonic()
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as other:
            other.request("GET", "/health")
            assert other.getresponse().status == 200
        assert read_all(client) == b""
        assert HEADER_S / 2 < time.monotonic() - started < 5


def test_the_second_header_has_its_own_time(port: int):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        client.connect()
        for _ in range(3):
            time.sleep(0.7 * HEADER_S)
            client.request("GET", "/health")
            assert client.getresponse().read()
        client.sock.sendall(b"GET /hea")
        assert read_all(client.sock) == b""


def test_a_slow_body_is_answered_with_408(port: int):
    header = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(header + b"Content-Length: 1000\r\n\r\n--x")
        assert client.recv(4096).startswith(b"HTTP/1.1 408")


def test_only_messages_without_content_are_logged():
    def passes(name: str) -> bool:
        record = logging.LogRecord(name, logging.ERROR, "", 0, "", None, (ValueError, ValueError("Doe"), None))
        kept = _without_content(record)
        assert not (kept and record.exc_info)
        return kept

    assert passes("ggcam.server.gateway")
    assert passes("uvicorn.error")
    for name in ("ggcam.dicom_output.writer", "pydicom", "py.warnings", "root", "ggcam.serverless"):
        assert not passes(name)
