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

from ggcam.data.processes import cores, start_worker
from ggcam.data.simulate import egd_layout, egd_rows
from ggcam.data.simulate.anatomy import Chest
from ggcam.data.simulate.appearance import detect, expose, lay_devices, lay_marker
from ggcam.data.simulate.backgrounds import Background, find_backgrounds, photographed_chest
from ggcam.data.simulate.canvas import Canvas
from ggcam.data.simulate.config import SimulationConfig
from ggcam.data.simulate.findings import CLASS_NAMES, cardiothoracic_ratio, lay_decoys, lay_findings
from ggcam.data.simulate.phantom import Body, Pose, draw_phantom
from ggcam.data.simulate.plan import CasePlan, draw_plan
from ggcam.data.simulate.scanpath import draw_gaze
from ggcam.data.simulate.screen import Screen
from ggcam.errors import DataError

log = logging.getLogger(__name__)

FEWEST_CASES_A_WORKER = 20
"""A process takes longer to start than so many cases take to draw."""


@dataclass(frozen=True)
class SimulationSummary:
    """What was written.

    Attributes:
        root: the data set.
        cases: number of images.
        per_class: class name -> images.
        per_split: split -> images.
        fixations: number of rows of fixations, those of the calibration left out.
        without_gaze: cases without fixations.
        inattentive: readings of an image with findings in which these got no extra dwell.
    """

    root: Path
    cases: int
    per_class: Mapping[str, int]
    per_split: Mapping[str, int]
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
    _demand_free(out)
    backgrounds = find_backgrounds(config.backgrounds) if config.backgrounds is not None else ()
    plan_seed, patient_seed, case_seed = SeedSequence(config.seed).spawn(3)
    plans = draw_plan(
        config.cases,
        config.shortcut,
        default_rng(plan_seed),
        [background.patient for background in backgrounds] or None,
    )
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
    results: list[_Drawn] = []
    try:
        with closing(_run(partial(_draw_case, partial_root, config), jobs, config.workers)) as running:
            for drawn in running:
                results.append(drawn)
                if progress is not None:
                    progress(len(results), config.cases)
        egd_layout.write_tables(partial_root, (drawn.tables for drawn in results))
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


@dataclass(frozen=True)
class _Drawn:
    tables: egd_layout.Tables
    fixations: int
    missed: bool


def _demand_free(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            "the folder for the simulated data exists already and is not empty" if out.is_dir() else "a file is there",
            where=out,
            expected="a folder that does not exist yet, or an empty one",
            fix=f"name another folder, or delete this one first to overwrite it: rm -r '{out}'",
        )


def _run(draw: Callable[[_Job], _Drawn], jobs: list[_Job], workers: int) -> Generator[_Drawn, None, None]:
    """The results in the order of the jobs."""
    most = min(workers or cores(), max(1, len(jobs) // FEWEST_CASES_A_WORKER))
    if most == 1:
        yield from map(draw, jobs)
        return
    # "spawn" on every system: forking a process that runs threads (OpenCV, torch) may hang.
    pool = ProcessPoolExecutor(most, multiprocessing.get_context("spawn"), initializer=start_worker)
    with pool:
        yield from pool.map(draw, jobs, chunksize=8)


def _draw_case(root: Path, config: SimulationConfig, job: _Job) -> _Drawn:
    plan, rng = job.plan, default_rng(job.seed)
    canvas = Canvas(config.height_px, config.width_px)
    ratio = cardiothoracic_ratio(plan.label, rng)
    chest = _empty_chest(canvas, job, ratio, rng)
    lay_decoys(canvas, chest, rng)
    findings = lay_findings(canvas, chest, plan.label, ratio, rng)
    device = lay_devices(canvas, chest, rng)
    image = expose(canvas, chest.attenuation, rng)
    marker = lay_marker(canvas, image, plan.marker, rng)

    attentive, looks = bool(rng.random() >= config.inattentive), rng.random() >= config.no_gaze
    gaze = draw_gaze(chest, findings, config.gaze_noise_deg, attentive, rng) if looks else None
    screen = Screen(canvas.height_px, canvas.width_px)
    total_s = 0.0 if gaze is None else float(gaze.start_s[-1] + gaze.duration_s[-1])

    egd_layout.write_masks(root, plan, chest, egd_rows.transcript(findings, total_s, canvas.width_px))
    egd_layout.write_dicom(root, plan, detect(canvas, image, rng), rng)
    records = {
        "master_sheet.csv": [egd_rows.master_row(plan, screen, findings, device, rng)],
        "bounding_boxes.csv": egd_rows.box_rows(plan, chest.boxes),
        "findings.csv": egd_rows.finding_rows(plan, findings, marker),
        "split.csv": [[plan.dicom_id, plan.split]],
    }
    tables = egd_layout.table_parts(records, egd_rows.fixation_rows(plan, screen, gaze, rng))
    missed = gaze is not None and not attentive and len(findings) > 0
    return _Drawn(tables, fixations=0 if gaze is None else len(gaze.x_px), missed=missed)


def _empty_chest(canvas: Canvas, job: _Job, ratio: float, rng: random.Generator) -> Chest:
    """A chest with a heart of its size and nothing else to find."""
    if job.background is not None:
        return photographed_chest(canvas, job.background, ratio, rng)
    body = Body.draw(default_rng(job.patient_seed))
    return draw_phantom(canvas, body, Pose.draw(rng), ratio, rng)
