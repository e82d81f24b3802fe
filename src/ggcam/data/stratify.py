"""Patient-grouped, stratified and seeded assignment of cases to train, valid and test, or to folds."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ggcam.data.case import SPLITS, Label, Split
from ggcam.data.prepare.config import FRACTIONS
from ggcam.data.schema import Labels
from ggcam.errors import ConfigError, join_limited

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Patients:
    """Numbers of cases per patient and class.

    Attributes:
        case_patient: index of each case's patient, shape (n,).
        counts: number of cases of each patient in each class, shape (patients, classes).
        class_names: shape (classes,).
    """

    case_patient: np.ndarray
    counts: np.ndarray
    class_names: np.ndarray

    @classmethod
    def count(cls, patient_ids: Sequence[str] | np.ndarray, labels: Sequence[int] | np.ndarray) -> _Patients:
        if len(patient_ids) != len(labels):
            raise ValueError(f"{len(patient_ids)} patient_ids, but {len(labels)} labels")
        # np.unique sorts, which makes every split independent of the order of the cases.
        patients, case_patient = np.unique(np.asarray(patient_ids, dtype=np.str_), return_inverse=True)
        class_names, case_class = np.unique(np.asarray(labels), return_inverse=True)
        counts = np.zeros((len(patients), len(class_names)), dtype=np.int64)
        np.add.at(counts, (case_patient, case_class), 1)
        return cls(case_patient, counts, class_names)


def split_by_patient(
    patient_ids: Sequence[str] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    fractions: tuple[float, float, float] = FRACTIONS,
    seed: int = 0,
) -> list[Split]:
    """Split cases into train, valid and test by patient, with the given fractions of each class.

    First the smallest patients of each class go to the splits that lack the class, so that every split has all classes
    if there are enough patients. The other patients follow, shuffled, those with more cases first; each goes to the
    split that lacks most of its classes.

    Args:
        patient_ids: patient of each case, shape (n,).
        labels: class of each case, shape (n,).
        fractions: fractions of train, valid and test, with sum 1; a split with fraction 0 stays empty.
        seed: random seed. The result does not depend on the order of the cases.

    Returns:
        Split of each case. All cases of a patient are in the same split.

    Raises:
        ConfigError: the fractions do not sum to 1, or there are fewer patients than splits.
    """
    check_fractions(fractions)
    patients = _Patients.count(patient_ids, labels)
    counts = patients.counts
    used_splits = [split for split in range(len(SPLITS)) if fractions[split] > 0]
    if len(counts) < len(used_splits):
        raise ConfigError(
            "there are too few patients to fill every split",
            expected=f"at least {len(used_splits)} patients",
            got=f"{len(counts)} with {len(patient_ids)} cases",
            hint="set the fractions of splits that you do not need to 0, or provide patient ids",
        )

    shuffled = np.random.default_rng(seed).permutation(len(counts))
    larger_first = shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")].tolist()
    patient_split, assigned = _assign_patients(counts, larger_first, np.asarray(fractions), used_splits)
    _warn_of_missing_classes(assigned, used_splits, patients.class_names)
    return [SPLITS[split] for split in patient_split[patients.case_patient].tolist()]


def _assign_patients(
    counts: np.ndarray, larger_first: list[int], fractions: np.ndarray, used_splits: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the split of each patient, and the number of cases of each class in each split."""
    target = fractions[:, None] * counts.sum(axis=0)
    assigned = np.zeros_like(target)
    patient_split = np.full(len(counts), -1)

    def assign(patient: int, split: int) -> None:
        patient_split[patient] = split
        assigned[split] += counts[patient]

    rarest_first = np.argsort((counts > 0).sum(axis=0), kind="stable")
    for label in rarest_first:
        smaller_first = [patient for patient in reversed(larger_first) if counts[patient, label]]
        # Empty splits come first: as long as one is empty, no patient may join another.
        for split in sorted(used_splits, key=lambda split: (assigned[split].any(), -fractions[split])):
            free = next((patient for patient in smaller_first if patient_split[patient] < 0), None)
            if free is not None and not assigned[split, label]:
                assign(free, split)

    for patient in larger_first:
        if patient_split[patient] < 0:
            assign(patient, _choose_split(counts[patient], target[used_splits], assigned[used_splits], used_splits))
    return patient_split, assigned


def _choose_split(count: np.ndarray, target: np.ndarray, assigned: np.ndarray, splits: list[int]) -> int:
    """Choose the split that lacks the largest fraction of a patient's classes, among those with room for all of it.

    Fractions, not numbers: otherwise the patients with many cases, who come first, would all go to the largest split.
    The sum counts like another class: otherwise rounding errors of many small classes would leave a split too small.
    """
    target_and_sum = np.column_stack([target, target.sum(axis=1)])
    missing = target_and_sum - np.column_stack([assigned, assigned.sum(axis=1)])
    count_and_sum = np.append(count, count.sum())
    has_room = missing[:, -1] >= count_and_sum[-1]
    if has_room.any():
        need = np.where(has_room, (missing / target_and_sum) @ count_and_sum, -np.inf)
    else:
        need = missing @ count_and_sum
    return splits[int(np.argmax(need))]


def check_fractions(fractions: tuple[float, float, float]) -> None:
    """Check the fractions of train, valid and test.

    Args:
        fractions: the three fractions.

    Raises:
        ConfigError: a fraction is negative, or the sum is not 1.
    """
    if min(fractions) < 0 or not math.isclose(sum(fractions), 1, abs_tol=1e-6):
        raise ConfigError(
            "the fractions of train, valid and test must be 0 or more and sum to 1",
            where="--split-fractions",
            expected=f"for example {join_limited(FRACTIONS)}",
            got=f"{join_limited(fractions)} (sum {sum(fractions):g})",
        )


def _warn_of_missing_classes(assigned: np.ndarray, used_splits: Sequence[int], class_names: np.ndarray) -> None:
    for split in used_splits:
        missing = class_names[assigned[split] == 0]
        if len(missing):
            log.warning("no case of class %s in %s: it has too few patients", join_limited(missing), SPLITS[split])


def assign_folds(
    patient_ids: Sequence[str] | np.ndarray, labels: Sequence[int] | np.ndarray, k: int, seed: int = 0
) -> Int[np.ndarray, " n"]:
    """Assign cases to folds by patient, stratified by class.

    Args:
        patient_ids: patient of each case, shape (n,).
        labels: class of each case, shape (n,).
        k: number of folds.
        seed: random seed. The result does not depend on the order of the cases.

    Returns:
        Number of the fold, 0 to k - 1, in which each case is held out, shape (n,).

    Raises:
        ConfigError: k is below 2, or a class has fewer than k patients.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    patients = _Patients.count(patient_ids, labels)
    max_folds = int((patients.counts > 0).sum(axis=0).min()) if len(patients.counts) else 0
    if not 2 <= k <= max_folds:
        raise ConfigError(
            f"the data cannot be divided into {k} folds",
            where="--folds",
            expected=f"2 or more, and at most {max_folds}, the number of patients in the smallest class",
        )
    splitter = StratifiedGroupKFold(n_splits=k, shuffle=True, random_state=seed)
    fold = np.empty(len(patients.case_patient), dtype=np.int64)
    for number, (_, held_out) in enumerate(splitter.split(np.zeros(len(fold)), labels, groups=patients.case_patient)):
        fold[held_out] = number
    return fold


def assign_strata(labels: Labels | Sequence[Label]) -> Int[np.ndarray, " n"]:
    """Assign each case to a stratum: its class, or in multi-label data the rarest of its labels.

    Args:
        labels: class index of each case; or per case 1, 0 or None (NaN) for each label.

    Returns:
        Stratum of each case, shape (n,). Cases without any label form a stratum of their own, with the number of
        labels as its index.
    """
    values = np.asarray(labels, dtype=np.float64)  # None becomes NaN
    if values.ndim == 1:
        return values.astype(np.int64)
    present = values == 1
    counts = np.where(present, present.sum(axis=0), len(present) + 1)
    return np.where(present.any(axis=1), counts.argmin(axis=1), present.shape[1])


def merge_rare(
    stratum: Int[np.ndarray, " n"], patient_ids: Sequence[str] | np.ndarray, min_patients: int
) -> Int[np.ndarray, " n"]:
    """Merge the smallest strata until each has enough patients, or only one is left.

    Args:
        stratum: stratum of each case, shape (n,).
        patient_ids: patient of each case, shape (n,).
        min_patients: minimum number of patients per stratum.

    Returns:
        Merged stratum of each case, shape (n,).
    """
    merged = stratum.copy()
    while True:
        patients = {index: len(set(np.asarray(patient_ids)[merged == index])) for index in np.unique(merged).tolist()}
        smallest, *others = sorted(patients, key=lambda index: (patients[index], index))
        if patients[smallest] >= min_patients or not others:
            return merged
        merged[merged == smallest] = others[0]
