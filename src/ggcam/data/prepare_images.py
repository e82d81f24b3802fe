"""Image and mask files -> PNGs of the frame's size, in several processes, with no more than a few images in memory."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

import cv2
import numpy as np

from ggcam.data.case import MASK_BITS, Frame, MaskName
from ggcam.data.images import read_image, resize_mask, resize_to_frame, to_uint8
from ggcam.errors import ConfigError, ImageError, PreparedFolderError

_TASKS_PER_WORKER = 16
"""A process takes about a second to start, the time of so many images; fewer are not worth another."""

_WAITING_PER_WORKER = 4
"""Tasks handed out ahead, so that no worker waits and no queue grows."""


@dataclass(frozen=True)
class ImageTask:
    """One case's pixels: where they come from, where they go, and how.

    Attributes:
        case_id: of the case.
        image: raw image file.
        masks: raw mask files of the image's size, nonzero inside.
        image_png: where the prepared image goes.
        mask_png: where the masks go, one bit each; nothing is written when there are none.
        frame: the size to fit into.
        bits: 8 or 16, of the prepared image.
    """

    case_id: str
    image: Path
    masks: Mapping[MaskName, Path]
    image_png: Path
    mask_png: Path
    frame: Frame
    bits: int


@dataclass(frozen=True)
class ImageOutcome:
    """What became of a task: the raw image's (height, width) in pixels, or the reason why there is none."""

    case_id: str
    size: tuple[int, int] | None = None
    error: ImageError | None = None


def prepare_image(task: ImageTask) -> ImageOutcome:
    """Read, fit, pad and write one case's image and masks; a broken file is an outcome, not an exception.

    Raises:
        PreparedFolderError: the target cannot be written.
    """
    try:
        image = read_image(task.image)
        masks = _read_masks(task, image.shape)
    except ImageError as error:
        return ImageOutcome(task.case_id, error=error)
    framed = resize_to_frame(image, task.frame)
    # 8 bits repeated fill 16: 255 becomes 65535.
    pixels = to_uint8(framed) if task.bits == 8 else framed * np.uint16(257 if framed.dtype == np.uint8 else 1)
    _write_png(task.image_png, pixels)
    if masks is not None:
        _write_png(task.mask_png, masks)
    height, width = image.shape
    return ImageOutcome(task.case_id, size=(height, width))


def _read_masks(task: ImageTask, size: tuple[int, ...]) -> np.ndarray | None:
    """All masks of a case in one uint8 array of the frame's size, a bit each; None when it has none."""
    if not task.masks:
        return None
    bits = np.zeros((task.frame.height_px, task.frame.width_px), dtype=np.uint8)
    for name, path in task.masks.items():
        mask = read_image(path)
        if mask.shape != size:
            raise ImageError("a mask is not of its image's size", where=path, expected=size, got=mask.shape)
        bits |= resize_mask(mask, task.frame) * np.uint8(MASK_BITS[name])
    return bits


def _write_png(path: Path, pixels: np.ndarray) -> None:
    # The lowest compression: higher ones take several times as long and save little on the noise of X-rays.
    _, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise PreparedFolderError(
            "a prepared image cannot be written",
            where=path,
            got=error.strerror,
            fix="make room, then run the same command again: it goes on from there",
        ) from None


def prepare_images(tasks: Sequence[ImageTask], workers: int = 0) -> Iterator[ImageOutcome]:
    """Yield each task's outcome as soon as it is there, in any order.

    Args:
        tasks: what to do.
        workers: processes; 0 for one a core. Few tasks are done in this process.

    Raises:
        ConfigError: a worker was killed, most likely for want of memory.
        PreparedFolderError: a target cannot be written.
    """
    workers = min(workers or _cores(), -(-len(tasks) // _TASKS_PER_WORKER))
    return _in_processes(tasks, workers) if workers > 1 else map(prepare_image, tasks)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _in_processes(tasks: Sequence[ImageTask], workers: int) -> Iterator[ImageOutcome]:
    # Spawned, not forked: a fork inherits the locks of threads (OpenCV's, torch's) that do not exist in it.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start_worker)
    running: set[Future[ImageOutcome]] = set()
    try:
        for number, task in enumerate(tasks, start=1):
            running.add(pool.submit(prepare_image, task))
            while len(running) >= (_WAITING_PER_WORKER * workers if number < len(tasks) else 1):
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
    except BrokenProcessPool:
        raise ConfigError(
            "a worker process was killed, most likely for want of memory",
            where="--workers",
            got=workers,
            fix="run the same command again with fewer --workers: it goes on from there",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """One thread for OpenCV in each of many processes; Ctrl-C is the parent's affair; and no worker outlives it."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
