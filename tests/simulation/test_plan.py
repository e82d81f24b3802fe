from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from ggcam.simulation.plan import CasePlan, draw_plan


def plan(cases: int = 1090, shortcut: float = 0.0, seed: int = 0, **options) -> tuple[CasePlan, ...]:
    return draw_plan(cases, shortcut, np.random.default_rng(seed), **options)


def agreement(plans: tuple[CasePlan, ...], split: str) -> float:
    return float(np.mean([case.marker == case.label for case in plans if case.split == split]))


def test_classes_are_balanced_in_every_split():
    counts = Counter((case.split, case.label) for case in plan(900))
    sizes = {"train": 210, "valid": 30, "test": 60}
    assert counts == {(split, label): size for split, size in sizes.items() for label in range(3)}


def test_patients_stay_in_one_split_and_some_have_two_images():
    plans = plan()
    splits = {}
    for case in plans:
        splits.setdefault(case.patient_id, set()).add(case.split)
    assert {len(found) for found in splits.values()} == {1}
    assert 10 < len(plans) - len(splits) < 120


@pytest.mark.parametrize("shortcut", [0.0, 0.8, 1.0])
def test_marker_agrees_with_the_class_as_configured_except_in_test(shortcut: float):
    plans = plan(9000, shortcut)
    expected = shortcut + (1 - shortcut) / 3
    assert agreement(plans, "train") == pytest.approx(expected, abs=0.02)
    assert agreement(plans, "valid") == pytest.approx(expected, abs=0.05)
    assert agreement(plans, "test") == pytest.approx(1 / 3, abs=0.04)


def test_ids_are_unique_and_formatted_like_real_ones():
    plans = plan(300)
    assert len({case.dicom_id for case in plans}) == 300
    for case in plans:
        assert re.fullmatch(r"([0-9a-f]{8}-){4}[0-9a-f]{8}", case.dicom_id)
        path = rf"files/p1\d/p{case.patient_id}/s{case.study_id}/{case.dicom_id}\.dcm"
        assert re.fullmatch(path, case.path)


@pytest.mark.parametrize("cases", [12, 50, 1090])
def test_backgrounds_of_a_patient_stay_in_one_split(cases: int):
    patients = [0, 1, 2, 2, 3, 4, 4, 5, 6, 7, 8, 9, *range(10, 90)]
    plans = plan(cases, background_patients=patients)
    assert len(plans) == cases
    splits = {}
    for case in plans:
        assert case.background is not None
        assert case.patient == patients[case.background]
        splits.setdefault(case.patient, set()).add(case.split)
    assert {len(found) for found in splits.values()} == {1}
    assert {case.split for case in plans} == {"train", "valid", "test"}


def test_three_backgrounds_fill_three_splits():
    assert len({(case.split, case.background) for case in plan(12, background_patients=[0, 1, 2])}) == 3
