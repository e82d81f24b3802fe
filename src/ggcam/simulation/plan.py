"""Who is in the simulated data: cases, patients, classes, splits and markers, all decided before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from ggcam.data.case import SPLITS, Split
from ggcam.simulation.appearance import MARKERS
from ggcam.simulation.findings import CLASS_NAMES

SPLIT_SHARES = (0.7, 0.1, 0.2)
SECOND_IMAGE = 0.05
"""Share of patients with two images, who keep their class."""


READERS = 5
SEVERAL_READERS = 0.05
"""Share of the images that all five read in phase 1; as many again in phase 2, and one reader each in phase 3."""
DISCARDED = 0.05
"""Share of the readings whose gaze was thrown away."""


@dataclass(frozen=True)
class ReadingPlan:
    """One reading of an image in REFLACX.

    Attributes:
        reading_id: P, the phase, two digits of the trial (00 in phase 3), R, six digits.
        phase: 1, 2 or 3.
        discarded: whether its gaze was thrown away.
    """

    reading_id: str
    phase: int
    discarded: bool


@dataclass(frozen=True)
class CasePlan:
    """One case to be drawn.

    Attributes:
        index: position in the tables.
        dicom_id: 44 characters.
        patient_id: 8 digits; cases of one patient share a split.
        study_id: 8 digits.
        patient: number of the patient, from 0.
        background: number of the background, where backgrounds are used.
        label: class.
        split: of the patient.
        marker: which marker the image bears.
        readings: (REFLACX) who reads it when.
    """

    index: int
    dicom_id: str
    patient_id: int
    study_id: int
    patient: int
    background: int | None
    label: int
    split: Split
    marker: int
    readings: tuple[ReadingPlan, ...] = ()

    @property
    def path(self) -> str:
        """Path of the DICOM file under the root, as in master_sheet.csv."""
        return f"files/p{self.patient_id // 1_000_000}/p{self.patient_id}/s{self.study_id}/{self.dicom_id}.dcm"


def draw_plan(
    cases: int, shortcut: float, rng: Generator, background_patients: Sequence[int] | None = None
) -> tuple[CasePlan, ...]:
    """Decide on every case.

    Args:
        cases: how many.
        shortcut: probability that a marker in training or validation is the one of the class.
        rng: source of all that is random.
        background_patients: number of the patient, from 0, that each background shows; every background stays in one
            split, with all others of the same patient. None for phantoms, who are born with their classes.
    """
    rows = _phantoms(cases, rng) if background_patients is None else _photographed(cases, rng, background_patients)
    order = rng.permutation(len(rows))
    patients = 1 + max(patient for _, _, patient, _ in rows)
    patient_ids = rng.choice(10_000_000, size=patients, replace=False) + 10_000_000
    study_ids = rng.choice(10_000_000, size=cases, replace=False) + 50_000_000
    agrees = rng.random(cases) < shortcut
    markers = rng.integers(len(MARKERS), size=cases)
    plans = []
    for index, row in enumerate(order):
        label, split, patient, background = rows[row]
        marker = label if agrees[index] and split != "test" else int(markers[index])
        plan = CasePlan(
            index=index,
            dicom_id=_dicom_id(rng),
            patient_id=int(patient_ids[patient]),
            study_id=int(study_ids[index]),
            patient=patient,
            background=background,
            label=label,
            split=split,
            marker=marker,
        )
        plans.append(plan)
    return tuple(plans)


def with_readings(plans: Sequence[CasePlan], rng: Generator) -> tuple[CasePlan, ...]:
    """Let readers read the images, in three phases as in REFLACX."""
    several = max(1, round(SEVERAL_READERS * len(plans)))
    phases = np.repeat([1, 2, 3], [several, several, len(plans) - 2 * several])
    trials = [
        (at, phase, trial)
        for at, phase in enumerate(rng.permutation(phases).tolist())
        for trial in ([0] if phase == 3 else range(1, READERS + 1))
    ]
    numbers = rng.choice(900_000, size=len(trials), replace=False) + 100_000
    discarded = set(rng.choice(len(trials), size=max(1, round(DISCARDED * len(trials))), replace=False).tolist())
    readings: list[list[ReadingPlan]] = [[] for _ in plans]
    for number, (at, phase, trial) in enumerate(trials):
        reading_id = f"P{phase}{trial:02}R{numbers[number]}"
        readings[at].append(ReadingPlan(reading_id, phase, number in discarded))
    return tuple(replace(plan, readings=tuple(own)) for plan, own in zip(plans, readings, strict=True))


_Row = tuple[int, Split, int, int | None]


def _phantoms(cases: int, rng: Generator) -> list[_Row]:
    """Label, split, patient and no background of each case; a few patients come twice."""
    rows: list[_Row] = []
    patient = 0
    for label in range(len(CLASS_NAMES)):
        count = cases // len(CLASS_NAMES) + (label < cases % len(CLASS_NAMES))
        for split, size in zip(SPLITS, _sizes(count), strict=True):
            left = size
            while left > 0:
                images = 2 if left > 1 and rng.random() < SECOND_IMAGE else 1
                row: _Row = (label, split, patient, None)
                rows += [row] * images
                patient, left = patient + 1, left - images
    return rows


def _photographed(cases: int, rng: Generator, background_patients: Sequence[int]) -> list[_Row]:
    """The same on backgrounds: each bears several cases, of any class, all in its patient's split."""
    patients = rng.permutation(max(background_patients) + 1)
    cuts = np.cumsum(_sizes(len(patients)))[:-1]
    rows: list[_Row] = []
    for split, members in zip(SPLITS, np.split(patients, cuts), strict=True):
        backgrounds = np.flatnonzero(np.isin(background_patients, members))
        for label in range(len(CLASS_NAMES)):
            count = cases // len(CLASS_NAMES) + (label < cases % len(CLASS_NAMES))
            size = _sizes(count)[SPLITS.index(split)]
            chosen = np.resize(rng.permutation(backgrounds), size).tolist()
            rows.extend((label, split, background_patients[background], background) for background in chosen)
    return rows


def _sizes(count: int) -> tuple[int, int, int]:
    """How many of `count` fall to each split: at least one each, from three on."""
    valid, test = (max(1, round(share * count)) for share in SPLIT_SHARES[1:])
    return count - valid - test, valid, test


def _dicom_id(rng: Generator) -> str:
    text = rng.bytes(20).hex()
    return "-".join(text[start : start + 8] for start in range(0, 40, 8))
