"""Options of `ggcam study`: those of a training run, except what the study itself decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from ggcam.errors import ConfigError
from ggcam.study.plan import MACHINE_FIELDS, VARIED_FIELDS
from ggcam.training.config import TrainConfig

SEED = "seed"
"""The first seed is an option although a study varies it."""


def _same_default(original: Field[Any]) -> Any:
    """Return a field for another dataclass with the same default."""
    if original.default is MISSING:
        return field(default_factory=original.default_factory)
    return field(default=original.default)


if TYPE_CHECKING:
    StudyTraining = TrainConfig
else:
    StudyTraining = make_dataclass(
        "StudyTraining",
        [
            (each.name, get_type_hints(TrainConfig, include_extras=True)[each.name], _same_default(each))
            for each in fields(TrainConfig)
            if each.name == SEED or each.name not in VARIED_FIELDS + MACHINE_FIELDS
        ],
        frozen=True,
        namespace={"__doc__": TrainConfig.__doc__, "__module__": __name__},
    )


def base_config(training: StudyTraining) -> TrainConfig:
    """Return the training config that all runs of a study share.

    Args:
        training: values of the options.

    Raises:
        ConfigError: a value is out of its range.
    """
    return TrainConfig(**{each.name: getattr(training, each.name) for each in fields(training)})


def split_words(text: str) -> list[str]:
    """Return the words of a list separated by commas.

    Args:
        text: the list.
    """
    return [word.strip() for word in text.split(",") if word.strip()]


def split_integers(text: str, where: str) -> Sequence[int]:
    """Return the numbers of a list separated by commas.

    Args:
        text: the list.
        where: name of the option, for the message.

    Raises:
        ConfigError: a word of the list is not a whole number.
    """
    try:
        return [int(word) for word in split_words(text)]
    except ValueError:
        raise ConfigError(
            "not a list of whole numbers", where=where, expected="numbers such as 100,200,400", got=text
        ) from None
