"""Plan of the simulated data: patients, classes, splits and markers of all cases, before any is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from ggcam.data.case import SPLITS, Split
from ggcam.simulation.appearance import MARKERS
from ggcam.simulation.findings import CLASS_NAMES

SPLIT_FRACTIONS = (0.7, 0.1, 0.2)
"""Fractions of the cases in training, validation and test."""
SECOND_IMAGE_PROB = 0.05
"""Probability that a patient has a second image of the same class."""

READERS = 5
MULTI_READER_SHARE = 0.05
"""Share of the images with five readers in phase 1, and again in phase 2; in phase 3 each image has one reader."""
DISCARDED_SHARE = 0.05
"""Share of the readings whose gaze is discarded."""


@dataclass(frozen=True)
class ReadingPlan:
    """One reading of an image in REFLACX.

    Attributes:
        reading_id: "P", the phase, two digits of the trial (00 in phase 3), "R", and six digits.
        phase: 1, 2 or 3.
        discarded: whether its gaze is discarded.
    """

    reading_id: str
    phase: int
    discarded: bool


@dataclass(frozen=True)
class CasePlan:
    """Plan of one case.

    Attributes:
        index: position in the tables.
        dicom_id: id of the image, 44 characters.
        patient_id: id of the patient, 8 digits; all cases of a patient are in the same split.
        study_id: id of the study, 8 digits.
        patient: index of the patient.
        background: index of the background; None for a phantom.
        label: class index.
        split: split of the patient.
        marker: index of the marker.
        readings: readings of the image (REFLACX only).
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
    """Plan all cases.

    Args:
        cases: number of cases.
        shortcut: probability that a training or validation image bears the marker of its class.
        rng: random generator.
        background_patients: index of the patient of each background; all backgrounds of a patient are used in the same
            split. None draws phantoms.

    Returns:
        One plan per case, in random order.
    """
    rows = (
        _plan_phantoms(cases, rng)
        if background_patients is None
        else _plan_on_backgrounds(cases, rng, background_patients)
    )
    order = rng.permutation(len(rows))
    patients = 1 + max(patient for _, _, patient, _ in rows)
    patient_ids = rng.choice(10_000_000, size=patients, replace=False) + 10_000_000
    study_ids = rng.choice(10_000_000, size=cases, replace=False) + 50_000_000
    has_class_marker = rng.random(cases) < shortcut
    markers = rng.integers(len(MARKERS), size=cases)
    plans = []
    for index, row in enumerate(order):
        label, split, patient, background = rows[row]
        marker = label if has_class_marker[index] and split != "test" else int(markers[index])
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


def assign_readings(plans: Sequence[CasePlan], rng: Generator) -> tuple[CasePlan, ...]:
    """Assign readings to cases, in three phases as in REFLACX.

    Args:
        plans: plans of all cases.
        rng: random generator.

    Returns:
        The plans with their readings.
    """
    num_multi = max(1, round(MULTI_READER_SHARE * len(plans)))
    phases = np.repeat([1, 2, 3], [num_multi, num_multi, len(plans) - 2 * num_multi])
    trials = [
        (index, phase, trial)
        for index, phase in enumerate(rng.permutation(phases).tolist())
        for trial in ([0] if phase == 3 else range(1, READERS + 1))
    ]
    numbers = rng.choice(900_000, size=len(trials), replace=False) + 100_000
    discarded = set(rng.choice(len(trials), size=max(1, round(DISCARDED_SHARE * len(trials))), replace=False).tolist())
    readings: list[list[ReadingPlan]] = [[] for _ in plans]
    for number, (index, phase, trial) in enumerate(trials):
        reading_id = f"P{phase}{trial:02}R{numbers[number]}"
        readings[index].append(ReadingPlan(reading_id, phase, number in discarded))
    return tuple(replace(plan, readings=tuple(own)) for plan, own in zip(plans, readings, strict=True))


_Row = tuple[int, Split, int, int | None]
"""Label, split, patient and background of a case."""


def _plan_phantoms(cases: int, rng: Generator) -> list[_Row]:
    """Plan phantoms, of which a few belong to the same patient."""
    rows: list[_Row] = []
    patient = 0
    for label in range(len(CLASS_NAMES)):
        count = cases // len(CLASS_NAMES) + (label < cases % len(CLASS_NAMES))
        for split, size in zip(SPLITS, _split_sizes(count), strict=True):
            remaining = size
            while remaining > 0:
                images = 2 if remaining > 1 and rng.random() < SECOND_IMAGE_PROB else 1
                row: _Row = (label, split, patient, None)
                rows += [row] * images
                patient, remaining = patient + 1, remaining - images
    return rows


def _plan_on_backgrounds(cases: int, rng: Generator, background_patients: Sequence[int]) -> list[_Row]:
    """Plan cases on backgrounds; each background is used for several cases of any class in its patient's split."""
    patients = rng.permutation(max(background_patients) + 1)
    cuts = np.cumsum(_split_sizes(len(patients)))[:-1]
    rows: list[_Row] = []
    for split, members in zip(SPLITS, np.split(patients, cuts), strict=True):
        backgrounds = np.flatnonzero(np.isin(background_patients, members))
        for label in range(len(CLASS_NAMES)):
            count = cases // len(CLASS_NAMES) + (label < cases % len(CLASS_NAMES))
            size = _split_sizes(count)[SPLITS.index(split)]
            chosen = np.resize(rng.permutation(backgrounds), size).tolist()
            rows.extend((label, split, background_patients[background], background) for background in chosen)
    return rows


def _split_sizes(count: int) -> tuple[int, int, int]:
    """Divide a number of 3 or more among the splits, with at least one in each."""
    valid, test = (max(1, round(share * count)) for share in SPLIT_FRACTIONS[1:])
    return count - valid - test, valid, test


def _dicom_id(rng: Generator) -> str:
    text = rng.bytes(20).hex()
    return "-".join(text[start : start + 8] for start in range(0, 40, 8))
