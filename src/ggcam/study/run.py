"""Execute one run of a study: train, evaluate and move the finished run folder to its place."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ggcam.errors import GGCamError
from ggcam.run_folder import random_code
from ggcam.study.folder import PARTIAL, StudyFolder
from ggcam.study.plan import PlannedRun
from ggcam.study.process_state import restored_process_state

log = logging.getLogger(__name__)


MACHINE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""Errors that all further runs would meet, too: no disk space, a read-only disk, too many open files."""


@dataclass(frozen=True)
class Task:
    """A run to execute, in a form that can be sent to another process.

    Attributes:
        data: the prepared folder.
        study: the study folder.
        run: the run of the plan.
        threads: number of threads of its computations, and maximum number of processes that decode images. Default:
            chosen by torch.
        images: file with the decoded images of the prepared folder, from `shared_images`. Default: the run decodes the
            images itself.
    """

    data: Path
    study: Path
    run: PlannedRun
    threads: int | None = None
    images: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run.

    Attributes:
        name: name of the run.
        error: error message; None if the run is finished.
        seconds: duration of the run.
        macro_auroc: test macro AUROC; None if the run failed or the metric is undefined.
    """

    name: str
    error: str | None
    seconds: float
    macro_auroc: float | None = None


def run_one(task: Task) -> Outcome:
    """Train, evaluate once on the test split, and move the run folder to its place.

    Args:
        task: the run.

    Returns:
        The outcome; a failure is reported in it, not raised.

    Raises:
        OSError: one of `MACHINE_ERRORS`, which ends the study.
    """
    started = time.monotonic()
    macro_auroc, error = None, None
    try:
        with restored_process_state():
            macro_auroc = _train_and_evaluate(task)
    except GGCamError as mistake:
        error = _without_paths(str(mistake), task)
    except Exception as fault:
        if isinstance(fault, OSError) and fault.errno in MACHINE_ERRORS:
            fault.filename = fault.filename or str(task.study)
            raise
        log.debug("run %s failed", task.run.name, exc_info=True)
        place = traceback.extract_tb(fault.__traceback__)[-1]
        error = _without_paths(f"{type(fault).__name__}: {fault} ({Path(place.filename).name}:{place.lineno})", task)
    return Outcome(task.run.name, error, time.monotonic() - started, macro_auroc)


def _without_paths(error: str, task: Task) -> str:
    """Replace the paths of data and study by their names: errors.json and the page tell nothing about the machine."""
    return error.replace(str(task.data), task.data.name).replace(str(task.study), task.study.name)


def _train_and_evaluate(task: Task) -> float | None:
    import torch

    from ggcam.data.pixel_cache import DecodedImages
    from ggcam.data.prepared import load_prepared
    from ggcam.evaluation.evaluate import evaluate
    from ggcam.training.train import train

    config = replace(task.run.config, devices="1", nodes=1, strategy="auto")
    if task.threads is not None:
        torch.set_num_threads(task.threads)
        config = replace(config, workers=min(8, task.threads))
    study = StudyFolder(task.study)
    # A folder of its own: a cluster that takes a slow machine for a lost one executes the same run twice.
    # It is as deep in the study as the finished run, so that the path of the data stays right when it is moved.
    partial = study.root / f"{PARTIAL}{random_code()}"
    try:
        data = load_prepared(task.data)
        if task.images is not None:
            data = replace(data, decoded=DecodedImages(task.images, data.cases["case_id"].tolist()))
        with _without_repeated_warnings():
            run = train(data, config, partial, task.run.name)
        evaluation = evaluate(run, data)
        _publish(evaluation.save().root, study.run(task.run))
        return evaluation.metrics["macro_auroc"]["value"]
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _without_repeated_warnings() -> Iterator[None]:
    """Leave out the warnings about data and initial weights, which `validate_plan` has given once for all runs."""
    loggers = [logging.getLogger(f"ggcam.training.{name}") for name in ("data_checks", "initial_model")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _publish(finished: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(finished, place)
    except OSError:
        if not (place / "metrics.json").is_file():  # otherwise another machine was faster, with the same result
            raise
