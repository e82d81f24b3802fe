from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.bit_depth import (
    describe_disagreement,
    scale_to_all_bits,
    used_bits,
    warn_if_bits_differ,
)


@given(st.integers(0, 65535))
def test_the_used_bits_hold_the_largest_value_and_no_fewer_do(largest: int):
    bits = used_bits(np.array([[0, largest]], np.uint16))
    assert 8 <= bits <= 16
    assert largest < 2**bits
    assert bits == 8 or largest >= 2 ** (bits - 1)


@given(st.integers(8, 16), st.booleans(), st.integers(0, 65535))
def test_values_are_scaled_as_by_hand(bits: int, min_is_white: bool, value: int):
    expected = round(min(value, 2**bits - 1) * 65535 / (2**bits - 1))
    found = scale_to_all_bits(np.array([[value]], np.uint16), bits, min_is_white)
    assert found.dtype == np.uint16
    assert abs(int(found[0, 0]) - (65535 - expected if min_is_white else expected)) <= 1


@pytest.mark.parametrize(
    ("own", "expected", "text"),
    [
        (None, 12, ""),
        (12, 12, ""),
        (11, 12, ""),
        (15, 16, ""),
        (12, 16, "is dark"),
        (10, 12, "is dark"),
        (14, 12, "differs"),
    ],
)
def test_a_file_of_other_bits_is_named(caplog: pytest.LogCaptureFixture, own: int | None, expected: int, text: str):
    with caplog.at_level(logging.WARNING):
        warn_if_bits_differ(Path("x.png"), own, expected)
    assert bool(caplog.records) == bool(text)
    assert text in caplog.text
    assert not text or "x.png: " in caplog.text


@pytest.mark.parametrize(
    ("own", "chosen", "parts"),
    [
        ([12, 12, 11], 12, []),
        ([], 16, []),
        ([12, 12, 14], 12, ["of 3", "1 use more"]),
        ([16, 12, 12], 16, ["of 3", "2 use at most 14 and are dark"]),
    ],
)
def test_files_that_disagree_are_counted(own: list[int], chosen: int, parts: list[str]):
    described = describe_disagreement(own, chosen)
    assert (described is None) == (not parts)
    assert all(part in (described or "") for part in parts)
