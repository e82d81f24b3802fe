"""Limits of requests: size, time, number, memory; broken forms; and nothing is left on the disk."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from ggcam.server.prediction_queue import PredictionQueue
from ggcam.server.request_errors import RequestError
from ggcam.server.settings import Settings
from ggcam.server.uploads import MemoryBudget, uploaded_images
from server.conftest import png

NAMED = b"Content-Disposition: form-data"


def test_too_large_a_request_is_refused(connect):
    client = connect(max_bytes=2000)
    declared = client.post("/predict", files={"file": bytes(3000)})
    streamed = client.post(
        "/predict",
        content=iter([b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n", bytes(3000)]),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    for response in (declared, streamed):
        assert response.status_code == 413
        assert response.json()["error"]["expected"] == "at most 2,000 bytes"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("image/png", png(0), 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"nonsense", 400),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n--x--\r\n",
            400,
        ),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x--\r\n", 400),
        ("multipart/form-data; boundary=" + "x" * 5000, b"--x", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: b\r\n" * 20_000, 400),
    ],
)
def test_broken_forms(client: TestClient, content_type: str, body: bytes, status: int):
    response = client.post("/predict", content=body, headers={"Content-Type": content_type})
    assert response.status_code == status, response.text
    assert "error" in response.json()


def test_too_many_files(connect):
    response = connect(max_files=2).post("/predict", files=[("file", png(0))] * 3)
    assert response.status_code == 400
    assert "Too many files" in response.json()["error"]["got"]


def test_an_empty_file_is_an_unreadable_image(client: TestClient):
    response = client.post("/predict", files={"file": b""})
    assert response.status_code == 422
    assert response.json()["error"] == {"what": "the image file is empty"}


def test_file_names_are_not_looked_at(client: TestClient, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("../../escape.png", "/etc/passwd", "a\\b\0c", "x" * 3000):
        assert client.post("/predict", files={"file": (name, png(0))}).status_code in (200, 400)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_to_the_disk(client: TestClient, dicom: bytes, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    large = png(0, (1100, 1100))  # over 1 MB, which a form would keep in a temporary file
    monkeypatch.setattr(tempfile, "TemporaryFile", None)  # what a file in memory would be moved to
    assert client.post("/predict", files={"file": large}).status_code == 200
    assert client.post("/predict?format=zip", files={"file": dicom}).status_code == 200
    assert client.post("/predict", files={"file": large[:-5000]}).status_code == 422
    assert not list(tmp_path.iterdir())


def test_a_full_queue_is_answered_at_once(predictor, model, connect, monkeypatch):
    go_on = threading.Event()
    predict = predictor.predict_loaded

    def blocked(loaded):
        go_on.wait(30)
        return predict(loaded)

    monkeypatch.setattr(predictor, "predict_loaded", blocked)
    with PredictionQueue(predictor, model, max_waiting=2) as queue:
        client = connect(queue)
        waiting = [queue.submit(png(seed)) for seed in range(2)]
        response = client.post("/predict", files={"file": png(2)})
        assert response.status_code == 503
        assert response.json()["error"]["what"] == "the queue is full"
        assert int(response.headers["Retry-After"]) > 0
        go_on.set()
        assert all(future.result() for future in waiting)
        assert client.post("/predict", files={"file": png(2)}).status_code == 200


def test_an_image_that_takes_too_long_is_answered_in_time(predictor, model, connect, monkeypatch):
    go_on = threading.Event()
    predict = predictor.predict_loaded

    def slow(loaded):
        go_on.wait(30)
        return predict(loaded)

    monkeypatch.setattr(predictor, "predict_loaded", slow)
    with PredictionQueue(predictor, model) as queue:
        client = connect(queue, timeout_s=1)
        started = time.monotonic()
        response = client.post("/predict", files={"file": png(0)})
        assert response.status_code == 504
        assert time.monotonic() - started < 5
        go_on.set()
    assert queue.waiting == 0


def request_of(chunks: list[bytes], pause_s: float = 0) -> Request:
    remaining = list(chunks)

    async def receive():
        await asyncio.sleep(pause_s)
        return {"type": "http.request", "body": remaining.pop(0), "more_body": bool(remaining)}

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    return Request({"type": "http", "method": "POST", "path": "/predict", "headers": headers}, receive)


FORM = [b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n", b"abc", b"\r\n--x--\r\n"]


def receive(chunks: list[bytes], budget: MemoryBudget, pause_s: float = 0, **settings) -> tuple[list[bytes], int]:
    async def read() -> tuple[list[bytes], int]:
        async with uploaded_images(request_of(chunks, pause_s), Settings(**settings), budget) as images:
            return images, budget.held

    return asyncio.run(read())


def test_the_bytes_of_a_request_are_held_until_it_is_answered():
    budget = MemoryBudget(10_000)
    images, held = receive(FORM, budget)
    assert images == [b"abc"]
    assert held == sum(map(len, FORM))
    assert budget.held == 0


def test_the_memory_for_requests_is_limited_and_returned():
    budget = MemoryBudget(50)
    with pytest.raises(RequestError, match="memory for requests") as raised:
        receive(FORM, budget)
    assert raised.value.status == 503
    assert budget.held == 0


def test_a_slow_request_ends():
    budget = MemoryBudget(10_000)
    with pytest.raises(RequestError, match="did not arrive in time") as raised:
        receive(FORM, budget, pause_s=0.6, timeout_s=1)
    assert raised.value.status == 408
    assert budget.held == 0
