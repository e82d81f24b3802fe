"""Cases of any source -> the `.pt` folders that the original GG-CAM trains on, one for each blur."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ggcam.data.case import Case, Frame, Source, Split
from ggcam.data.original.preprocessing import BLURS_PX, GAZE_MAP, folder_name, process
from ggcam.data.original.pt_files import SPLIT_FOLDERS, write_original
from ggcam.data.prepare.images import ImageOutcome, PixelFiles
from ggcam.data.prepare.pipeline import DETERMINING, digests
from ggcam.data.prepare.staging import StagingFolder
from ggcam.data.prepared import PreparedData
from ggcam.errors import ImageError, PreparedFolderError, join_limited
from ggcam.gaze.fixations import Fixations
from ggcam.utils.parallel import parallel_map
from ggcam.utils.versions import versions

log = logging.getLogger(__name__)

MARKER = "original.json"
"""Written last: a folder that has it is whole."""


@dataclass(frozen=True, eq=False)
class OriginalTask:
    """One case's files to be.

    Attributes:
        case_id: of the case.
        files: the raw files.
        fixations: in pixels of the raw image.
        label: class index.
        frame: size of the result.
        targets: folder name -> the file to write.
        copied: the image is such a file already, and is copied.
    """

    case_id: str
    files: PixelFiles
    fixations: Fixations
    label: int
    frame: Frame
    targets: Mapping[str, Path]
    copied: bool


def write_original_folders(
    source: Source,
    data: PreparedData,
    out: Path,
    workers: int = 0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write `Down2_Blur200`, `_Blur500` and `_Blur800` with the cases and the split of a prepared folder.

    Pixels, masks and gaze take the original's way from the raw files, whatever way the prepared folder took; where no
    gaze is left, the map is zero and not NaN. Cases that are such files already are copied as they are, into the folder
    of their own blur alone: a blurred map cannot be blurred anew. Killed at any moment, a second call goes on.

    Args:
        source: what the prepared folder was made of.
        data: the prepared folder.
        out: folder to make; in it original.json tells of source, split and versions.
        workers: processes; 0 for one a core.
        overwrite: replace such a folder that is there already, once the new one is whole.
        progress: called with the number of cases done and of all cases.

    Returns:
        Folder name -> number of files.

    Raises:
        ImageError: a raw file that could be read before cannot be now.
        PreparedFolderError: something is in the way of `out`, or there is no room.
    """
    out = Path(out).resolve()
    splits: dict[str, Split] = dict(zip(data.cases["case_id"], data.cases["split"], strict=True))
    cases = [case for case in source.cases if case.case_id in splits]
    counts = Counter(folder for case in cases for folder in _folders(case))
    job = {
        "format": "original",
        "versions": ", ".join(f"{name} {version}" for name, version in versions(*DETERMINING, "torch").items()),
        "size": str(data.frame),
        "source": source.name,
        "folders": ", ".join(counts),
        **digests(source, splits),
    }
    partial = StagingFolder(out, job, overwrite, MARKER)
    if partial.published:
        partial.clear()
        return dict(counts)
    for folder in counts:
        for name in SPLIT_FOLDERS.values():
            (partial.data / folder / name).mkdir(parents=True, exist_ok=True)
    tasks = [
        OriginalTask(
            case_id=case.case_id,
            files=PixelFiles.from_case(case),
            fixations=case.fixations,
            label=case.class_index,
            frame=data.frame,
            targets={
                folder: partial.data / folder / SPLIT_FOLDERS[splits[case.case_id]] / f"{case.case_id}.pt"
                for folder in _folders(case)
            },
            copied=_map_folder(case) is not None,
        )
        for case in cases
        if case.case_id not in partial.done
    ]
    _write(tasks, partial, len(cases), workers, progress)
    if without := [case.case_id for case in cases if not case.masks and _map_folder(case) is None]:
        log.warning("%d cases have no masks; their lung and heart are empty: %s", len(without), join_limited(without))
    record = {**job, "class_names": data.class_names, "split": data.meta["split"], "files": counts}
    (partial.data / MARKER).write_text(json.dumps(record, indent=1), encoding="utf-8")
    partial.publish()
    return dict(counts)


def write_case(task: OriginalTask) -> ImageOutcome:
    """Write one case's files; a broken raw file is an outcome, not an exception.

    Raises:
        PreparedFolderError: a file cannot be written.
    """
    try:
        pixels, masks = task.files.read()
    except ImageError as error:
        return ImageOutcome(task.case_id, error=error)
    try:
        if task.copied:
            for target in task.targets.values():
                shutil.copyfile(task.files.image, target)
        else:
            none = np.zeros(pixels.shape, dtype=bool)
            lung = masks.get("left_lung", none) | masks.get("right_lung", none)
            heart = masks.get("mediastinum", none)
            for blur, content in process(pixels, task.fixations, lung, heart, task.label, task.frame).items():
                write_original(task.targets[folder_name(blur)], content)
    except OSError as error:
        raise PreparedFolderError(
            "a .pt file cannot be written",
            where=error.filename,
            got=error.strerror,
            hint="make room, then run the same command again: it goes on from there",
        ) from None
    height, width = pixels.shape
    return ImageOutcome(task.case_id, size=(height, width))


def _write(
    tasks: list[OriginalTask],
    partial: StagingFolder,
    total: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    if progress:
        progress(total - len(tasks), total)
    broken: list[ImageError] = []
    for count, outcome in enumerate(parallel_map(write_case, tasks, workers), start=total - len(tasks) + 1):
        if outcome.error:
            broken.append(outcome.error)
        else:
            partial.add(outcome)
        if progress:
            progress(count, total)
    if broken:
        raise ImageError(
            f"{len(broken):,} cases that were prepared cannot be read now; the first:\n{broken[0]}",
            hint="mend them and run the same command again: it goes on from there",
        )


def _folders(case: Case) -> tuple[str, ...]:
    """Names of the folders that a case has a file in."""
    own = _map_folder(case)
    return (own,) if own else tuple(map(folder_name, BLURS_PX))


def _map_folder(case: Case) -> str | None:
    """Name of the folder that a case's blurred map is from; None for gaze that is not blurred."""
    return next((flag.removeprefix(GAZE_MAP) for flag in case.flags if flag.startswith(GAZE_MAP)), None)
