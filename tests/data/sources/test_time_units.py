"""Units of time: from names, from the sampling rate; time stamps that repeat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.sources.time_units import SECONDS_PER_UNIT, spread_repeats, unit_by_rate, unit_in_name


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Recording timestamp [μs]", "us"),
        ("Recording timestamp [µs]", "us"),
        ("Gaze event duration [ms]", "ms"),
        ("Time (in secs)", "s"),
        ("start timestamp [ns]", "ns"),
        ("duration_ms", "ms"),
        ("duration_s", "s"),
        ("Recording timestamp", None),
        ("t", None),
        ("frames", None),
    ],
)
def test_the_unit_in_a_name_is_found(name: str, unit: str | None):
    assert unit_in_name(name) == unit


@given(st.floats(20, 2400), st.sampled_from(list(SECONDS_PER_UNIT)), st.sampled_from(["s", "ms"]), st.floats(0, 1e6))
def test_the_sampling_rate_decides_the_unit(rate: float, unit, default, start: float):
    time = (start + np.arange(200) / rate) / SECONDS_PER_UNIT[unit]
    assert unit_by_rate(time, default) == unit
    # Two recordings one after the other, and a long break.
    assert unit_by_rate(np.r_[time, time, time + 60 / SECONDS_PER_UNIT[unit]], default) == unit


@pytest.mark.parametrize("time", [[], [5.0], [5.0, 5.0], [0.0, 1e308]])
def test_times_without_a_rate_keep_the_default(time: list[float]):
    assert unit_by_rate(np.array(time), "ms") == "ms"


@given(st.floats(1001, 5000), st.integers(0, 10**6))
def test_repeated_time_stamps_are_spread_to_the_sampling_interval(rate: float, start: int):
    true = start + np.arange(400) / rate
    found = spread_repeats(np.floor(true * 1000) / 1000)
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(found, true, atol=1.1e-3)
    assert np.mean(np.diff(found)) == pytest.approx(1 / rate, rel=0.02)


@given(st.lists(st.floats(0, 1e6), max_size=30, unique=True))
def test_distinct_time_stamps_stay_as_they_are(times: list[float]):
    np.testing.assert_array_equal(spread_repeats(np.array(sorted(times))), sorted(times))
