from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ggcam.dicomweb.backoff import Backoff


@given(st.integers(1, 2000), st.integers(0, 2**32))
def test_delays_double_up_to_the_longest(failures, seed):
    backoff = Backoff(2, 100)
    delay = backoff.delay(failures, Random(seed))
    bound = min(100, 2 * 2 ** (failures - 1))
    assert bound / 2 <= delay <= bound


def test_delays_differ():
    random = Random(0)
    assert len({Backoff(2, 100).delay(3, random) for _ in range(10)}) == 10
