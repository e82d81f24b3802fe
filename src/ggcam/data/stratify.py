"""Deal cases out by patient, stratified by class and seeded: to train, valid and test, or to folds."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ggcam.data.case import SPLITS, Label
from ggcam.data.prepare.config import FRACTIONS
from ggcam.data.prepared import Labels
from ggcam.errors import ConfigError, join_limited

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Patients:
    """What the cases say of each patient.

    Attributes:
        of_case: index of each case's patient, shape (n,).
        counts: cases of each patient in each class, shape (patients, classes).
        class_names: shape (classes,).
    """

    of_case: np.ndarray
    counts: np.ndarray
    class_names: np.ndarray

    @classmethod
    def count(cls, patient_ids: Sequence[str] | np.ndarray, labels: Sequence[int] | np.ndarray) -> _Patients:
        if len(patient_ids) != len(labels):
            raise ValueError(f"{len(patient_ids)} patient_ids, but {len(labels)} labels")
        # np.unique sorts, which is what makes every split independent of the order of the cases.
        patients, of_case = np.unique(np.asarray(patient_ids, dtype=np.str_), return_inverse=True)
        class_names, of_class = np.unique(np.asarray(labels), return_inverse=True)
        counts = np.zeros((len(patients), len(class_names)), dtype=np.int64)
        np.add.at(counts, (of_case, of_class), 1)
        return cls(of_case, counts, class_names)


def split_by_patient(
    patient_ids: Sequence[str] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    fractions: tuple[float, float, float] = FRACTIONS,
    seed: int = 0,
) -> np.ndarray:
    """Deal the patients out to "train", "valid" and "test", so that each class is shared out in the given fractions.

    Each class first sends its smallest patient to every split, so that none lacks it where it has patients enough.
    The other patients follow, shuffled, those with more cases first, each to the split that lacks its classes most.

    Args:
        patient_ids: shape (n,), one for each case.
        labels: shape (n,).
        fractions: shares of train, valid and test; they sum to 1, and a split with 0 stays empty.
        seed: another seed, another split. The order of the cases changes nothing.

    Returns:
        Split of each case, strings of shape (n,). Cases of one patient are always in the same one.

    Raises:
        ConfigError: the fractions do not sum to 1, or there are fewer patients than splits.
    """
    check_fractions(fractions)
    patients = _Patients.count(patient_ids, labels)
    counts = patients.counts
    demanded = [split for split in range(len(SPLITS)) if fractions[split] > 0]
    if len(counts) < len(demanded):
        raise ConfigError(
            "too few patients to fill every split: a patient's cases are never parted",
            expected=f"at least {len(demanded)} patients",
            got=f"{len(counts)} with {len(patient_ids)} cases",
            hint="set the fractions of the splits you can do without to 0, or give patient ids",
        )

    shuffled = np.random.default_rng(seed).permutation(len(counts))
    larger_first = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")].tolist()
    chosen, dealt = _deal(counts, larger_first, np.asarray(fractions), demanded)
    _warn_of_gaps(dealt, demanded, patients.class_names)
    return np.array(SPLITS)[chosen[patients.of_case]]


def _deal(
    counts: np.ndarray, larger_first: list[int], fractions: np.ndarray, demanded: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Split of each patient, shape (patients,), and the cases that each split got, shape (splits, classes)."""
    target = fractions[:, None] * counts.sum(axis=0)
    dealt = np.zeros_like(target)
    chosen = np.full(len(counts), -1)

    def deal(patient: int, split: int) -> None:
        chosen[patient] = split
        dealt[split] += counts[patient]

    rarest_first = np.argsort((counts > 0).sum(axis=0), kind="stable")
    for label in rarest_first:
        smaller_first = [patient for patient in reversed(larger_first) if counts[patient, label]]
        # Splits that have nobody yet come first: so long as one is left, nobody may join another.
        for split in sorted(demanded, key=lambda split: (dealt[split].any(), -fractions[split])):
            free = next((patient for patient in smaller_first if chosen[patient] < 0), None)
            if free is not None and not dealt[split, label]:
                deal(free, split)

    for patient in larger_first:
        if chosen[patient] < 0:
            deal(patient, _neediest(counts[patient], target[demanded], dealt[demanded], demanded))
    return chosen, dealt


def _neediest(count: np.ndarray, target: np.ndarray, dealt: np.ndarray, splits: list[int]) -> int:
    """The split that lacks the greatest share of what a patient has, among those that still have room for all of it.

    Shares, not numbers: else the patients with many cases, who come first, would all go to the largest split.
    Beside the classes their sum counts: else the rounding of many small classes would starve a split.
    """
    wanted = np.column_stack([target, target.sum(axis=1)])
    lack = wanted - np.column_stack([dealt, dealt.sum(axis=1)])
    of_patient = np.append(count, count.sum())
    room = lack[:, -1] >= of_patient[-1]
    need = np.where(room, (lack / wanted) @ of_patient, -np.inf) if room.any() else lack @ of_patient
    return splits[int(np.argmax(need))]


def check_fractions(fractions: tuple[float, float, float]) -> None:
    """Raise ConfigError unless the shares of train, valid and test can be such."""
    if min(fractions) < 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise ConfigError(
            "the fractions of train, valid and test must be 0 or more and sum to 1",
            where="--split-fractions",
            got=f"{join_limited(fractions)} (sum {sum(fractions):g})",
            expected=f"{join_limited(FRACTIONS)}, say",
        )


def _warn_of_gaps(dealt: np.ndarray, demanded: Sequence[int], class_names: np.ndarray) -> None:
    for split in demanded:
        missing = class_names[dealt[split] == 0]
        if len(missing):
            log.warning("no case of class %s in %s: it has too few patients", join_limited(missing), SPLITS[split])


def folds(
    patient_ids: Sequence[str] | np.ndarray, labels: Sequence[int] | np.ndarray, k: int, seed: int = 0
) -> np.ndarray:
    """Number of the fold, 0 to k - 1, in which each case is held out; patient-grouped, stratified, seeded.

    Returns:
        Integers of shape (n,). The order of the cases changes nothing.

    Raises:
        ConfigError: k is below 2, or a class has fewer patients than k.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    patients = _Patients.count(patient_ids, labels)
    fewest = int((patients.counts > 0).sum(axis=0).min()) if len(patients.counts) else 0
    if not 2 <= k <= fewest:
        raise ConfigError(
            f"{k} folds cannot be made",
            where="--folds",
            expected=f"2 or more, and at most {fewest}, the number of patients in the smallest class",
        )
    dealer = StratifiedGroupKFold(n_splits=k, shuffle=True, random_state=seed)
    fold = np.empty(len(patients.of_case), dtype=np.int64)
    for number, (_, held_out) in enumerate(dealer.split(np.zeros(len(fold)), labels, groups=patients.of_case)):
        fold[held_out] = number
    return fold


def strata(labels: Labels | Sequence[Label]) -> Int[np.ndarray, " n"]:
    """By what cases are dealt out, shape (n,): the class; where they may have several labels, the rarest that each has.

    The rarest, since it has the fewest cases to go round. A case without a label is dealt out with its like, as a class
    numbered beyond the others.
    """
    values = np.asarray(labels, dtype=np.float64)  # in which None is NaN
    if values.ndim == 1:
        return values.astype(np.int64)
    present = values == 1
    counts = np.where(present, present.sum(axis=0), len(present) + 1)
    return np.where(present.any(axis=1), counts.argmin(axis=1), present.shape[1])


def merge_rare(
    stratum: Int[np.ndarray, " n"], patient_ids: Sequence[str] | np.ndarray, least: int
) -> Int[np.ndarray, " n"]:
    """The smallest strata put together until each has so many patients, or one is left; shape (n,)."""
    made = stratum.copy()
    while True:
        patients = {each: len(set(np.asarray(patient_ids)[made == each])) for each in np.unique(made).tolist()}
        smallest, *others = sorted(patients, key=lambda each: (patients[each], each))
        if patients[smallest] >= least or not others:
            return made
        made[made == smallest] = others[0]
