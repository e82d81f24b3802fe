"""The result of comparing an exported file with its run, and what the file may differ by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

QUANTITIES = ("logits", "probabilities", "cam", "distance")
"""What is compared: the fields of a prediction."""


@dataclass(frozen=True)
class Tolerance:
    """What an exported file may differ by.

    Attributes:
        largest: quantity -> largest difference allowed; see :class:`Difference`.
        changed: largest share of decisions that may change; None for any, since decisions between equal probabilities
            change by rounding.
    """

    largest: Mapping[str, float]
    changed: float | None = None


FLOAT32 = Tolerance(dict.fromkeys(QUANTITIES, 1e-3))
"""Tolerance of a file that computes in float32: of every quantity."""

INT8 = Tolerance({"probabilities": 0.15}, changed=0.05)
"""Tolerance of a file that computes in 8-bit integers: of probabilities and decisions. Logits and CAMs are reported."""


@dataclass(frozen=True)
class Difference:
    """By how much an engine differs from torch in one quantity.

    The difference of an image is the largest one among its values: absolute for probabilities, otherwise relative to
    the largest absolute value that torch computes for the image, but at least to 1.

    Attributes:
        largest: the largest difference of an image.
        typical: the median over the images.
        image: the image with the largest difference.
    """

    largest: float
    typical: float
    image: str


@dataclass(frozen=True)
class EngineComparison:
    """An engine compared with torch.

    Attributes:
        differences: quantity -> difference.
        decisions: number of decisions: one per image; with several labels per case, one per image and label.
        changed: number of them that the engine decides otherwise.
    """

    differences: Mapping[str, Difference]
    decisions: int
    changed: int


@dataclass(frozen=True)
class Verification:
    """Result of :func:`verify`.

    Attributes:
        run: the run folder.
        file: the exported file.
        computes_in: number format of the file: "float32" or "int8".
        images: number of images that were compared.
        unreadable: image -> why it could not be read.
        mismatches: what the metadata of the file state otherwise than the run does.
        engines: name of each engine -> how it compares with torch.
        tolerance: what was allowed.
    """

    run: str
    file: str
    computes_in: str
    images: int
    unreadable: Mapping[str, str]
    mismatches: Sequence[str]
    engines: Mapping[str, EngineComparison]
    tolerance: Tolerance

    @property
    def problems(self) -> list[str]:
        """What is wrong, one sentence each; empty if the file is as good as the run."""
        found = [f"the metadata of the file differ from the run: {each}" for each in self.mismatches]
        for engine, comparison in self.engines.items():
            for quantity, limit in self.tolerance.largest.items():
                difference = comparison.differences.get(quantity)
                if difference is not None and not difference.largest <= limit:  # this way round, NaN is a problem
                    found.append(
                        f"{engine}: {quantity} differ by {difference.largest:.2g}, more than {limit:g} "
                        f"({difference.image})"
                    )
            allowed = self.tolerance.changed
            if allowed is not None and comparison.changed > allowed * comparison.decisions:
                found.append(
                    f"{engine}: {comparison.changed:,} of {comparison.decisions:,} decisions change, more than "
                    f"{allowed:.1%}"
                )
        return found

    @property
    def passed(self) -> bool:
        """Whether every engine stays within the tolerance."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values; a difference that is not a number is None."""
        return _without_nan({**asdict(self), "problems": self.problems, "passed": self.passed})


def _without_nan(value: Any) -> Any:
    """Replace NaN and infinity, which JSON does not have, by None."""
    if isinstance(value, Mapping):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
