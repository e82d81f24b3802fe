"""How a prepared folder is arranged for one run of a study. Light: a command line reads it without loading tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ggcam.errors import ConfigError

Control = Literal["none", "shuffled-gaze", "centre", "lung-mask", "random-map"]
"""What takes the place of the gaze in training and validation; evaluation always looks at the real one."""


@dataclass(frozen=True)
class ViewConfig:
    """Another split, fewer training cases, or something in the place of gaze: the data of one run of a study.

    Attributes:
        control: what takes the place of the gaze: none, shuffled-gaze (of another case of the split), centre (a broad
            blob), lung-mask (both lungs), random-map (as many fixations, anywhere).
        folds: 0 keeps the split; otherwise patients are dealt out to so many folds.
        fold: the one to test on; the next one validates.
        train_cases: train on so many cases at most; larger choices contain the smaller ones.
        view_seed: of the folds, of the choice of training cases, and of the control.
    """

    control: Control = "none"
    folds: int = 0
    fold: int = 0
    train_cases: int | None = None
    view_seed: int = 0

    def __post_init__(self) -> None:
        if self.folds and self.folds < 3:
            raise ConfigError("too few folds", where="--folds", expected="0, or 3 and more", got=self.folds)
        if not 0 <= self.fold < max(1, self.folds):
            raise ConfigError("there is no such fold", where="--fold", expected=f"0 to {self.folds - 1}", got=self.fold)
        if self.train_cases is not None and self.train_cases < 1:
            raise ConfigError("no training cases", where="--train-cases", expected="1 or more", got=self.train_cases)
        if self.view_seed < 0:
            raise ConfigError("a seed is 0 or more", where="--view-seed", got=self.view_seed)
