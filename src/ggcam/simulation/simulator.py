"""Draws simulated cases in several processes and writes them as one raw data set."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from numpy.random import Generator, SeedSequence, default_rng

from ggcam.errors import DataError
from ggcam.simulation import egd_layout, reflacx_layout
from ggcam.simulation.anatomy import Chest
from ggcam.simulation.appearance import add_devices, add_marker, expose
from ggcam.simulation.backgrounds import Background, chest_from_background, find_backgrounds
from ggcam.simulation.canvas import Canvas
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.findings import CLASS_NAMES, add_distractors, add_findings, draw_cardiothoracic_ratio
from ggcam.simulation.layout import DrawnCase, WrittenCase
from ggcam.simulation.phantom import Body, Pose, draw_phantom
from ggcam.simulation.plan import CasePlan, assign_readings, draw_plan
from ggcam.utils.atomic import naming_place
from ggcam.utils.locks import locked_target
from ggcam.utils.parallel import parallel_map

log = logging.getLogger(__name__)

LAYOUTS = {"egd_cxr": egd_layout, "reflacx": reflacx_layout}
"""Modules that write a raw layout, by its name."""


@dataclass(frozen=True)
class SimulationSummary:
    """Counts of what a simulation has written.

    Attributes:
        root: folder of the data set.
        cases: number of images.
        per_class: number of images of each class.
        per_split: number of images in each split.
        readings: number of readings with gaze; in EGD-CXR at most one per case.
        fixations: number of fixations, without those of the tracker's calibration.
        without_gaze: number of cases without fixations.
        inattentive: number of readings without extra dwell on the findings of an image that has some.
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
    out: Path | str, config: SimulationConfig | None = None, *, progress: Callable[[int, int], None] | None = None
) -> SimulationSummary:
    """Simulate chest X-rays with gaze, and write them to a new folder in the raw layout of a public data set.

    The folder is written completely or not at all: until the end, all files are in `<out>.partial` beside it.

    Args:
        out: folder to create; it must not exist yet, or be empty.
        config: what to simulate; None takes the defaults. The same configuration gives the same bytes, with any number
            of workers.
        progress: function that is called after each case with the number of finished cases and of all cases.

    Returns:
        The counts of cases, readings and fixations.

    Raises:
        DataError: `out` exists and is not an empty folder, or there are too few backgrounds.
        BusyError: another process is writing `out`.
        MissingFileError: the folder of backgrounds or one of its lung masks does not exist.
        ImageError: a background cannot be read, or its lung mask has another size.

    Example:
        >>> summary = simulate("raw", SimulationConfig(cases=12, size="64x64", workers=1))
        >>> summary.cases, summary.per_class
        (12, {'Normal': 4, 'CHF': 4, 'pneumonia': 4})
    """
    out = Path(out)
    config = config or SimulationConfig()
    _check_output_folder(out)
    tasks = _plan_tasks(config)
    with locked_target(out):
        _check_output_folder(out)
        cases = _write_data_set(out.resolve(), config, tasks, progress)
    plans = [task.plan for task in tasks]
    return SimulationSummary(
        root=out,
        cases=len(plans),
        per_class=dict(Counter(CLASS_NAMES[label] for label in sorted(plan.label for plan in plans))),
        per_split=dict(Counter(plan.split for plan in plans)),
        readings=sum(case.readings for case in cases),
        fixations=sum(case.fixations for case in cases),
        without_gaze=sum(case.fixations == 0 for case in cases),
        inattentive=sum(case.inattentive for case in cases),
    )


def _write_data_set(
    target: Path, config: SimulationConfig, tasks: Sequence[_Task], progress: Callable[[int, int], None] | None
) -> list[WrittenCase]:
    """Draw and write all cases in the staging folder, and rename it."""
    staging = target.with_name(target.name + ".partial")
    if staging.exists():
        log.warning("removing the remains of an interrupted run: %s", staging)
        shutil.rmtree(staging)
    staging.mkdir(parents=True)
    written: dict[int, WrittenCase] = {}
    try:
        with closing(parallel_map(partial(_write_case, staging, config), tasks, config.workers)) as results:
            for index, case in results:
                written[index] = case
                if progress is not None:
                    progress(len(written), config.cases)
        cases = [written[index] for index in range(config.cases)]
        LAYOUTS[config.layout].write_tables(staging, cases)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    if target.exists():
        target.rmdir()
    staging.rename(target)
    return cases


@dataclass(frozen=True)
class _Task:
    plan: CasePlan
    seed: SeedSequence
    patient_seed: SeedSequence
    background: Background | None


def _plan_tasks(config: SimulationConfig) -> list[_Task]:
    backgrounds = find_backgrounds(config.backgrounds) if config.backgrounds is not None else ()
    plan_seed, patient_seed, case_seed = SeedSequence(config.seed).spawn(3)
    plan_rng = default_rng(plan_seed)
    patients = [background.patient for background in backgrounds] or None
    plans = draw_plan(config.cases, config.shortcut, plan_rng, patients)
    if config.layout == "reflacx":
        plans = assign_readings(plans, plan_rng)
    patient_seeds = patient_seed.spawn(1 + max(plan.patient for plan in plans))
    return [
        _Task(
            plan, seed, patient_seeds[plan.patient], None if plan.background is None else backgrounds[plan.background]
        )
        for plan, seed in zip(plans, case_seed.spawn(config.cases), strict=True)
    ]


def _check_output_folder(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            "the output folder exists already and is not empty" if out.is_dir() else "the output folder is a file",
            where=out,
            expected="a folder that does not exist yet, or an empty one",
            hint=f"choose another folder, or delete this one first to overwrite it: rm -r '{out}'",
        )


def _write_case(root: Path, config: SimulationConfig, task: _Task) -> tuple[int, WrittenCase]:
    """Draw and write one case; return its index with it, because cases are finished in any order."""
    rng = default_rng(task.seed)
    drawn = _draw_case(config, task, rng)
    with naming_place(root):
        return task.plan.index, LAYOUTS[config.layout].write_case(root, config, task.plan, drawn, rng)


def _draw_case(config: SimulationConfig, task: _Task, rng: Generator) -> DrawnCase:
    canvas = Canvas(config.height_px, config.width_px)
    ratio = draw_cardiothoracic_ratio(task.plan.label, rng)
    chest = _draw_chest(canvas, task, ratio, rng)
    add_distractors(canvas, chest, rng)
    findings = add_findings(canvas, chest, task.plan.label, ratio, rng)
    has_device = add_devices(canvas, chest, rng)
    image = expose(canvas, chest.attenuation, rng)
    marker = add_marker(canvas, image, task.plan.marker, rng)
    return DrawnCase(canvas, chest, findings, has_device, image, marker)


def _draw_chest(canvas: Canvas, task: _Task, ratio: float, rng: Generator) -> Chest:
    """Draw a chest with a heart of the given size and without other findings."""
    if task.background is not None:
        return chest_from_background(canvas, task.background, ratio, rng)
    body = Body.draw(default_rng(task.patient_seed))
    return draw_phantom(canvas, body, Pose.draw(rng), ratio, rng)
