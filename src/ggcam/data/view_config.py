"""Options that select the data of one run from a prepared folder. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ggcam.errors import ConfigError

Control = Literal["none", "shuffled-gaze", "shuffled-in-class", "centre", "lung-mask", "random-map"]
"""What replaces the attention in training and validation; evaluation always uses the real gaze and regions."""

AttentionKind = Literal["auto", "gaze", "regions", "boxes", "masks", "gaze-else-regions"]
"""What guides the CAMs: fixations, or marked regions of findings."""

LabelCue = Literal["prior", "words", "time"]
"""What tells which fixations belong to a label: where the finding tends to be, the side and height that the reader
names, and the time of the mention."""

RegionShape = Literal["filled", "gaussian"]
"""How the attention spreads in a box or an ellipse: evenly, or as a Gaussian whose standard deviation is a quarter of
each side."""


@dataclass(frozen=True)
class ViewConfig:
    """The data of one run: another split, fewer training cases, what guides it, or a control in place of that.

    Attributes:
        control: what replaces the attention: none, shuffled-gaze (gaze or regions of another case of the split),
            shuffled-in-class (of another case of the same class), centre (the centre prior), lung-mask (both lungs),
            random-map (as many fixations, or regions of the same size, at random positions).
        folds: number of cross-validation folds by patient; 0 keeps the split of the data.
        fold: index of the test fold; the next fold is for validation.
        train_cases: maximum number of training cases; a larger choice contains the smaller ones. Default: all.
        view_seed: random seed of the folds, of the choice of training cases, and of the control.
        attention: what guides the CAMs: gaze, regions (boxes, ellipses and masks of findings), boxes (with ellipses),
            masks, gaze-else-regions (for each case and label), or auto (gaze if the data have any, else regions).
    """

    control: Control = "none"
    folds: int = 0
    fold: int = 0
    train_cases: int | None = None
    view_seed: int = 0
    attention: AttentionKind = "auto"

    def __post_init__(self) -> None:
        if self.folds and self.folds < 3:
            raise ConfigError("too few folds", where="--folds", expected="0, or 3 and more", got=self.folds)
        if not 0 <= self.fold < max(1, self.folds):
            raise ConfigError(
                "there is no such fold",
                where="--fold",
                expected=f"0 to {max(0, self.folds - 1)}, below --folds",
                got=self.fold,
            )
        if self.train_cases is not None and self.train_cases < 1:
            raise ConfigError(
                "too few training cases", where="--train-cases", expected="1 or more", got=self.train_cases
            )
        if self.view_seed < 0:
            raise ConfigError("the seed is negative", where="--view-seed", expected="0 or more", got=self.view_seed)
