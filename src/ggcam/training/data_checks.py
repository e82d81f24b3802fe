"""Checks of the data before training starts: what could not work is refused, what would mislead is warned about."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from ggcam.data.attention import attended_cases, finding_regions, uses_gaze
from ggcam.data.prepared import PreparedData
from ggcam.data.schema import label_matrix
from ggcam.errors import ConfigError, join_limited
from ggcam.guidance import Guidance
from ggcam.report.result_schemas import SELECTED_ON_TEST
from ggcam.training.config import TrainConfig

log = logging.getLogger(__name__)

SPLIT_NAMES = {"valid": "validation", "test": "test"}
"""Split on which the best epoch is chosen -> word for its cases."""

FEW_ATTENDED = 0.05
"""Fraction of training cases with usable attention below which there is a warning."""


def check_training_data(data: PreparedData, config: TrainConfig, guidance: Guidance) -> list[str]:
    """Check that a network can be trained on data, and that the guidance has something to guide it with.

    A class without a training case is refused where each case has one class: the network would only learn never to
    predict it, and yet be evaluated on it. With several labels per case it is a warning, as a rare label that is never
    learnt leaves the others as they are.

    Args:
        data: prepared folder, as the run sees it.
        config: options of the training.
        guidance: guidance of the training.

    Returns:
        Warnings.

    Raises:
        ConfigError: there are no training cases, or none on which the best epoch is chosen; a class has no training
            case; or the guidance needs attention and no training case has any that it can use.
    """
    splits = set(data.cases["split"])
    for split in ("train", config.selection):
        if split not in splits:
            repeat = split == "valid" and "test" in splits
            raise ConfigError(
                f"there are no {split} cases",
                where=data.root,
                hint="prepare the data with another split"
                + (", or pass --selection test to repeat a published table" if repeat else ""),
            )
        if not np.isfinite(_labels(data, split)).any():
            raise ConfigError(f"no {split} case has a known label", where=data.root, hint="prepare the data again")
    chosen_on_test = [SELECTED_ON_TEST] if config.selection == "test" else []
    return [
        *chosen_on_test,
        *_missing_in_training(data),
        *_missing_in_selection(data, config),
        *_attention(data, config, guidance),
    ]


def log_warnings(warnings: Iterable[str]) -> None:
    """Log warnings of :func:`check_training_data`, with the logger of this module.

    Args:
        warnings: the warnings.
    """
    for warning in warnings:
        log.warning("%s", warning)


def with_defined_monitor(config: TrainConfig, data: PreparedData) -> TrainConfig:
    """Replace the monitored metric by the classification loss if the split that it is measured on does not define it.

    Args:
        config: options of the training.
        data: prepared folder, as the run sees it.

    Returns:
        The same config, or with `monitor="loss"`.
    """
    undefined = config.monitor == "auroc" and not _has_auroc(data, config.selection).any()
    return replace(config, monitor="loss") if undefined else config


def usable_attention(data: PreparedData, config: TrainConfig) -> Bool[np.ndarray, " cases"]:
    """Return which cases have attention that guides the CAM of one of their labels.

    Args:
        data: prepared folder, as the run sees it.
        config: options of the training; with several labels per case, `label_gaze` decides which gaze counts.

    Returns:
        One value per row of `data.cases`.
    """
    if not data.multi_label:
        return attended_cases(data)
    row = {case_id: number for number, case_id in enumerate(data.cases["case_id"])}
    present = label_matrix(data.cases, data.class_names, data.multi_label) == 1
    guided = np.zeros_like(present)
    regions = finding_regions(data, data.attention)
    for case_id, label in zip(regions["case_id"], regions["class"], strict=True):
        guided[row[case_id], slice(None) if label == -1 else label] = True
    if uses_gaze(data.attention) and config.label_gaze == "own":
        index = {name: number for number, name in enumerate(data.class_names)}
        gaze = data.fixations.loc[data.fixations["label"].isin(index) & (data.fixations["duration_s"] > 0)]
        guided[gaze["case_id"].map(row).to_numpy(int), gaze["label"].map(index).to_numpy(int)] = True
    elif uses_gaze(data.attention):
        guided[data.cases["has_gaze"].to_numpy(bool)] = True
    return (guided & present).any(axis=1)


def _labels(data: PreparedData, split: str) -> Float[np.ndarray, "n classes"]:
    cases = data.cases.loc[data.cases["split"] == split]
    return label_matrix(cases, data.class_names, data.multi_label)


def _missing(data: PreparedData, split: str) -> list[str]:
    """Return the classes that no case of a split has."""
    found = (_labels(data, split) == 1).any(axis=0)
    return [name for name, present in zip(data.class_names, found, strict=True) if not present]


def _has_auroc(data: PreparedData, split: str) -> Bool[np.ndarray, " classes"]:
    """Return for which classes a split has cases both with and without it."""
    labels = _labels(data, split)
    return (labels == 1).any(axis=0) & (labels == 0).any(axis=0)


def _missing_in_training(data: PreparedData) -> list[str]:
    missing = _missing(data, "train")
    if missing and not data.multi_label:
        raise ConfigError(
            f"no training case is of class {join_limited(missing)}",
            where=data.root,
            expected="training cases of every class",
            got=f"{np.count_nonzero(data.cases['split'] == 'train'):,} training cases",
            hint="prepare the data with another split, or without the cases of this class",
        )
    return [f"no training case has {join_limited(missing)}, so this cannot be learnt"] if missing else []


def _missing_in_selection(data: PreparedData, config: TrainConfig) -> list[str]:
    if config.monitor != "auroc":
        return []
    has_auroc = _has_auroc(data, config.selection)
    words = SPLIT_NAMES[config.selection]
    if has_auroc.all():
        return []
    if data.multi_label:
        undefined = [name for name, known in zip(data.class_names, has_auroc, strict=True) if not known]
        problem = f"the {words} cases do not have both values of {join_limited(undefined)}"
    else:
        problem = f"no {words} case is of class {join_limited(_missing(data, config.selection))}"
    if has_auroc.any():
        return [f"{problem}, so the best epoch is the one with the highest macro AUROC over the other classes"]
    return [f"{problem}, so there is no AUROC, and the best epoch is the one with the lowest {words} loss"]


def _attention(data: PreparedData, config: TrainConfig, guidance: Guidance) -> list[str]:
    if not guidance.uses_attention():
        return []
    train = (data.cases["split"] == "train").to_numpy()
    by_label = guidance.compares == "label"
    attended = usable_attention(data, config) if by_label else attended_cases(data)
    usable, cases = int(attended[train].sum()), int(train.sum())
    if not usable:
        own = by_label and data.multi_label and config.label_gaze == "own"
        raise ConfigError(
            f"no training case has attention that guidance {config.guidance} can use",
            where=data.root,
            expected="fixations or marked regions in the training cases",
            got=f"0 of {cases:,} training cases",
            hint=("pass --label-gaze own-else-all, or " if own else "")
            + "prepare the data with gaze or regions, or train with --guidance none",
        )
    if usable >= FEW_ATTENDED * cases:
        return []
    return [f"only {usable:,} of {cases:,} training cases have attention, so guidance {config.guidance} changes little"]
