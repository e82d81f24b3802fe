from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ggcam.data.case import Source
from ggcam.data.prepare import pipeline
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import load_prepared
from ggcam.data.schema import partial_folder
from ggcam.errors import GGCamError, PreparedFolderError
from small_source import small_source

SMALL = PrepareConfig(size="96x64", workers=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return small_source(tmp_path / "raw", cases=12, height=60, width=44)


KILLED_JOB = """
from pathlib import Path
import sys
from small_source import small_source
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepare import pipeline
from ggcam.data.prepare.config import PrepareConfig
if __name__ == "__main__":
    root = Path(sys.argv[1])
    prepare_source(small_source(root / "raw", cases=120), root / "out", PrepareConfig(size="96x64", workers=2))
"""


def test_a_job_killed_halfway_is_finished_by_a_second_call_to_the_same_bytes(tmp_path: Path):
    script = tmp_path / "job.py"
    script.write_text(KILLED_JOB)
    here = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(here / "src"), str(here / "tests")])}
    job = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment)
    out = tmp_path / "out"
    journal = partial_folder(out) / "done.jsonl"
    while job.poll() is None and not (journal.is_file() and len(journal.read_bytes().splitlines()) >= 20):
        time.sleep(0.002)
    job.send_signal(signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL, "the job was faster than the kill"
    with pytest.raises(GGCamError, match="prepared folder is incomplete"):
        load_prepared(out)
    source = small_source(tmp_path / "raw", cases=120)
    resumed_at: list[int] = []
    prepare_source(source, out, SMALL, progress=lambda done, total: resumed_at.append(done))
    assert 20 <= resumed_at[0] < 120
    prepare_source(source, tmp_path / "uninterrupted", SMALL)
    assert contents(out) == contents(tmp_path / "uninterrupted")
    assert not partial_folder(out).exists()


def map_here(work: Callable, tasks: Sequence, *_: object) -> Generator:
    yield from map(work, tasks)


class Killed(BaseException):
    pass


class Reaper:
    """Ends the program just before its n-th change to the disk, as a kill would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fatal: int):
        self.left = fatal
        for owner, name in (
            *((Path, name) for name in ("mkdir", "rename", "rmdir", "unlink", "write_text", "write_bytes")),
            (Path, "open"),
            (os, "truncate"),
        ):
            self._arm(monkeypatch, owner, name)

    def _arm(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        real = getattr(owner, name)

        def armed(*args: object, **kwargs: object) -> object:
            if name != "open" or args[1:2] in (("a",), ("w",)):
                self.left -= 1
                if self.left < 0:
                    raise Killed
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, armed)


@pytest.mark.parametrize("former", [False, True], ids=["new folder", "overwriting"])
def test_killed_at_any_change_to_the_disk_a_second_call_finishes_the_job(tmp_path: Path, former: bool):
    source = small_source(tmp_path / "raw", cases=4, height=32, width=32)
    config = PrepareConfig(size="32x32", workers=1, split_fractions=(0.5, 0.0, 0.5), overwrite=former)
    prepare_source(source, tmp_path / "expected", config)
    expected, other = contents(tmp_path / "expected"), contents(tmp_path / "expected")
    for fatal in range(200):
        out = tmp_path / f"out{fatal}"
        if former:
            other = contents(prepare_source(source, out, replace(config, seed=9)).root)
        survived = True
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(pipeline, "parallel_map", map_here)  # so that images are written in this process
            Reaper(monkeypatch, fatal)
            try:
                prepare_source(source, out, config)
            except Killed:
                survived = False
        if out.exists():
            assert contents(out) in (expected, other), f"kill {fatal} left an incomplete folder"
        # The last change removes an empty folder, when nothing shows any more that this job was interrupted.
        with contextlib.suppress(PreparedFolderError):
            prepare_source(source, out, config)
        assert contents(out) == expected, f"after kill {fatal}"
        if survived:
            break
    assert fatal > 20
    assert survived
    assert not [file for left in tmp_path.glob("*.partial") for file in left.iterdir()]


def test_a_truncated_line_of_the_journal_is_ignored(tmp_path: Path, source: Source):
    prepare_source(source, tmp_path / "whole", SMALL)
    (source.cases[5].image).rename(tmp_path / "aside.png")
    with pytest.raises(GGCamError):
        prepare_source(source, tmp_path / "out", SMALL)
    journal = tmp_path / "out.partial" / "done.jsonl"
    journal.write_bytes(journal.read_bytes()[:-7])
    (tmp_path / "aside.png").rename(source.cases[5].image)
    prepare_source(source, tmp_path / "out", SMALL)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
