"""Draws simulated cases over several processes and writes them as one data set."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from numpy import random
from numpy.random import SeedSequence, default_rng

from ggcam.errors import DataError
from ggcam.simulation import egd_layout, reflacx_layout
from ggcam.simulation.anatomy import Chest
from ggcam.simulation.appearance import expose, lay_devices, lay_marker
from ggcam.simulation.backgrounds import Background, find_backgrounds, photographed_chest
from ggcam.simulation.canvas import Canvas
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.findings import CLASS_NAMES, cardiothoracic_ratio, lay_decoys, lay_findings
from ggcam.simulation.layout import Scene, Written
from ggcam.simulation.phantom import Body, Pose, draw_phantom
from ggcam.simulation.plan import CasePlan, draw_plan, with_readings
from ggcam.utils.parallel import cpu_count, start_worker

log = logging.getLogger(__name__)

LAYOUTS = {"egd_cxr": egd_layout, "reflacx": reflacx_layout}
"""Name of a layout -> the module that writes it."""

MIN_CASES_PER_WORKER = 20
"""A process takes longer to start than so many cases take to draw."""


@dataclass(frozen=True)
class SimulationSummary:
    """What was written.

    Attributes:
        root: the data set.
        cases: number of images.
        per_class: class name -> images.
        per_split: split -> images.
        readings: with gaze; in EGD-CXR one a case at most.
        fixations: number of rows of fixations, those of the calibration left out.
        without_gaze: cases without fixations.
        inattentive: readings of an image with findings in which these got no extra dwell.
    """

    root: Path
    cases: int
    per_class: Mapping[str, int]
    per_split: Mapping[str, int]
    readings: int
    fixations: int
    without_gaze: int
    inattentive: int


def simulate(
    out: Path, config: SimulationConfig, progress: Callable[[int, int], None] | None = None
) -> SimulationSummary:
    """Draw chest X-rays with gaze and write them to a new folder, whole or not at all.

    Args:
        out: folder to make; it must not exist, or be empty. Until the end everything is in `<out>.partial` beside it.
        config: what to draw. The same configuration gives the same bytes, however many workers there are.
        progress: called with the number of cases done and of all cases, after each.

    Raises:
        DataError: `out` is in the way.
        MissingFileError, ImageError: the backgrounds are not of their form.
    """
    _check_free(out)
    backgrounds = find_backgrounds(config.backgrounds) if config.backgrounds is not None else ()
    plan_seed, patient_seed, case_seed = SeedSequence(config.seed).spawn(3)
    plan_rng = default_rng(plan_seed)
    plans = draw_plan(
        config.cases, config.shortcut, plan_rng, [background.patient for background in backgrounds] or None
    )
    if config.layout == "reflacx":
        plans = with_readings(plans, plan_rng)
    patient_seeds = patient_seed.spawn(1 + max(plan.patient for plan in plans))
    jobs = [
        _Job(plan, seed, patient_seeds[plan.patient], None if plan.background is None else backgrounds[plan.background])
        for plan, seed in zip(plans, case_seed.spawn(config.cases), strict=True)
    ]
    whole = out.resolve()
    partial_root = whole.with_name(whole.name + ".partial")
    if partial_root.exists():
        log.warning("removing what an interrupted run left in %s", partial_root)
        shutil.rmtree(partial_root)
    partial_root.mkdir(parents=True)
    results: list[Written] = []
    try:
        with closing(_run(partial(_draw_case, partial_root, config), jobs, config.workers)) as running:
            for drawn in running:
                results.append(drawn)
                if progress is not None:
                    progress(len(results), config.cases)
        LAYOUTS[config.layout].write_tables(partial_root, results)
    except BaseException:
        shutil.rmtree(partial_root, ignore_errors=True)
        raise
    if whole.exists():
        whole.rmdir()
    partial_root.rename(whole)
    return SimulationSummary(
        root=out,
        cases=len(plans),
        per_class=dict(Counter(CLASS_NAMES[label] for label in sorted(plan.label for plan in plans))),
        per_split=dict(Counter(plan.split for plan in plans)),
        readings=sum(drawn.readings for drawn in results),
        fixations=sum(drawn.fixations for drawn in results),
        without_gaze=sum(drawn.fixations == 0 for drawn in results),
        inattentive=sum(drawn.missed for drawn in results),
    )


@dataclass(frozen=True)
class _Job:
    plan: CasePlan
    seed: SeedSequence
    patient_seed: SeedSequence
    background: Background | None


def _check_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            "the folder for the simulated data exists already and is not empty" if out.is_dir() else "a file is there",
            where=out,
            expected="a folder that does not exist yet, or an empty one",
            hint=f"name another folder, or delete this one first to overwrite it: rm -r '{out}'",
        )


def _run(draw: Callable[[_Job], Written], jobs: list[_Job], workers: int) -> Generator[Written, None, None]:
    """The results in the order of the jobs."""
    most = min(workers or cpu_count(), max(1, len(jobs) // MIN_CASES_PER_WORKER))
    if most == 1:
        yield from map(draw, jobs)
        return
    # "spawn" on every system: forking a process that runs threads (OpenCV, torch) may hang.
    pool = ProcessPoolExecutor(most, multiprocessing.get_context("spawn"), initializer=start_worker)
    with pool:
        yield from pool.map(draw, jobs, chunksize=8)


def _draw_case(root: Path, config: SimulationConfig, job: _Job) -> Written:
    plan, rng = job.plan, default_rng(job.seed)
    return LAYOUTS[config.layout].write_case(root, config, plan, _draw_scene(config, job, rng), rng)


def _draw_scene(config: SimulationConfig, job: _Job, rng: random.Generator) -> Scene:
    canvas = Canvas(config.height_px, config.width_px)
    ratio = cardiothoracic_ratio(job.plan.label, rng)
    chest = _empty_chest(canvas, job, ratio, rng)
    lay_decoys(canvas, chest, rng)
    findings = lay_findings(canvas, chest, job.plan.label, ratio, rng)
    device = lay_devices(canvas, chest, rng)
    image = expose(canvas, chest.attenuation, rng)
    return Scene(canvas, chest, findings, device, image, lay_marker(canvas, image, job.plan.marker, rng))


def _empty_chest(canvas: Canvas, job: _Job, ratio: float, rng: random.Generator) -> Chest:
    """A chest with a heart of its size and nothing else to find."""
    if job.background is not None:
        return photographed_chest(canvas, job.background, ratio, rng)
    body = Body.draw(default_rng(job.patient_seed))
    return draw_phantom(canvas, body, Pose.draw(rng), ratio, rng)
