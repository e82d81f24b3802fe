"""Options of `ggcam study`: those of a training, less what a study decides itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from ggcam.errors import ConfigError
from ggcam.study.plan import OF_THE_MACHINE, VARIED
from ggcam.training.config import TrainConfig

SEED = "seed"
"""Varied by a study, but the first one is asked for."""


def _again(one: Field[Any]) -> Any:
    """A field of another dataclass with the same default."""
    return field(default_factory=one.default_factory) if one.default is MISSING else field(default=one.default)


if TYPE_CHECKING:
    StudyTraining = TrainConfig
else:
    StudyTraining = make_dataclass(
        "StudyTraining",
        [
            (each.name, get_type_hints(TrainConfig)[each.name], _again(each))
            for each in fields(TrainConfig)
            if each.name == SEED or each.name not in VARIED + OF_THE_MACHINE
        ],
        frozen=True,
        namespace={"__doc__": TrainConfig.__doc__},
    )


def base_config(training: StudyTraining) -> TrainConfig:
    """What all runs of a study share.

    Raises:
        ConfigError: a value is out of its range.
    """
    return TrainConfig(**{each.name: getattr(training, each.name) for each in fields(training)})


def words(text: str) -> list[str]:
    """The words of a list with commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers(text: str, where: str) -> Sequence[int]:
    """The numbers of a list with commas.

    Raises:
        ConfigError: one is none.
    """
    try:
        return [int(word) for word in words(text)]
    except ValueError:
        raise ConfigError("not a list of numbers", where=where, expected="such as 100,200,400", got=text) from None
