"""`ggcam serve` as a process: it answers, ends on SIGTERM with what had arrived, and leaves nothing on the disk."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from commands.calling import refusal
from dicom_output.predicted import source_dataset, write_source
from server.conftest import png

SOURCE = Path(__file__).parents[2] / "src"
TOKEN = "correct-horse-battery-staple"
NAME = "Doe^Jane.dcm"


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[str]
    address: str
    log: Path
    temporary: Path

    def post(self, content: bytes, query: str = "") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{NAME}"\r\n\r\n'.encode()
        headers = {"Content-Type": "multipart/form-data; boundary=x", "Authorization": f"Bearer {TOKEN}"}
        connection.request("POST", f"/predict{query}", head + content + b"\r\n--x--\r\n", headers)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer


def start(folder: Path, trained: Path) -> Service:
    (folder / "tmp").mkdir(parents=True)
    (folder / "token").write_text(TOKEN)
    environment = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(folder / "tmp"),
    }
    command = [sys.executable, "-m", "ggcam", "serve", trained, "--port", "0", "--token-file", "token"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*map(str, command), "--engine", "torch", "--wait-ms", "200"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    assert process.stdout.readline() == "For research use. Not for diagnosis.\n", (folder / "log").read_text()
    found = re.fullmatch(r"serving http://(127.0.0.1:\d+) \(Ctrl-C stops\)\n", process.stdout.readline())
    assert found is not None
    return Service(process, found[1], folder / "log", folder / "tmp")


@pytest.fixture
def service(tmp_path: Path, trained: Path) -> Iterator[Service]:
    service = start(tmp_path, trained)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.communicate()


def test_it_answers_what_has_arrived_and_ends(service: Service, tmp_path: Path):
    dicom = write_source(tmp_path / "source.dcm", source_dataset()).read_bytes()
    status, body = service.post(dicom)
    assert status == 200
    probabilities = json.loads(body)["images"][0]["probabilities"]
    assert sum(probabilities.values()) == pytest.approx(1)
    assert service.post(b"no image")[0] == 422
    assert service.post(dicom, "?format=zip")[0] == 200
    assert not list(service.temporary.iterdir())

    answers: list[tuple[int, bytes]] = []
    clients = [threading.Thread(target=lambda: answers.append(service.post(dicom))) for _ in range(6)]
    for client in clients:
        client.start()
    time.sleep(0.15)  # all have arrived, and wait for the batch
    service.process.send_signal(signal.SIGTERM)
    for client in clients:
        client.join()
    out, _ = service.process.communicate(timeout=60)
    assert service.process.returncode == 0
    assert out == "stopped\n"
    assert [status for status, _ in answers] == [200] * 6
    assert all(json.loads(body)["images"][0]["probabilities"] == pytest.approx(probabilities) for _, body in answers)

    log = service.log.read_text()
    lines = [re.sub(r"\d+ ms", "N ms", line) for line in log.splitlines()]
    assert set(lines) == {"INFO: POST /predict 200 N ms", "INFO: POST /predict 422 N ms"}
    assert not list(service.temporary.iterdir())


def test_a_killed_service_leaves_nothing_on_the_disk(service: Service, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    failures: list[Exception] = []

    def post() -> None:
        try:
            service.post(png(0, (1200, 1200)))
        except (OSError, http.client.HTTPException) as error:
            failures.append(error)

    client = threading.Thread(target=post)
    client.start()
    time.sleep(0.1)
    service.process.kill()
    client.join()
    assert failures  # the client knows that it has no answer
    assert sorted(tmp_path.rglob("*")) == before
    assert not list(service.temporary.iterdir())


def test_an_address_for_other_machines_needs_a_token(capsys, trained: Path, tmp_path: Path):
    assert "requests need a token" in refusal(capsys, "serve", trained, "--host", "0.0.0.0")
    missing = tmp_path / "token"
    assert "cannot be read: No such file" in refusal(capsys, "serve", trained, "--token-file", missing)
    missing.write_text("short")
    assert "does not hold a token" in refusal(capsys, "serve", trained, "--token-file", missing)


def test_a_port_in_use_and_a_wrong_address_are_reported(capsys, trained: Path, monkeypatch):
    monkeypatch.setattr("ggcam.server.run.log_without_content", lambda: None)  # it would stay for other tests
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ("serve", trained, "--engine", "torch", "--port", port)
        message = refusal(capsys, *arguments)
        assert "cannot be listened on" in message
        assert "choose another --port" in message
    assert "out of range" in refusal(capsys, "serve", trained, "--port", 70000)
    assert "--max-queue" in refusal(capsys, "serve", trained, "--engine", "torch", "--max-queue", 0)


def test_a_missing_package_is_named(capsys, trained: Path, monkeypatch):
    monkeypatch.setattr("ggcam.commands.serve.PACKAGES", ("no_such_package",))
    message = refusal(capsys, "serve", trained)
    assert "got: no_such_package" in message
    assert "pip install 'ggcam[serve]'" in message
