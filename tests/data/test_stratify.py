"""Assignment of cases to splits and folds by patient."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.data.case import SPLITS
from ggcam.data.stratify import assign_folds, merge_rare, split_by_patient
from ggcam.errors import GGCamError

seeds = st.integers(0, 2**32 - 1)


def split(patient_ids, labels, **options) -> np.ndarray:
    return np.array(split_by_patient(patient_ids, labels, **options))


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw patients with one to four cases, whose classes are independent, in any order."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=3, max_size=60))
    patients = np.repeat([f"p{number:03}" for number in range(len(sizes))], sizes)
    labels = np.array(draw(st.lists(st.integers(0, 2), min_size=len(patients), max_size=len(patients))))
    shuffled = draw(st.permutations(range(len(patients))))
    return patients[shuffled], labels[shuffled]


@given(cohorts(), seeds)
def test_patients_stay_in_one_split_and_no_split_is_empty(cohort: tuple[np.ndarray, np.ndarray], seed: int):
    patients, labels = cohort
    splits = split(patients, labels, seed=seed)
    assert all(len(set(splits[patients == patient])) == 1 for patient in patients)
    assert set(splits) == set(SPLITS)


@given(cohorts(), seeds)
def test_split_does_not_depend_on_the_order_of_the_cases(cohort: tuple[np.ndarray, np.ndarray], seed: int):
    patients, labels = cohort
    order = np.random.default_rng(seed).permutation(len(patients))
    expected = split(patients, labels, seed=seed)[order]
    assert (split(patients[order], labels[order], seed=seed) == expected).all()


@given(st.lists(st.integers(30, 200), min_size=2, max_size=4), seeds)
@settings(max_examples=30)
def test_classes_have_the_fractions_to_within_four_cases(sizes: list[int], seed: int):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    splits = split([str(number) for number in range(len(labels))], labels, seed=seed)
    for label, size in enumerate(sizes):
        counts = np.array([((splits == name) & (labels == label)).sum() for name in SPLITS])
        assert np.abs(counts - np.array([0.7, 0.1, 0.2]) * size).max() <= 4


def test_classes_have_the_fractions_when_patients_have_several_cases():
    random = np.random.default_rng(0)
    sizes = random.geometric(0.4, 300)
    patients = np.repeat([f"{number}" for number in range(300)], sizes)
    labels = random.choice(3, len(patients), p=[0.6, 0.3, 0.1])
    splits = split(patients, labels)
    for label in range(3):
        counts = np.array([(splits[labels == label] == name).sum() for name in SPLITS])
        assert np.abs(counts - np.array([0.7, 0.1, 0.2]) * counts.sum()).max() <= 2


def test_patients_with_many_cases_are_in_every_split():
    patients = np.repeat([f"{number}" for number in range(400)], [4] * 100 + [1] * 300)
    splits = split(patients, np.arange(len(patients)) % 3)
    sizes = np.array([(patients == patient).sum() for patient in patients])
    assert [(splits[sizes == 4] == name).mean() for name in SPLITS] == pytest.approx([0.7, 0.1, 0.2], abs=0.03)


def test_a_patient_with_very_many_cases_is_in_the_largest_split():
    patients = ["big"] * 30 + [f"{number}" for number in range(70)]
    for seed in range(5):
        assert split(patients, [0] * 100, seed=seed)[0] == "train"


def test_split_depends_on_the_seed():
    patients, labels = [str(number) for number in range(100)], [number % 2 for number in range(100)]
    assert (split(patients, labels, seed=1) != split(patients, labels, seed=2)).any()
    assert (split(patients, labels, seed=1) == split(patients, labels, seed=1)).all()


def test_every_split_has_every_class_with_enough_patients():
    labels = [0, 0, 0, 1, 1, 1, *[2] * 50]
    splits = split([str(number) for number in range(56)], labels)
    assert {(label, name) for label, name in zip(labels, splits, strict=True)} == {
        (label, name) for label in range(3) for name in SPLITS
    }


def test_a_class_too_rare_for_every_split_causes_a_warning(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        splits = split([str(number) for number in range(40)], [7, *[0] * 39])
    assert splits[0] == "train"
    assert "no case of class 7 in valid" in caplog.text


def test_a_split_with_fraction_0_stays_empty():
    assert set(split(list("abcdef"), [0, 1] * 3, fractions=(0.5, 0.0, 0.5))) == {"train", "test"}
    assert set(split(["a"], [0], fractions=(0.0, 0.0, 1.0))) == {"test"}


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.1), (1.2, -0.2, 0.0), (70.0, 10.0, 20.0), (float("nan"), 0.5, 0.5)])
def test_fractions_that_do_not_sum_to_one_are_refused(fractions: tuple[float, float, float]):
    with pytest.raises(GGCamError, match="sum to 1"):
        split(list("abcdef"), [0] * 6, fractions=fractions)


def test_too_few_patients_are_refused():
    with pytest.raises(GGCamError, match=r"too few patients(.|\n)*at least 3(.|\n)*2 with 4 cases"):
        split(list("aabb"), [0, 1, 0, 1])


def test_folds_are_stratified_and_keep_patients_together():
    random = np.random.default_rng(3)
    patients = random.integers(0, 60, 200).astype(str)
    labels = random.integers(0, 3, 200)
    fold = assign_folds(patients, labels, k=4, seed=5)
    assert set(fold) == {0, 1, 2, 3}
    assert all(len(set(fold[patients == patient])) == 1 for patient in patients)
    for label in range(3):
        assert np.bincount(fold[labels == label]) == pytest.approx((labels == label).sum() / 4, abs=5)
    order = random.permutation(200)
    assert (assign_folds(patients[order], labels[order], k=4, seed=5) == fold[order]).all()
    assert (assign_folds(patients, labels, k=4, seed=6) != fold).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=1, max_size=60), st.integers(1, 6))
def test_merged_strata_have_enough_patients_and_are_not_divided(cases, min_patients):
    stratum, patients = (np.array(column) for column in zip(*cases, strict=True))
    merged = merge_rare(stratum, patients, min_patients)
    assert all(len(set(merged[stratum == index])) == 1 for index in stratum)
    sizes = {index: len(set(patients[merged == index])) for index in merged.tolist()}
    assert min(sizes.values()) >= min_patients or len(sizes) == 1
    if all(len(set(patients[stratum == index])) >= min_patients for index in stratum):
        assert (merged == stratum).all()


@pytest.mark.parametrize("k", [1, 4])
def test_an_invalid_number_of_folds_is_refused_with_the_possible_ones(k: int):
    with pytest.raises(GGCamError, match="2 or more, and at most 3"):
        assign_folds(list("abcdefg"), [0, 0, 0, 0, 1, 1, 1], k=k)
