"""The folder in which a prepared folder is made: resumable, and never mistaken for a whole one.

<out>.partial/job.json     what is being made
<out>.partial/data/        what is there of it; becomes <out> by a rename, at the end
<out>.partial/done.jsonl   a line for each case whose files in data/ are whole
<out>.partial/errors.csv   the files that could not be read
<out>.partial/old/         the former <out>, while it is replaced
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ggcam.data.prepare.images import ImageOutcome
from ggcam.data.prepared import partial_folder
from ggcam.errors import PreparedFolderError

_CONTINUE = "run the command that began it, to finish it, or pass --overwrite to start anew"


class StagingFolder:
    """An open job: what is done of it, and the way to add to it and to publish it.

    Args:
        out: the prepared folder to be.
        job: what is being made, as JSON holds it; only an interrupted job that is equal is continued.
        overwrite: replace a whole folder, or another job, that is in the way.
        marker: the file, written last, that makes a folder whole.

    Attributes:
        data: the folder to fill.
        done: case id -> the raw image's (height, width), for the cases whose files are whole.
        published: whether an earlier call finished this very job and was killed while it cleared up.

    Raises:
        PreparedFolderError: something is in the way.
    """

    def __init__(self, out: Path, job: Mapping[str, object], overwrite: bool, marker: str = "dataset.toml"):
        self.out = out
        self._marker = marker
        self.root = partial_folder(out)
        self.data = self.root / "data"
        self._old = self.root / "old"
        self._job = self.root / "job.json"
        self._journal = self.root / "done.jsonl"
        there = self._read_job()
        if there and there != job:
            self._discard(there, job, overwrite)
        # The job's description is written after the empty data folder: where it stands alone, the data were published.
        self.published = there == job and self._is_whole() and not self.data.exists()
        if not self.published:
            self._check_target(overwrite)
            self.data.mkdir(parents=True, exist_ok=True)
            if there != job:
                self._job.write_text(json.dumps(job, indent=1), encoding="utf-8")
        self.done = self._read_journal()

    def add(self, outcome: ImageOutcome) -> None:
        """Note that a case's files are whole; only then will a later call not make them again."""
        if outcome.size is not None:
            self.done[outcome.case_id] = outcome.size
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps([outcome.case_id, *outcome.size]) + "\n")

    def write_errors(self, outcomes: Sequence[ImageOutcome], images: Mapping[str, Path]) -> Path:
        """Write every broken case with its image and the reason to errors.csv."""
        path = self.root / "errors.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["case_id", "image", "error"])
            for outcome in outcomes:
                reason = " | ".join(line.strip() for line in str(outcome.error).splitlines())
                writer.writerow([outcome.case_id, images[outcome.case_id], reason])
        return path

    def publish(self) -> None:
        """Put the whole folder in its place, and the former one away."""
        try:
            if self._is_whole():
                self.out.rename(self._old)
            elif self.out.exists():
                self.out.rmdir()
            self.data.rename(self.out)
        except OSError as error:
            raise PreparedFolderError(
                "the prepared folder is whole, but cannot be moved into its place",
                where=self.out,
                got=f"{error.strerror}; it lies in {self.data}",
                hint="give as DATA a new folder on an ordinary disk, not a mount point",
            ) from None
        self.clear()

    def clear(self) -> None:
        """Remove the folder, its job's description last, so that a kill meanwhile leaves no riddle."""
        for path in sorted(self.root.iterdir(), key=lambda path: path == self._job):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.root.rmdir()

    def _read_job(self) -> dict[str, object] | None:
        """What the folder is said to be making; None for a folder that is missing, or in which nothing was begun."""
        try:
            return json.loads(self._job.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            begun = {path.name for path in self.root.glob("*")} - {"job.json", "data"}
            if begun or self.root.is_file() or any(self.data.glob("*")):
                raise PreparedFolderError(
                    "a folder that `ggcam prepare` did not make is in the way",
                    where=self.root,
                    hint="move it away",
                ) from None
            return None

    def _discard(self, there: Mapping[str, object], job: Mapping[str, object], overwrite: bool) -> None:
        if not overwrite:
            differ = [name for name in {**there, **job} if there.get(name) != job.get(name)]
            raise PreparedFolderError(
                "a preparation with other settings or other cases was interrupted here",
                where=self.root,
                got="\n".join(f"{name} was {there.get(name)}, is {job.get(name)} now" for name in differ),
                hint=_CONTINUE,
            )
        if self._old.exists() and not self.out.exists():
            self._old.rename(self.out)
        self.clear()

    def _check_target(self, overwrite: bool) -> None:
        if self._is_whole():
            if not overwrite:
                raise PreparedFolderError(
                    "the folder is prepared already", where=self.out, hint="pass --overwrite to replace it"
                )
        elif self.out.is_file() or any(self.out.glob("*")):
            raise PreparedFolderError(
                "something that is not a prepared folder is in the way", where=self.out, hint="choose another DATA"
            )

    def _read_journal(self) -> dict[str, tuple[int, int]]:
        if not self._journal.is_file():
            return {}
        content = self._journal.read_bytes()
        # A kill may have cut the last line short; what follows must not be glued to it.
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(self._journal, len(whole))
        return {case_id: (height, width) for case_id, height, width in map(json.loads, whole.splitlines())}

    def _is_whole(self) -> bool:
        return (self.out / self._marker).is_file()
