from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from ggcam.dicomweb.archive import RemoteImage
from ggcam.dicomweb.state_file import ImageState, StateFile, open_state_file
from ggcam.errors import BusyError, ConfigError, StateFileError
from ggcam.utils import locks

IMAGES = [RemoteImage("1.2", "1.2.3", f"1.2.3.{number}") for number in range(3)]


def test_images_are_due_in_the_order_in_which_they_came(state):
    with open_state_file(state, "model") as states:
        assert states.add(IMAGES[:2]) == 2
        assert states.add(IMAGES) == 1
        assert states.add(IMAGES) == 0
        order = []
        while image := states.next_due():
            order.append(image)
            states.mark(image, "stored")
        assert order == IMAGES
        assert states.counts() == {"stored": 3}


def test_what_was_written_is_there_after_the_process_ended(state):
    with open_state_file(state, "model") as states:
        states.add(IMAGES)
        assert states.begin(IMAGES[0]) == 1
        states.mark(IMAGES[0], "fetched")
        states.mark(IMAGES[1], "failed", "why")
    with open_state_file(state, "model") as states:
        assert states.get(IMAGES[0].sop_uid) == ImageState("fetched", 1, "")
        assert states.get(IMAGES[1].sop_uid) == ImageState("failed", 0, "why")
        assert states.begin(IMAGES[0]) == 2
        assert states.next_due() == IMAGES[0]
        assert states.get("1.2.3.99") is None


def test_another_model_has_its_own_states(state):
    with open_state_file(state, "model") as states:
        states.add(IMAGES)
        states.mark(IMAGES[0], "stored")
    with open_state_file(state, "other") as states:
        assert states.next_due() is None
        assert states.add(IMAGES) == 3
        assert states.next_due() == IMAGES[0]


def test_a_retry_is_due_when_its_time_has_come(state):
    with open_state_file(state, "model"):
        pass
    now = 1000.0
    with closing(sqlite3.connect(state)) as connection:
        states = StateFile(connection, state, "model", lambda: now)
        states.add(IMAGES[:1])
        states.begin(IMAGES[0])
        states.retry(IMAGES[0], "no answer", 60)
        assert states.get(IMAGES[0].sop_uid) == ImageState("seen", 1, "no answer")
        now = 1059.0
        assert states.next_due() is None
        now = 1060.0
        assert states.next_due() == IMAGES[0]


def test_an_attempt_can_be_undone_and_all_can_be_forgotten(state):
    with open_state_file(state, "model") as states:
        states.add(IMAGES[:1])
        states.begin(IMAGES[0])
        states.begin(IMAGES[0])
        states.mark(IMAGES[0], "predicted")
        states.release(IMAGES[0])
        assert states.get(IMAGES[0].sop_uid) == ImageState("seen", 1, "")
        states.mark(IMAGES[0], "failed", "why")
        states.restart(IMAGES[0])
        assert states.get(IMAGES[0].sop_uid) == ImageState("seen", 0, "")


def test_the_file_is_readable_for_its_user_alone_and_for_one_process(state, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT_S", 0.05)
    with open_state_file(state, "model"):
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
        with pytest.raises(BusyError), open_state_file(state, "model"):
            pass


def _text(path: Path) -> None:
    path.write_text("a diary " * 1000)


def _execute(path: Path, command: str) -> None:
    # Left to the garbage collector, a connection ends at any later moment, and moves its log into the file.
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(command)


def _other_program(path: Path) -> None:
    _execute(path, "CREATE TABLE images (name TEXT)")


def _later_version(path: Path) -> None:
    with open_state_file(path, "model"):
        pass
    _execute(path, "PRAGMA user_version = 99")


@pytest.mark.parametrize("write", [_text, _other_program, _later_version, Path.mkdir])
def test_other_files_are_refused_and_left_as_they_are(state, write):
    write(state)
    before = state.read_bytes() if state.is_file() else None
    with pytest.raises(ConfigError, match="--state"), open_state_file(state, "model"):
        pass
    assert (state.read_bytes() if state.is_file() else None) == before


def test_a_file_that_cannot_be_written_is_an_error_in_words(state):
    with open_state_file(state, "model") as states:
        states.add(IMAGES[:1])
        _execute(state, "DROP TABLE images")
        with pytest.raises(StateFileError, match="cannot be read or written"):
            states.begin(IMAGES[0])
