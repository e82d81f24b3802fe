"""What the service says about itself: health, model, counters, OpenAPI, pages."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from ggcam.server.prediction_queue import PredictionQueue
from server.conftest import png


def test_the_model_is_described(client: TestClient, predictor, model):
    body = client.get("/model").json()
    assert body["use"] == "For research use. Not for diagnosis."
    assert body["class_names"] == list(predictor.class_names)
    assert body["thresholds"] == pytest.approx(dict(model.thresholds))
    assert body["temperature"] == list(model.temperature)
    assert body["weights_sha256"] == model.weights_sha256
    assert body["calibrated_on"] == model.calibrated_on
    assert body["frame"] == [64, 64]
    assert (body["engine"], body["precision"]) == ("torch", "32")
    assert body["limits"]["max_files"] == 16
    marks = predictor.validation_marks
    assert body["validation_marked"] == [marks.marked, marks.cases]


def test_health_follows_the_queue(connect, predictor, model):
    with PredictionQueue(predictor, model) as queue:
        client = connect(queue)
        assert client.get("/health").json() == {"status": "ok", "waiting": 0}
    response = client.get("/health")
    assert response.status_code == 503
    assert response.json()["status"] == "closed"
    assert client.post("/predict", files={"file": png(0)}).status_code == 503


def test_requests_images_and_batches_are_counted(connect):
    client = connect()
    client.post("/predict", files=[("file", png(0)), ("file", b"broken")])
    client.get("/nowhere")
    text = client.get("/metrics").text
    for line in (
        'ggcam_requests_total{method="POST",route="/predict",status="200"} 1.0',
        'ggcam_requests_total{method="GET",route="(other)",status="404"} 1.0',
        'ggcam_images_total{outcome="predicted"} 1.0',
        'ggcam_images_total{outcome="unreadable"} 1.0',
        'ggcam_request_seconds_count{route="/predict"} 1.0',
        "ggcam_waiting_images 0.0",
    ):
        assert line in text.splitlines()


def test_openapi_describes_every_route(client: TestClient):
    description = client.get("/openapi.json").json()
    assert set(description["paths"]) == {"/health", "/model", "/metrics", "/predict"}
    described = description["paths"]["/predict"]["post"]
    assert {"400", "413", "415", "422", "503", "504"} <= set(described["responses"])
    assert "multipart/form-data" in described["requestBody"]["content"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_fetch_nothing_from_elsewhere_and_hold_no_script(client: TestClient, path: str):
    response = client.get(path)
    assert response.headers["content-type"].startswith("text/html")
    assert "For research use. Not for diagnosis." in response.text
    linked = re.findall(r'(?:src|href)="([^"]*)"', response.text)
    assert linked
    for address in linked:
        assert address.startswith(("/", "#"))
        if address.startswith("/"):
            assert client.get(address).status_code == 200
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|javascript:", response.text)
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["page.js", "viewer.js", "service.js", "docs.js"])
def test_scripts_set_text_and_never_markup(client: TestClient, name: str):
    response = client.get(f"/page/{name}")
    assert response.headers["content-type"].startswith("text/javascript")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", response.text)
    assert not re.search(r"https?://", response.text)


def test_nothing_is_exported_to_opentelemetry(connect, monkeypatch):
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with connect() as client:  # FastAPI sets its telemetry up at the start of the application
        assert client.get("/health").status_code == 200
