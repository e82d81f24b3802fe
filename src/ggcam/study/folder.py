"""The study folder: where its runs and results lie, and what makes it the study of one plan.

STUDY/study.toml           the data, the plan, and what the runs share
STUDY/runs/<name>/         finished runs: trained, evaluated, whole
STUDY/partial/<code>/      runs that are being made; each becomes runs/<name> by a rename, at the end
STUDY/lock                 held by the `ggcam study` that is at work
STUDY/errors.json          name of each run that failed in the last call -> why
STUDY/study.parquet        a row a run and metric
STUDY/summary.json         metrics by arm, and differences between arms
STUDY/report.html          the page
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ggcam.data.prepared import PreparedData
from ggcam.errors import RunFolderError
from ggcam.run_folder import RunFolder, open_run_folder
from ggcam.study.plan import PlannedRun, StudyPlan, check_same, read_plan, write_plan

TABLES = ("dataset.toml", "cases.parquet", "fixations.parquet", "regions.parquet")
"""What of a prepared folder says whether it is still the same."""

LOCK_WAIT = 10.0
"""Seconds; the processes that decode images for a run outlive it for a few, and hold its lock, when it is killed."""


@dataclass(frozen=True)
class StudyFolder:
    """Paths in a study folder."""

    root: Path

    @property
    def plan(self) -> Path:
        """The data, the plan, and what the runs share. Its presence makes a folder a study."""
        return self.root / "study.toml"

    @property
    def partial(self) -> Path:
        """Folder of the runs that are being made."""
        return self.root / "partial"

    @property
    def lock(self) -> Path:
        """Held by the command that is at work."""
        return self.root / "lock"

    @property
    def errors(self) -> Path:
        """Why runs failed in the last call."""
        return self.root / "errors.json"

    @property
    def table(self) -> Path:
        """A row a run and metric."""
        return self.root / "study.parquet"

    @property
    def summary(self) -> Path:
        """Metrics by arm, and differences between arms."""
        return self.root / "summary.json"

    @property
    def html_report(self) -> Path:
        """The report, to open in a browser."""
        return self.root / "report.html"

    def run(self, run: PlannedRun) -> Path:
        """Where a run lies when it is finished; nothing is there before."""
        return self.root / "runs" / run.name

    def finished(self, run: PlannedRun) -> bool:
        """Whether a run need not be repeated."""
        return (self.run(run) / "metrics.json").is_file()

    def open(self, run: PlannedRun) -> RunFolder:
        """A finished run."""
        return open_run_folder(self.run(run))


@contextmanager
def begun_study(root: Path, plan: StudyPlan, data: PreparedData) -> Iterator[StudyFolder]:
    """Make a study folder, or go on with one, and keep others out meanwhile; what was half-written there is removed.

    Raises:
        RunFolderError: something else is in the way, or another command is at work there.
    """
    study = StudyFolder(root)
    if not study.plan.is_file() and root.exists() and (not root.is_dir() or {*root.iterdir()} - {study.lock}):
        raise RunFolderError("there is something in the way that is no study", where=root, hint="choose another --out")
    root.mkdir(parents=True, exist_ok=True)
    with _alone_in(study):
        identity = {"root": str(data.root.resolve()), "sha256": fingerprint(data.root)}
        if study.plan.is_file():
            check_same(study.plan, plan, identity)
            shutil.rmtree(study.partial, ignore_errors=True)
            for run in plan.runs:
                if not study.finished(run):
                    shutil.rmtree(study.run(run), ignore_errors=True)
        write_plan(study.plan, plan, identity)
        yield study


@contextmanager
def _alone_in(study: StudyFolder) -> Iterator[None]:
    """A second command would take the runs that this one is making for half-written ones, and remove them."""
    lock = FileLock(study.lock)
    try:
        lock.acquire(timeout=LOCK_WAIT)
    except Timeout:
        raise RunFolderError(
            "another `ggcam study` is at work in this folder",
            where=study.root,
            hint="wait until it is finished, or choose another --out",
        ) from None
    except NotImplementedError:  # a file system without locks
        pass
    try:
        yield
    finally:
        lock.release()


def open_study(root: Path) -> tuple[StudyFolder, StudyPlan]:
    """A study folder and its plan.

    Raises:
        RunFolderError: it is none, or a damaged one.
    """
    study = StudyFolder(root)
    if not root.is_dir():
        raise RunFolderError("there is no such study", where=root, expected="a folder that `ggcam study` wrote")
    return study, read_plan(study.plan)[0]


def fingerprint(data: Path) -> str:
    """Of the tables of a prepared folder: a study cannot go on with other cases, labels or gaze than it began with."""
    digest = hashlib.sha256()
    for name in TABLES:
        digest.update((data / name).read_bytes())
    return digest.hexdigest()
