"""The calibration of a run: temperatures and thresholds, chosen on the validation cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ggcam.errors import RunFolderError
from ggcam.utils.documents import read_json
from ggcam.utils.json_files import write_json
from ggcam.utils.structure import structure

DECISION_AIM = "youden"
"""Of the thresholds of a run, those with the largest sensitivity + specificity decide what results call positive."""


@dataclass(frozen=True)
class Calibration:
    """How the logits of a network become probabilities, and probabilities decisions.

    Attributes:
        temperature: what the logits of each class are divided by (Guo et al., 2017); the same for all classes unless a
            case may have several labels.
        thresholds: aim -> class -> probability from which an image counts as positive; None for a class without
            positive or without negative validation cases.
        cases: number of validation cases that both were chosen on; 0 for a network that was not calibrated.
    """

    temperature: tuple[float, ...]
    thresholds: Mapping[str, Mapping[str, float | None]]
    cases: int

    @property
    def decision_thresholds(self) -> dict[str, float]:
        """Class -> probability from which results call an image positive; without the classes that have none."""
        chosen = self.thresholds.get(DECISION_AIM, {})
        return {name: value for name, value in chosen.items() if value is not None}

    @classmethod
    def none(cls, num_classes: int) -> Calibration:
        """Return the calibration of a network that was not calibrated: temperature 1, no thresholds."""
        return cls((1.0,) * num_classes, {}, 0)


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration as JSON.

    Args:
        calibration: the calibration.
        path: file to write.
    """
    write_json(path, asdict(calibration))


def load_calibration(path: Path, num_classes: int) -> Calibration:
    """Read a calibration.

    Args:
        path: file that :func:`save_calibration` wrote.
        num_classes: number of outputs of the network.

    Returns:
        The calibration; that of a network which was not calibrated if the file does not exist.

    Raises:
        RunFolderError: the file is damaged, or of a network with another number of outputs.
    """
    if not path.is_file():
        return Calibration.none(num_classes)
    found = structure(read_json(path, RunFolderError), Calibration, where=path, error=RunFolderError)
    if len(found.temperature) != num_classes or not all(each > 0 for each in found.temperature):
        raise RunFolderError(
            "the calibration does not fit the network",
            where=path,
            expected=f"{num_classes} temperatures above 0",
            got=list(found.temperature),
        )
    return found
