"""`POST /studies/{uid}/run`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from dicomweb.fake_archive import OPTIONS, STUDY, FakeArchive, FakeQueue, image
from ggcam.dicomweb.routes import study_router
from ggcam.dicomweb.state_file import open_state_file
from ggcam.dicomweb.worker import Worker
from ggcam.errors import DicomwebUnavailableError, ImageError
from ggcam.server.app import create_app
from ggcam.server.counters import Counters
from ggcam.server.prediction_queue import QueueFullError
from ggcam.server.settings import Settings

TOKEN = "0123456789abcdef"


@pytest.fixture
def archive() -> FakeArchive:
    return FakeArchive(2)


@pytest.fixture
def fake_queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def client(archive: FakeArchive, fake_queue: FakeQueue, state: Path) -> Iterator[TestClient]:
    with open_state_file(state, "model") as states:
        routers = [study_router(Worker(archive, fake_queue, states, options=OPTIONS))]
        app = create_app(fake_queue, Settings(token=TOKEN), Counters(), routers)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        yield TestClient(app, base_url="http://127.0.0.1:8080", headers=headers)


def run(client: TestClient, uid: str = STUDY) -> tuple[int, Any]:
    response = client.post(f"/studies/{uid}/run")
    return response.status_code, response.json()


def test_the_images_of_a_study_are_predicted_at_once(client, archive, fake_queue):
    fake_queue.bad[image(1).sop_uid] = ImageError("several frames", where="/proc/1/fd/3")
    expected = [
        {"sop_instance_uid": image(0).sop_uid, "state": "stored", "reason": ""},
        {"sop_instance_uid": image(1).sop_uid, "state": "failed", "reason": "several frames"},
    ]
    assert run(client) == (200, {"study_instance_uid": STUDY, "images": expected})
    fake_queue.bad.clear()
    status, body = run(client)
    assert (status, [each["state"] for each in body["images"]]) == (200, ["stored", "stored"])
    assert len(archive.results) == 4


def test_other_studies_and_servers_that_do_not_answer_are_errors_in_words(client, archive, fake_queue):
    assert run(client, "9.9") == (404, {"error": {"what": "the DICOMweb server has no matching image in this study"}})
    assert run(client, "9.9;drop")[0] == 400
    fake_queue.bad[image(0).sop_uid] = QueueFullError("the queue is full")
    assert run(client)[0] == 503
    archive.trouble = Failure(DicomwebUnavailableError("no answer", where="http://pacs.example", got="503"))
    assert run(client) == (502, {"error": {"what": "no answer", "got": "503"}})


class Failure:
    def __init__(self, error: Exception):
        self._error = error

    def __call__(self, request: str) -> None:
        raise self._error


def test_one_study_at_a_time(client, archive):
    outcomes: list[int] = []

    def ask_again(request: str) -> None:
        if request == "find":
            archive.trouble = lambda _: None
            outcomes.append(run(client)[0])

    archive.trouble = ask_again
    assert run(client)[0] == 200
    assert outcomes == [503]


def test_a_token_is_needed_and_the_route_is_described(client):
    assert client.post(f"/studies/{STUDY}/run", headers={"Authorization": ""}).status_code == 401
    operation = client.get("/openapi.json").json()["paths"]["/studies/{uid}/run"]["post"]
    assert {"200", "400", "401", "404", "502", "503"} <= set(operation["responses"])


def test_without_a_worker_there_is_no_route(fake_queue):
    app: Any = create_app(fake_queue, Settings(), Counters())
    assert not isinstance(app, FastAPI)
    assert TestClient(app, base_url="http://127.0.0.1:8080").post(f"/studies/{STUDY}/run").status_code == 404
