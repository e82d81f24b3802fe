"""Workers crash, hang and grow alone; their answers, exceptions and warnings come back."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ggcam.errors import ImageError
from ggcam.utils import worker_process
from ggcam.utils.limits import Limits
from ggcam.utils.worker_process import WorkerError, call_in_worker, start_workers

LIMITS = Limits(seconds=20, memory_bytes=2**26)
SHORT = Limits(seconds=0.3, memory_bytes=2**26)


class Panic(BaseException):
    """No Exception, as a panic of Rust."""


def end_by(what: str) -> str:
    if what == "panic":
        raise Panic("in a decoder")
    if what == "loop":
        while True:
            pass
    if what == "memory":
        return str(np.ones(2**27, np.uint8).sum())
    os.kill(os.getpid(), getattr(signal, what))
    return what


def kill_first(marker: Path) -> int:
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def refuse(path: Path) -> None:
    raise ImageError("not an image", where=path, hint="look")


def warn(text: str) -> None:
    logging.getLogger("ggcam.test").warning("%s: %d grey levels", text, 5)
    logging.getLogger("pydicom").warning("100% odd")
    warnings.warn("unusual", stacklevel=1)


def noise(text: str) -> str:
    sys.stdout.write(text)
    os.write(1, text.encode())
    os.write(2, text.encode())
    return text


def process_id(_: object) -> int:
    return os.getpid()


@pytest.fixture
def no_idle() -> Iterator[None]:
    worker_process._idle.end()
    yield
    worker_process._idle.end()


def test_arrays_come_back_as_they_were():
    given = {"a": np.arange(12.0).reshape(3, 4), "b": np.arange(6).reshape(2, 3).T, "c": np.zeros((0, 5), np.uint16)}
    found = call_in_worker(dict, given)
    assert found is not given
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable


@pytest.mark.parametrize("what", ["SIGSEGV", "SIGABRT", "panic"])
def test_a_crash_is_reported_and_the_next_call_is_answered(what):
    with pytest.raises(WorkerError) as caught:
        call_in_worker(end_by, what, LIMITS)
    assert caught.value.reason == "crashed"
    assert call_in_worker(abs, -1, LIMITS) == 1


def test_a_loop_is_ended_at_the_deadline():
    started = time.monotonic()
    with pytest.raises(WorkerError) as caught:
        call_in_worker(end_by, "loop", SHORT)
    assert caught.value.reason == "overran"
    assert time.monotonic() - started < 10
    assert call_in_worker(abs, -1, SHORT) == 1


def test_memory_is_limited_for_a_task_and_not_for_the_next():
    with pytest.raises(MemoryError):
        call_in_worker(end_by, "memory", LIMITS)
    assert call_in_worker(end_by, "memory") == str(2**27)


def test_a_killed_worker_is_tried_once_more(tmp_path):
    assert call_in_worker(kill_first, tmp_path / "marker") != os.getpid()
    with pytest.raises(WorkerError) as caught:
        call_in_worker(end_by, "SIGKILL")
    assert (caught.value.reason, caught.value.detail) == ("killed", "SIGKILL")


def test_a_worker_that_died_while_idle_is_replaced(no_idle):
    dead = call_in_worker(process_id, None)
    os.kill(dead, signal.SIGKILL)
    assert call_in_worker(process_id, None) != dead


def test_exceptions_come_back_with_their_fields(tmp_path):
    with pytest.raises(ImageError, match=r"not an image\n  where: .*x\.png\n  hint: look") as caught:
        call_in_worker(refuse, tmp_path / "x.png")
    assert caught.value.what == "not an image"


def test_what_cannot_be_sent_is_an_exception():
    with pytest.raises(RuntimeError, match="cannot pickle"):
        call_in_worker(_lock, None)
    with pytest.raises(AttributeError):
        call_in_worker(lambda _: None, None)
    assert call_in_worker(abs, -1) == 1


def _lock(_: object) -> object:
    return threading.Lock()


def test_warnings_come_back_and_name_the_file(caplog):
    call_in_worker(warn, "a.dcm", label="a.dcm")
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("ggcam.test", "a.dcm: 5 grey levels"),
        ("pydicom", "a.dcm: 100% odd"),
        ("py.warnings", "a.dcm: unusual"),
    ]


def test_what_a_library_prints_does_not_reach_the_terminal(capfd):
    assert call_in_worker(noise, "noise") == "noise"
    assert capfd.readouterr() == ("", "")


def test_workers_are_kept_and_started_ahead(no_idle):
    start_workers(2, "json", "logging.config")
    assert len(worker_process._idle) == 2
    start_workers(2, "json", "logging.config")
    assert len(worker_process._idle) == 2
    with ThreadPoolExecutor(2) as pool:
        found = {pid for _ in range(5) for pid in pool.map(process_id_slowly, range(2))}
    assert len(found) == 2
    assert os.getpid() not in found


def process_id_slowly(_: int) -> int:
    return call_in_worker(sleep_briefly, 0.05)


def sleep_briefly(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def read_here(name: str) -> tuple[int, str]:
    return os.getpid(), Path(name).read_text()


def test_relative_paths_refer_to_the_current_folder(no_idle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where it was removed and another one has its name, which is not the folder that the worker was in."""
    first, second = tmp_path / "first", tmp_path / "second"
    found = []
    for folder in (first, first, second):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "name").write_text(f"{folder.name} {len(found)}")
        monkeypatch.chdir(folder)
        found.append(call_in_worker(read_here, "name"))
    assert [text for _, text in found] == ["first 0", "first 1", "second 2"]
    assert len({pid for pid, _ in found}) == 1


def test_a_call_is_possible_from_a_folder_that_was_removed(no_idle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    (tmp_path / "name").write_text("text")
    assert call_in_worker(read_here, str(tmp_path / "name"))[1] == "text"


def test_a_forked_process_gets_workers_of_its_own(no_idle):
    of_parent = call_in_worker(process_id, None)
    receiver, sender = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking with threads
        child = os.fork()
    if child == 0:
        os.write(sender, str(call_in_worker(process_id, None)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(receiver, 20)) != of_parent
    assert call_in_worker(process_id, None) == of_parent


def test_a_worker_ends_with_its_parent(tmp_path):
    script = """
import os, signal, sys, time
from ggcam.utils.worker_process import call_in_worker
print(call_in_worker(os.system, "exit 0"), flush=True)
from ggcam.utils import worker_process
print(worker_process._idle._workers[0]._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    worker = int(done.stdout.split()[1])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and Path(f"/proc/{worker}").exists():
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
