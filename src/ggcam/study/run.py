"""One run of a study, from nothing to a whole run folder; it reports its failure instead of raising it."""

from __future__ import annotations

import logging
import os
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ggcam.errors import GGCamError
from ggcam.run_folder import random_code
from ggcam.study.folder import StudyFolder
from ggcam.study.plan import PlannedRun

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A run to carry out, as another process is told of it.

    Attributes:
        data: the prepared folder.
        study: the study folder.
        run: which of its runs.
        threads: for its computations, and the most processes that decode images for it; None leaves that to torch.
        on_start: called first, such as to quieten other packages; a function of a module.
    """

    data: Path
    study: Path
    run: PlannedRun
    threads: int | None = None
    on_start: Callable[[], None] | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run went.

    Attributes:
        name: of the run.
        error: why it failed; None where it is finished.
        seconds: it took.
    """

    name: str
    error: str | None
    seconds: float


def run_one(task: Task) -> Outcome:
    """Train on the run's data, evaluate once on its test split, and put the whole folder in its place."""
    started = time.monotonic()
    try:
        _carry_out(task)
        error = None
    except GGCamError as mistake:
        error = str(mistake)
    except Exception as fault:
        log.debug("run %s failed", task.run.name, exc_info=True)
        place = traceback.extract_tb(fault.__traceback__)[-1]
        error = f"{type(fault).__name__}: {fault} ({Path(place.filename).name}:{place.lineno})"
    return Outcome(task.run.name, error, time.monotonic() - started)


def _carry_out(task: Task) -> None:
    if task.on_start is not None:
        task.on_start()
    import torch

    from ggcam.data.prepared import load_prepared
    from ggcam.evaluation.evaluate import evaluate, write_evaluation
    from ggcam.training.fit import fit

    config = replace(task.run.config, devices="1", nodes=1, strategy="auto")
    if task.threads is not None:
        torch.set_num_threads(task.threads)
        config = replace(config, workers=min(8, task.threads))
    study = StudyFolder(task.study)
    # A place of its own: where a cluster takes a slow machine for a lost one, two of them make the same run.
    partial = study.partial / random_code()
    try:
        run = fit(load_prepared(task.data), config, partial, task.run.name)
        write_evaluation(run.root, evaluate(run.root))
        _publish(run.root, study.run(task.run))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(whole: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(whole, place)
    except OSError:
        if not (place / "metrics.json").is_file():  # else another machine was faster, with the same result
            raise
