"""Dealing cases out by patient: to splits and to folds."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.data.case import SPLITS
from ggcam.data.stratify import folds, merge_rare, split_by_patient
from ggcam.errors import GGCamError

seeds = st.integers(0, 2**32 - 1)


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Patients with one to four cases, each with a class of its own, in any order."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=3, max_size=60))
    patients = np.repeat([f"p{number:03}" for number in range(len(sizes))], sizes)
    labels = np.array(draw(st.lists(st.integers(0, 2), min_size=len(patients), max_size=len(patients))))
    shuffled = draw(st.permutations(range(len(patients))))
    return patients[shuffled], labels[shuffled]


@given(cohorts(), seeds)
def test_no_patient_is_in_two_splits_and_none_is_empty(cohort: tuple[np.ndarray, np.ndarray], seed: int):
    patients, labels = cohort
    split = split_by_patient(patients, labels, seed=seed)
    assert all(len(set(split[patients == patient])) == 1 for patient in patients)
    assert set(split) == set(SPLITS)


@given(cohorts(), seeds)
def test_the_order_of_the_cases_changes_nothing(cohort: tuple[np.ndarray, np.ndarray], seed: int):
    patients, labels = cohort
    order = np.random.default_rng(seed).permutation(len(patients))
    expected = split_by_patient(patients, labels, seed=seed)[order]
    assert (split_by_patient(patients[order], labels[order], seed=seed) == expected).all()


@given(st.lists(st.integers(30, 200), min_size=2, max_size=4), seeds)
@settings(max_examples=30)
def test_each_class_of_single_patients_is_shared_out_to_within_two_cases(sizes: list[int], seed: int):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    split = split_by_patient([str(number) for number in range(len(labels))], labels, seed=seed)
    for label, size in enumerate(sizes):
        counts = np.array([((split == name) & (labels == label)).sum() for name in SPLITS])
        assert np.abs(counts - np.array([0.7, 0.1, 0.2]) * size).max() <= 2 + 1e-9


def test_patients_of_many_cases_are_still_shared_out_in_the_fractions():
    random = np.random.default_rng(0)
    sizes = random.geometric(0.4, 300)
    patients = np.repeat([f"{number}" for number in range(300)], sizes)
    labels = random.choice(3, len(patients), p=[0.6, 0.3, 0.1])
    split = split_by_patient(patients, labels)
    for label in range(3):
        counts = np.array([(split[labels == label] == name).sum() for name in SPLITS])
        assert np.abs(counts - np.array([0.7, 0.1, 0.2]) * counts.sum()).max() <= 2


def test_patients_of_many_cases_do_not_all_go_to_the_largest_split():
    patients = np.repeat([f"{number}" for number in range(400)], [4] * 100 + [1] * 300)
    split = split_by_patient(patients, np.arange(len(patients)) % 3)
    sizes = np.array([(patients == patient).sum() for patient in patients])
    assert [(split[sizes == 4] == name).mean() for name in SPLITS] == pytest.approx([0.7, 0.1, 0.2], abs=0.03)


def test_a_patient_with_more_cases_than_a_split_should_have_goes_to_a_larger_one():
    patients = ["big"] * 30 + [f"{number}" for number in range(70)]
    for seed in range(5):
        assert split_by_patient(patients, [0] * 100, seed=seed)[0] == "train"


def test_another_seed_gives_another_split():
    patients, labels = [str(number) for number in range(100)], [number % 2 for number in range(100)]
    assert (split_by_patient(patients, labels, seed=1) != split_by_patient(patients, labels, seed=2)).any()
    assert (split_by_patient(patients, labels, seed=1) == split_by_patient(patients, labels, seed=1)).all()


def test_every_split_has_every_class_that_has_patients_enough():
    labels = [0, 0, 0, 1, 1, 1, *[2] * 50]
    split = split_by_patient([str(number) for number in range(56)], labels)
    assert {(label, name) for label, name in zip(labels, split, strict=True)} == {
        (label, name) for label in range(3) for name in SPLITS
    }


def test_a_class_too_rare_for_every_split_is_named_in_a_warning(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        split = split_by_patient([str(number) for number in range(40)], [7, *[0] * 39])
    assert split[0] == "train"
    assert "no case of class 7 in valid" in caplog.text


def test_a_split_with_no_share_stays_empty():
    assert set(split_by_patient(list("abcdef"), [0, 1] * 3, fractions=(0.5, 0.0, 0.5))) == {"train", "test"}
    assert set(split_by_patient(["a"], [0], fractions=(0.0, 0.0, 1.0))) == {"test"}


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.1), (1.2, -0.2, 0.0), (70.0, 10.0, 20.0), (float("nan"), 0.5, 0.5)])
def test_fractions_that_do_not_sum_to_one_are_refused(fractions: tuple[float, float, float]):
    with pytest.raises(GGCamError, match="sum to 1"):
        split_by_patient(list("abcdef"), [0] * 6, fractions=fractions)


def test_too_few_patients_are_refused_with_their_number():
    with pytest.raises(GGCamError, match=r"too few patients(.|\n)*at least 3(.|\n)*2 with 4 cases"):
        split_by_patient(list("aabb"), [0, 1, 0, 1])


def test_folds_hold_each_case_out_once_and_part_no_patient():
    random = np.random.default_rng(3)
    patients = random.integers(0, 60, 200).astype(str)
    labels = random.integers(0, 3, 200)
    fold = folds(patients, labels, k=4, seed=5)
    assert set(fold) == {0, 1, 2, 3}
    assert all(len(set(fold[patients == patient])) == 1 for patient in patients)
    for label in range(3):
        assert np.bincount(fold[labels == label]) == pytest.approx((labels == label).sum() / 4, abs=5)
    order = random.permutation(200)
    assert (folds(patients[order], labels[order], k=4, seed=5) == fold[order]).all()
    assert (folds(patients, labels, k=4, seed=6) != fold).any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), min_size=1, max_size=60), st.integers(1, 6))
def test_pooled_strata_have_patients_enough_and_none_is_torn_apart(cases, least):
    stratum, patients = (np.array(column) for column in zip(*cases, strict=True))
    made = merge_rare(stratum, patients, least)
    assert all(len(set(made[stratum == each])) == 1 for each in stratum)
    sizes = {each: len(set(patients[made == each])) for each in made.tolist()}
    assert min(sizes.values()) >= least or len(sizes) == 1
    if all(len(set(patients[stratum == each])) >= least for each in stratum):
        assert (made == stratum).all()


@pytest.mark.parametrize("k", [1, 4])
def test_an_impossible_number_of_folds_says_what_is_possible(k: int):
    with pytest.raises(GGCamError, match="2 or more, and at most 3"):
        folds(list("abcdefg"), [0, 0, 0, 0, 1, 1, 1], k=k)
