"""The staging folder, in which an output folder grows until it is complete. It makes a job resumable.

<out>.partial/job.json     description of the job
<out>.partial/data/        the incomplete output; renamed to <out> at the end
<out>.partial/done.jsonl   one line per case whose files in data/ are complete
<out>.partial/errors.csv   the files that could not be read
<out>.partial/old/         the previous <out>, while it is being replaced
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ggcam.data.grey_levels import GreyLevels
from ggcam.data.prepare.images import ImageOutcome, PixelFiles
from ggcam.data.region_masks import Box
from ggcam.data.schema import partial_folder
from ggcam.errors import PreparedFolderError
from ggcam.utils.csv_text import csv_cell
from ggcam.utils.json_files import write_json

_CONTINUE = "run the command that started it again to finish it, or pass --overwrite to start over"


class StagingFolder:
    """The staging folder of one job, opened to start or to continue it.

    Args:
        out: output folder.
        job: description of the job, as JSON stores it. Only an interrupted job with an equal description is continued.
        overwrite: replace an existing output folder, or another interrupted job.
        marker: file that is written last; an output folder with this file is complete.

    Attributes:
        data: folder to fill.
        outcomes: case id -> outcome, for the cases whose files are complete.
        published: whether an earlier call finished the same job and was killed while cleaning up.

    Raises:
        PreparedFolderError: other files are in the way.
    """

    def __init__(self, out: Path, job: Mapping[str, object], overwrite: bool, marker: str = "dataset.toml"):
        self.out = out
        self._marker = marker
        self.root = partial_folder(out)
        self.data = self.root / "data"
        self._old = self.root / "old"
        self._job = self.root / "job.json"
        self._journal = self.root / "done.jsonl"
        previous = self._read_job()
        if previous and previous != job:
            self._discard(previous, job, overwrite)
        # job.json is written after the empty data folder: if it exists without that folder, the data were published.
        self.published = previous == job and self._is_complete() and not self.data.exists()
        if not self.published:
            self._check_target(overwrite)
            self.data.mkdir(parents=True, exist_ok=True)
            if previous != job:
                write_json(self._job, job)
        self.outcomes = self._read_journal()

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Return the sizes of the raw images, for the cases whose files are complete.

        Returns:
            Case id -> height and width in pixels.
        """
        return {case_id: each.size for case_id, each in self.outcomes.items() if each.size is not None}

    def forget_changed(self, files: Mapping[str, PixelFiles]) -> list[str]:
        """Forget the outcomes of cases whose raw files were replaced since an earlier call.

        Args:
            files: case id -> raw files.

        Returns:
            Ids of these cases.
        """
        changed = [
            name for name, each in self.outcomes.items() if name in files and each.version != files[name].version
        ]
        for case_id in changed:
            del self.outcomes[case_id]
        return changed

    def add(self, outcome: ImageOutcome) -> None:
        """Record that the files of a case are complete, so that a later call skips the case.

        Args:
            outcome: outcome of the case; one without a size is not recorded.
        """
        if outcome.size is not None:
            self.outcomes[outcome.case_id] = outcome
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_to_json(outcome)) + "\n")

    def write_errors(self, outcomes: Sequence[ImageOutcome], images: Mapping[str, Path]) -> Path:
        """Write the unreadable cases to errors.csv.

        Args:
            outcomes: outcomes with an error.
            images: case id -> raw image file.

        Returns:
            Path of the file.
        """
        path = self.root / "errors.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["case_id", "image", "error"])
            for outcome in outcomes:
                reason = " | ".join(line.strip() for line in str(outcome.error).splitlines())
                writer.writerow(map(csv_cell, [outcome.case_id, str(images[outcome.case_id]), reason]))
        return path

    def publish(self) -> None:
        """Rename the complete folder to the output folder, which replaces a previous one, and clean up.

        Raises:
            PreparedFolderError: the folder cannot be renamed.
        """
        try:
            if self._is_complete():
                self.out.rename(self._old)
            elif self.out.exists():
                self.out.rmdir()
            self.data.rename(self.out)
        except OSError as error:
            raise PreparedFolderError(
                "the complete folder cannot be renamed to its final name",
                where=self.out,
                got=f"{error.strerror}; the folder is {self.data}",
                hint="choose a new output folder on an ordinary disk, not a mount point",
            ) from None
        self.clear()

    def clear(self) -> None:
        """Remove the staging folder, job.json last, so that it can be identified after a kill at any moment."""
        for path in sorted(self.root.iterdir(), key=lambda path: path == self._job):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.root.rmdir()

    def _read_job(self) -> dict[str, object] | None:
        """Read job.json; None if the folder does not exist or nothing was started in it."""
        try:
            return json.loads(self._job.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            contents = {path.name for path in self.root.glob("*")} - {"job.json", "data"}
            if contents or self.root.is_file() or any(self.data.glob("*")):
                raise PreparedFolderError(
                    "the staging folder exists and was not created by ggcam",
                    where=self.root,
                    hint="move it away, or choose another output folder",
                ) from None
            return None

    def _discard(self, previous: Mapping[str, object], job: Mapping[str, object], overwrite: bool) -> None:
        if not overwrite:
            differ = [name for name in {**previous, **job} if previous.get(name) != job.get(name)]
            raise PreparedFolderError(
                "an interrupted job with other settings or other cases exists",
                where=self.root,
                got="\n".join(f"{name} was {previous.get(name)}, now {job.get(name)}" for name in differ),
                hint=_CONTINUE,
            )
        if self._old.exists() and not self.out.exists():
            self._old.rename(self.out)
        self.clear()

    def _check_target(self, overwrite: bool) -> None:
        if self._is_complete():
            if not overwrite:
                raise PreparedFolderError(
                    "the output folder already exists and is complete",
                    where=self.out,
                    hint="pass --overwrite to replace it",
                )
        elif self.out.is_file() or any(self.out.glob("*")):
            raise PreparedFolderError(
                "the output folder exists and was not created by ggcam", where=self.out, hint="choose another folder"
            )

    def _read_journal(self) -> dict[str, ImageOutcome]:
        if not self._journal.is_file():
            return {}
        content = self._journal.read_bytes()
        # A kill may have truncated the last line; nothing may be appended to it.
        complete = content[: content.rfind(b"\n") + 1]
        if complete != content:
            os.truncate(self._journal, len(complete))
        outcomes = (_from_json(json.loads(line)) for line in complete.splitlines())
        return {outcome.case_id: outcome for outcome in outcomes}

    def _is_complete(self) -> bool:
        return (self.out / self._marker).is_file()


def _to_json(outcome: ImageOutcome) -> dict[str, object]:
    levels = outcome.levels
    return {
        "case_id": outcome.case_id,
        "size": outcome.size,
        "used_bits": outcome.used_bits,
        "version": outcome.version,
        "levels": levels and {**vars(levels), "thumbnail": levels.thumbnail.hex()},
        "region_boxes": outcome.region_boxes,
        "view": outcome.view,
    }


def _from_json(line: Mapping[str, Any]) -> ImageOutcome:
    levels = line["levels"]
    if levels is not None:
        levels = GreyLevels(**{**levels, "thumbnail": bytes.fromhex(levels["thumbnail"])})
    height, width = line["size"]
    boxes: dict[str, Box] = {name: (x0, y0, x1, y1) for name, (x0, y0, x1, y1) in line["region_boxes"].items()}
    return ImageOutcome(
        line["case_id"], (height, width), line["used_bits"], levels, line.get("version", ""), boxes, line.get("view")
    )
