"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off with jitter: each delay is up to twice the one before.

    Attributes:
        first_s: upper bound of the first delay, in seconds.
        longest_s: upper bound of all delays.

    Example:
        >>> 2 <= Backoff(1, 60).delay(3, Random(0)) <= 4
        True
    """

    first_s: float
    longest_s: float

    def delay(self, failures: int, random: Random) -> float:
        """Return a delay, drawn between half of its upper bound and the bound.

        Args:
            failures: number of failures up to now, at least 1.
            random: generator that the jitter is drawn from.

        Returns:
            Seconds.
        """
        bound = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 60))
        return random.uniform(bound / 2, bound)
