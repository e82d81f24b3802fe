"""What the worker does when something fails: which image is tried again, and when."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicomweb.fake_archive import OPTIONS, STUDY, FakeArchive, FakeQueue, image
from ggcam.dicomweb.backoff import Backoff
from ggcam.dicomweb.state_file import ImageState, StateFile, open_state_file
from ggcam.dicomweb.worker import Round, Worker, describe, open_worker
from ggcam.errors import ConfigError, DicomwebError, DicomwebUnavailableError, ImageError
from ggcam.server.prediction_queue import QueueFullError

NOW = Backoff(0, 0)


@pytest.fixture
def states(state: Path) -> Iterator[StateFile]:
    with open_state_file(state, "model") as opened:
        yield opened


def make_worker(archive: Any, queue: Any, states: StateFile, **options: Any) -> Worker:
    options = {"image_backoff": Backoff(3600, 3600), "random": Random(0), **options}
    return Worker(archive, queue, states, options=OPTIONS, **options)


class Failures:
    """Raises an error at some of the requests of a kind: those with the given numbers, or all."""

    def __init__(self, request: str, error: BaseException, numbers: set[int] | None = None):
        self._request, self._error, self._numbers = request, error, numbers
        self.count = 0

    def __call__(self, request: str) -> None:
        if request == self._request:
            self.count += 1
            if self._numbers is None or self.count in self._numbers:
                raise self._error


def test_each_image_is_stored_once(states):
    archive = FakeArchive(3)
    worker = make_worker(archive, FakeQueue(), states)
    assert worker.run_round() == Round(3, 3, 0, 0)
    archive.images.append(image(3))
    assert worker.run_round() == Round(1, 1, 0, 0)
    assert worker.run_round() == Round(0, 0, 0, 0)
    assert len(archive.results) == len(set(archive.results)) == 8
    assert states.counts() == {"stored": 4}


def test_a_lost_state_file_leads_to_questions_and_nothing_twice(tmp_path):
    archive, queue = FakeArchive(3), FakeQueue()
    for name in ("a", "b"):
        with open_state_file(tmp_path / name, "model") as states:
            make_worker(archive, queue, states).run_round()
    assert len(archive.results) == len(set(archive.results)) == 6


def test_a_bad_image_fails_at_once_and_the_others_go_on(states):
    archive, queue = FakeArchive(3), FakeQueue()
    queue.bad[image(1).sop_uid] = ImageError("several frames", where="/proc/1/fd/2", expected="one frame", got=7)
    assert make_worker(archive, queue, states).run_round() == Round(3, 2, 0, 1)
    assert states.get(image(1).sop_uid) == ImageState("failed", 1, "several frames (expected: one frame; got: 7)")
    assert make_worker(archive, queue, states).run_round() == Round(0, 0, 0, 0)


def test_results_that_would_join_another_study_are_not_stored(states):
    archive, queue = FakeArchive(1), FakeQueue()
    queue.study = "9.9"
    assert make_worker(archive, queue, states).run_round().failed == 1
    assert archive.results == []
    known = states.get(image(0).sop_uid)
    assert known is not None
    assert "identifiers" in known.reason


@pytest.mark.parametrize("error", [DicomwebError("refused"), DicomwebUnavailableError("no answer"), KeyError("bug")])
@pytest.mark.parametrize("request_name", ["fetch", "store", "stored"])
def test_an_image_is_tried_again_and_fails_after_the_last_attempt(states, error, request_name):
    archive = FakeArchive(2)
    archive.trouble = Failures(request_name, error)
    worker = make_worker(archive, FakeQueue(), states, max_attempts=3)
    assert worker.run_round() == Round(2, 0, 2, 0)
    assert states.next_due() is None  # in an hour
    known = states.get(image(0).sop_uid)
    assert known is not None
    assert (known.state, known.attempts) == ("seen", 1)
    for _ in range(2):
        worker.process(image(0))
    known = states.get(image(0).sop_uid)
    assert known is not None
    assert (known.state, known.attempts, known.reason) == ("failed", 3, describe(error))


@pytest.mark.parametrize("request_name", ["fetch", "store", "after store"])
def test_an_unreachable_server_costs_no_image_an_attempt(states, request_name):
    archive = FakeArchive(3)
    archive.reachable = False
    archive.trouble = Failures(request_name, DicomwebUnavailableError("no answer"), {2})
    worker = make_worker(archive, FakeQueue(), states, max_attempts=1)
    with pytest.raises(DicomwebUnavailableError):
        worker.run_round()
    assert worker.run_round().failed == 0
    assert states.counts() == {"stored": 3}
    assert len(archive.results) == len(set(archive.results)) == 6


@pytest.mark.parametrize(
    "error", [QueueFullError("full"), OSError(28, "No space left"), ConfigError("no process"), KeyboardInterrupt()]
)
def test_what_is_not_the_fault_of_an_image_costs_no_attempt(states, error):
    archive, queue = FakeArchive(1), FakeQueue()
    queue.bad[image(0).sop_uid] = error
    worker = make_worker(archive, queue, states)
    with pytest.raises(type(error)):
        worker.run_round()
    assert states.get(image(0).sop_uid) == ImageState("seen", 0, "")
    queue.bad.clear()
    assert worker.run_round() == Round(0, 1, 0, 0)


def test_results_that_do_not_arrive_are_sent_again(states):
    archive = FakeArchive(1)
    worker = make_worker(archive, FakeQueue(), states, image_backoff=NOW, max_attempts=3)

    def lose(request: str) -> None:
        if request == "after store" and len(archive.results) == 1:
            archive.results.pop()
            archive.trouble = lambda _: None

    archive.trouble = lose
    assert worker.run_round() == Round(1, 1, 1, 0)
    assert len(archive.results) == len(set(archive.results)) == 2


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["ok", "fetch", "store", "stored", "after store", "find"]), max_size=6), st.data())
def test_whatever_fails_nothing_is_lost_and_nothing_is_there_twice(tmp_path_factory, requests, data):
    archive = FakeArchive(3)
    with open_state_file(tmp_path_factory.mktemp("state") / "state", "model") as states:
        worker = make_worker(archive, FakeQueue(), states, image_backoff=NOW, max_attempts=100)
        for request in requests:
            archive.reachable = data.draw(st.booleans())
            numbers = data.draw(st.sets(st.integers(1, 4), min_size=1))
            archive.trouble = Failures(request, DicomwebUnavailableError("no answer"), numbers)
            try:
                worker.run_round()
            except DicomwebUnavailableError:
                continue
        archive.trouble = lambda _: None
        worker.run_round()
        assert states.counts() == {"stored": 3}
    assert Counter(archive.results).most_common(1)[0][1] == 1
    assert len(archive.results) == 6


def test_a_study_is_processed_on_demand_whatever_happened_before(states):
    archive, queue = FakeArchive(2), FakeQueue()
    queue.bad[image(1).sop_uid] = ImageError("damaged")
    worker = make_worker(archive, queue, states)
    worker.run_round()
    del archive.results[:]  # somebody has deleted them
    queue.bad.clear()
    assert worker.run_round() == Round(0, 0, 0, 0)
    outcome = worker.run_study(STUDY)
    assert {uid: known.state for uid, known in outcome.items()} == {each.sop_uid: "stored" for each in archive.images}
    assert len(archive.results) == 4
    assert worker.run_study("9.9") == {}


def test_the_loop_outlives_errors_waits_longer_and_stops(states, caplog):
    archive, stop = FakeArchive(1), Event()
    failures = Failures("find", DicomwebUnavailableError("no answer", where="http://pacs", hint="look"), {1, 2, 3})

    def trouble(request: str) -> None:
        failures(request)
        if failures.count == 5:
            stop.set()

    archive.trouble = trouble
    worker = make_worker(archive, FakeQueue(), states, server_backoff=Backoff(0.01, 0.1))
    with caplog.at_level(logging.INFO, "ggcam.dicomweb"):
        worker.run(0.001, stop)
    assert failures.count == 5
    assert caplog.text.count("no answer (hint: look)") == 3
    assert states.counts() == {"stored": 1}


def test_a_stopped_round_ends_after_the_image_at_hand(states):
    archive, stop = FakeArchive(3), Event()
    archive.trouble = lambda request: stop.set() if request == "fetch" else None
    assert make_worker(archive, FakeQueue(), states).run_round(stop) == Round(3, 1, 0, 0)
    assert len(archive.results) == 2


@pytest.mark.parametrize(
    ("change", "images"),
    [
        ({"version": "9.9"}, 0),
        ({"weights_sha256": "cd" * 32}, 1),
        ({"thresholds": {"Normal": 0.4}}, 1),
        ({"temperature": (1.2,) * 3}, 1),
        ({"precision": "bf16"}, 1),
    ],
)
def test_a_network_whose_answers_differ_predicts_all_images_again(state, monkeypatch, change, images):
    archive, queue = FakeArchive(1), FakeQueue()
    monkeypatch.setattr("ggcam.dicomweb.worker.Archive", lambda *_: archive)
    with open_worker(queue, "http://pacs.example/", state, options=OPTIONS) as worker:
        worker.run_round()
    queue.model = replace(queue.model, **change)
    with open_worker(queue, "http://pacs.example/", state, options=OPTIONS) as worker:
        assert worker.run_round() == Round(images, images, 0, 0)
    assert len(set(archive.results)) == len(archive.results) == 2 * (1 + images)


def test_errors_are_described_without_paths_and_control_characters():
    error = ImageError("damaged\x1b[2J", where="/proc/1/fd/2", got="a\nb", hint="look at /proc/1/fd/2")
    assert describe(error) == r"damaged\x1b[2J (got: a b; hint: look at the file)"
    assert describe(OSError(28, "No space left on device", "/tmp/secret")) == "No space left on device"
    assert describe(KeyError("Doe^Jane")) == "a fault of the program: KeyError"


def test_a_worker_opens_its_state_file_and_refuses_a_bad_url(state):
    queue: Any = FakeQueue()
    with open_worker(queue, "http://127.0.0.1:1/dicom-web/", state, options=OPTIONS) as worker:
        with pytest.raises(DicomwebUnavailableError, match="cannot be reached"):
            worker.run_round()
        assert state.exists()
    for url in ("pacs.example", "ftp://pacs.example", "http://", "http://a:99999/", "http://[::1]:80/"):
        with pytest.raises(ConfigError, match="--dicomweb"), open_worker(queue, url, state):
            pass
    with pytest.raises(ConfigError) as caught, open_worker(queue, "http://user:secret@pacs.example/", state):
        pass
    assert "secret" not in str(caught.value)
