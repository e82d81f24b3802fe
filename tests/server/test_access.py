"""Tokens, hosts and origins; and nothing of a request in responses and logs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ggcam.errors import ConfigError
from ggcam.server.settings import Settings, is_loopback, read_token
from server.conftest import png

TOKEN = "correct-horse-battery-staple"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "hospital.example"])
def test_other_machines_need_a_token(host: str):
    with pytest.raises(ConfigError, match="requests need a token"):
        Settings(host)
    assert not Settings(host, token=TOKEN).is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.8.9.1"])
def test_this_machine_needs_none(host: str):
    assert is_loopback(host)
    assert Settings(host).token is None


@pytest.mark.parametrize(
    "settings", [{"port": 70000}, {"port": -1}, {"max_bytes": 10}, {"timeout_s": 0.0}, {"timeout_s": 1e9}]
)
def test_settings_out_of_range(settings: dict):
    with pytest.raises(ConfigError, match="out of range"):
        Settings(**settings)


@pytest.mark.parametrize("content", [b"", b"short", b"two words of a long sentence", b"\xff" * 20, "ä".encode() * 20])
def test_token_files(tmp_path: Path, content: bytes):
    path = tmp_path / "token"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(path)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="does not hold a token"):
        read_token(path)
    path.write_text(f"{TOKEN}\n")
    assert read_token(path) == TOKEN


def test_requests_need_the_token(connect):
    client = connect(token=TOKEN)
    wrong = ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"})
    for headers in wrong:
        for path in ("/model", "/metrics", "/anything"):
            response = client.get(path, headers=headers)
            assert response.status_code == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"
        assert client.post("/predict", files={"file": png(0)}, headers=headers).status_code == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/model", headers=right).status_code == 200
    assert client.post("/predict", files={"file": png(0)}, headers=right).status_code == 200
    for path in ("/", "/health", "/docs", "/openapi.json", "/page/page.js"):
        assert client.get(path).status_code == 200
    assert client.get("/page/../model").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:8080"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:9000"}, 403),
        ({"Origin": "http://127.0.0.1:8080"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_origins_are_refused(client: TestClient, headers: dict[str, str], status: int):
    assert client.get("/model", headers=headers).status_code == status


def test_a_remote_service_has_any_name(connect):
    client = connect(host="0.0.0.0", token=TOKEN)
    headers = {"Host": "hospital.example", "Authorization": f"Bearer {TOKEN}"}
    assert client.get("/model", headers=headers).status_code == 200


def test_no_other_origin_may_read(client: TestClient):
    response = client.options(
        "/predict", headers={"Origin": "http://127.0.0.1:8080", "Access-Control-Request-Method": "POST"}
    )
    assert response.status_code == 405
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_the_log_has_method_route_status_and_time_alone(client: TestClient, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "ggcam.server"):
        client.get("/health?name=Doe^Jane")
        client.get("/studies/Doe^Jane")
        client.request("DOE", "/health")
        client.post("/predict", files={"file": ("Doe^Jane.dcm", png(0))}, headers={"User-Agent": "Doe^Jane"})
    lines = [record.getMessage().rsplit(" ", 2)[0] for record in caplog.records]
    assert lines == ["GET /health 200", "GET (other) 404", "(other) /health 405", "POST /predict 200"]


def test_a_fault_tells_clients_nothing_and_the_log_only_its_place(connect, queue, monkeypatch, caplog):
    def fail(*_):
        raise KeyError("Doe^Jane in /secret/path")

    client = connect()
    monkeypatch.setattr(queue, "submit", fail)
    with caplog.at_level(logging.INFO, "ggcam.server"):
        response = client.post("/predict", files={"file": png(0)})
    assert response.status_code == 500
    assert response.json() == {"error": {"what": "internal error of the service"}}
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert error.getMessage().startswith("internal error: KeyError in ")
    assert error.exc_info is None
    assert "Doe" not in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "error",
    [MemoryError("secret"), OSError(28, "No space left on device", "/secret"), OSError(24, "Too many", "/secret")],
)
def test_shortage_is_told_without_details(client: TestClient, queue, monkeypatch, error: Exception):
    def fail(*_):
        raise error

    monkeypatch.setattr(queue, "submit", fail)
    response = client.post("/predict", files={"file": png(0)})
    assert response.status_code == 503
    assert "Retry-After" in response.headers
    assert "secret" not in response.text
