"""The study folder: its files, and the lock that gives it to one command at a time.

STUDY/study.toml           identity of the data, the plan, and the training config that all runs share
STUDY/runs/<name>/         finished runs: trained, evaluated and complete
STUDY/partial-<code>/      an unfinished run; it is moved to runs/<name> when it is complete
STUDY/lock                 held by the `ggcam study` that is running
STUDY/errors.json          name of each run that failed in the last call -> its error
STUDY/study.parquet        one row per run and metric
STUDY/summary.json         metrics by arm, and differences between arms
STUDY/report.html          the report
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ggcam.data.prepared import PreparedData
from ggcam.errors import RunFolderError
from ggcam.run_folder import RunFolder, open_run_folder
from ggcam.study.plan import PlannedRun, StudyPlan, check_same, read_plan, write_plan
from ggcam.utils.foreign_paths import check_no_links_out
from ggcam.utils.locks import locked_folder
from ggcam.utils.recorded_paths import record_path

PARTIAL = "partial-"
"""Beginning of the names of the folders of unfinished runs."""

TABLES = ("dataset.toml", "cases.parquet", "fixations.parquet", "regions.parquet", "mentions.parquet")
"""Files that identify a prepared folder; one without dictations has no mentions."""


@dataclass(frozen=True)
class StudyFolder:
    """Paths in a study folder.

    Attributes:
        root: the study folder.
    """

    root: Path

    @property
    def plan(self) -> Path:
        """Identity of the data, plan and shared training config. A folder with this file is a study."""
        return self.root / "study.toml"

    @property
    def lock(self) -> Path:
        """Lock file, held by the command that is running."""
        return self.root / "lock"

    @property
    def errors(self) -> Path:
        """Errors of the runs that failed in the last call."""
        return self.root / "errors.json"

    @property
    def table(self) -> Path:
        """Table with one row per run and metric."""
        return self.root / "study.parquet"

    @property
    def summary(self) -> Path:
        """Metrics by arm, and differences between arms."""
        return self.root / "summary.json"

    @property
    def html_report(self) -> Path:
        """The report, to be opened in a browser."""
        return self.root / "report.html"

    def run(self, run: PlannedRun) -> Path:
        """Return the folder of a run; it exists only once the run is finished.

        Args:
            run: one of the runs of the plan.
        """
        return self.root / "runs" / run.name

    def finished(self, run: PlannedRun) -> bool:
        """Return whether a run is finished.

        Args:
            run: one of the runs of the plan.
        """
        return (self.run(run) / "metrics.json").is_file()

    def open(self, run: PlannedRun) -> RunFolder:
        """Open the folder of a finished run.

        Args:
            run: one of the runs of the plan.
        """
        return open_run_folder(self.run(run))


@contextmanager
def locked_study(root: Path, plan: StudyPlan, data: PreparedData) -> Iterator[StudyFolder]:
    """Create a study folder or continue one, and lock it; unfinished runs in it are removed.

    Args:
        root: the study folder.
        plan: plan of the study.
        data: prepared folder that the runs use.

    Yields:
        The study folder, locked until the block ends.

    Raises:
        RunFolderError: the folder holds something else or another study.
        BusyError: another command is at work in it.
    """
    study = StudyFolder(root)
    if not study.plan.is_file() and root.exists() and (not root.is_dir() or {*root.iterdir()} - {study.lock}):
        raise RunFolderError("the output folder exists and is not a study", where=root, hint="choose another --out")
    root.mkdir(parents=True, exist_ok=True)
    with locked_folder(root):  # a second command would remove the unfinished runs of this one
        place = str(data.root.resolve()) if plan.base.keep_paths else record_path(data.root, root)
        identity = {"root": place, "sha256": fingerprint(data.root)}
        if study.plan.is_file():
            check_same(study.plan, plan, identity)
            for partial in root.glob(f"{PARTIAL}*"):
                shutil.rmtree(partial, ignore_errors=True)
            for run in plan.runs:
                if not study.finished(run):
                    shutil.rmtree(study.run(run), ignore_errors=True)
        write_plan(study.plan, plan, identity)
        yield study


def open_study_folder(root: Path) -> tuple[StudyFolder, StudyPlan]:
    """Open a study folder and read its plan.

    Args:
        root: the study folder.

    Returns:
        The paths in the folder, and the plan.

    Raises:
        RunFolderError: the folder does not exist, is not a study, or its plan is damaged.
    """
    study = StudyFolder(root)
    if not root.is_dir():
        raise RunFolderError(
            "the study folder does not exist", where=root, expected="a folder written by `ggcam study`"
        )
    for folder in (root, root / "runs"):
        check_no_links_out(folder, root, RunFolderError)
    return study, read_plan(study.plan)[0]


def fingerprint(data: Path) -> str:
    """Return the SHA-256 digest of the tables of a prepared folder, so that a study continues with the same data only.

    Args:
        data: the prepared folder.
    """
    digest = hashlib.sha256()
    for name in TABLES:
        if name != "mentions.parquet" or (data / name).exists():
            digest.update((data / name).read_bytes())
    return digest.hexdigest()
