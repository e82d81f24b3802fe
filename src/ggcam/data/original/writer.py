"""Writes the `.pt` folders that the original GG-CAM trains on, one for each blur, from cases of any source."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ggcam.data.case import Case, Frame, Source, Split
from ggcam.data.decoding import decoding_guard
from ggcam.data.original.preprocessing import BLURS_PX, GAZE_MAP_FLAG, folder_name, process
from ggcam.data.original.pt_files import SPLIT_FOLDERS, write_original
from ggcam.data.prepare.images import ImageOutcome, PixelFiles
from ggcam.data.prepare.job import VERSIONED_PACKAGES, source_digests
from ggcam.data.prepare.staging import StagingFolder
from ggcam.data.prepared import PreparedData
from ggcam.errors import ImageError, PreparedFolderError, join_limited
from ggcam.gaze.fixations import Fixations
from ggcam.utils.json_files import write_json
from ggcam.utils.parallel import Guard, parallel_map
from ggcam.utils.versions import versions

log = logging.getLogger(__name__)

MARKER = "original.json"
"""Manifest that is written last: a folder with it is complete."""


@dataclass(frozen=True, eq=False)
class OriginalTask:
    """The files to write for one case.

    Attributes:
        case_id: id of the case.
        files: raw files of the case.
        fixations: fixations in pixels of the raw image.
        label: class index.
        frame: size of the result.
        targets: file to write in each folder, by the folder's name.
        is_copy: whether the raw image is a `.pt` file already, which is copied.
    """

    case_id: str
    files: PixelFiles
    fixations: Fixations
    label: int
    frame: Frame
    targets: Mapping[str, Path]
    is_copy: bool


def write_original_folders(
    source: Source,
    data: PreparedData,
    out: Path,
    workers: int = 0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write `Down2_Blur200`, `Down2_Blur500` and `Down2_Blur800` with the cases and the split of a prepared folder.

    Pixels, masks and gaze are preprocessed from the raw files as in the original, independent of how the prepared
    folder was made. Cases that are `.pt` files already are copied, only into the folder of their own blur, because a
    blurred map cannot be blurred again. After an interruption, a second call continues.

    Args:
        source: source of the prepared folder.
        data: the prepared folder.
        out: folder to create; its original.json records source, split and versions.
        workers: maximum number of processes; 0 for one per core.
        overwrite: whether to replace an existing folder of this kind, once the new one is complete.
        progress: function that is called with the number of finished cases and of all cases.

    Returns:
        Number of files in each folder, by the folder's name.

    Raises:
        ImageError: a raw file can no longer be read.
        PreparedFolderError: `out` exists and cannot be replaced, or the disk is full.
    """
    out = Path(out).resolve()
    splits: dict[str, Split] = dict(zip(data.cases["case_id"], data.cases["split"], strict=True))
    cases = [case for case in source.cases if case.case_id in splits]
    counts = Counter(folder for case in cases for folder in _folders(case))
    job = {
        "format": "original",
        "versions": ", ".join(f"{name} {version}" for name, version in versions(*VERSIONED_PACKAGES, "torch").items()),
        "size": str(data.frame),
        "source": source.name,
        "folders": ", ".join(counts),
        **source_digests(source, splits),
    }
    staging = StagingFolder(out, job, overwrite, MARKER)
    if staging.published:
        staging.clear()
        return dict(counts)
    for folder in counts:
        for name in SPLIT_FOLDERS.values():
            (staging.data / folder / name).mkdir(parents=True, exist_ok=True)
    files = {case.case_id: PixelFiles.from_case(case) for case in cases}
    if changed := staging.forget_changed(files):
        log.warning("%d raw images were replaced and are written again: %s", len(changed), join_limited(changed))
    tasks = [
        OriginalTask(
            case_id=case.case_id,
            files=files[case.case_id],
            fixations=case.fixations,
            label=case.class_index,
            frame=data.frame,
            targets={
                folder: staging.data / folder / SPLIT_FOLDERS[splits[case.case_id]] / f"{case.case_id}.pt"
                for folder in _folders(case)
            },
            is_copy=_map_folder(case) is not None,
        )
        for case in cases
        if case.case_id not in staging.outcomes
    ]
    _write_cases(tasks, staging, len(cases), workers, progress)
    if no_masks := [case.case_id for case in cases if not case.masks and _map_folder(case) is None]:
        log.warning(
            "%d cases have no masks, so their lung and heart are empty: %s", len(no_masks), join_limited(no_masks)
        )
    record = {**job, "class_names": data.class_names, "split": data.meta["split"], "files": counts}
    write_json(staging.data / MARKER, record)
    staging.publish()
    return dict(counts)


def write_case(task: OriginalTask) -> ImageOutcome:
    """Write one case's files.

    Args:
        task: the files to write.

    Returns:
        The size of the raw image, or the error of a raw file that cannot be read.

    Raises:
        PreparedFolderError: a file cannot be written.
    """
    version = task.files.version
    try:
        pixels, masks = task.files.read()
    except ImageError as error:
        return ImageOutcome(task.case_id, error=error)
    try:
        if task.is_copy:
            for target in task.targets.values():
                shutil.copyfile(task.files.image, target)
        else:
            empty = np.zeros(pixels.shape, dtype=bool)
            lung = masks.get("left_lung", empty) | masks.get("right_lung", empty)
            heart = masks.get("mediastinum", empty)
            for blur, content in process(pixels, task.fixations, lung, heart, task.label, task.frame).items():
                write_original(task.targets[folder_name(blur)], content)
    except OSError as error:
        raise PreparedFolderError(
            "the .pt file cannot be written",
            where=error.filename,
            got=error.strerror,
            hint="free disk space and run the same command again; it continues where it stopped",
        ) from None
    height, width = pixels.shape
    return ImageOutcome(task.case_id, size=(height, width), version=version)


def _write_cases(
    tasks: list[OriginalTask],
    staging: StagingFolder,
    total: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    if progress:
        progress(total - len(tasks), total)
    broken: list[ImageError] = []
    guard: Guard[OriginalTask, ImageOutcome] = decoding_guard(
        lambda task: task.files.paths, lambda task, error: ImageOutcome(task.case_id, error=error), slowness=10
    )
    for count, outcome in enumerate(parallel_map(write_case, tasks, workers, guard), start=total - len(tasks) + 1):
        if outcome.error:
            broken.append(outcome.error)
        else:
            staging.add(outcome)
        if progress:
            progress(count, total)
    if broken:
        raise ImageError(
            f"{len(broken):,} of the prepared cases can no longer be read; the first error:\n{broken[0]}",
            hint="repair the files and run the same command again; it continues where it stopped",
        )


def _folders(case: Case) -> tuple[str, ...]:
    """Return the names of the folders with a file of the case."""
    folder = _map_folder(case)
    return (folder,) if folder else tuple(map(folder_name, BLURS_PX))


def _map_folder(case: Case) -> str | None:
    """Return the name of the folder of a case's blurred map; None if its gaze is not blurred."""
    return next((flag.removeprefix(GAZE_MAP_FLAG) for flag in case.flags if flag.startswith(GAZE_MAP_FLAG)), None)
