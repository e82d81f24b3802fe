import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.errors import ConfigError
from ggcam.gaze.events import FixationDetection, detect_fixations

PPD = (40.0, 50.0)


def recording(places, rate=60, noise_px=0.5, seed=0):
    """Rests at each (x, y, seconds), jumps in between; the true starts."""
    rng, step = np.random.default_rng(seed), 1 / rate
    x, y, starts = [], [], []
    for px, py, seconds in places:
        starts.append(len(x) * step)
        n = round(seconds * rate)
        x += [px] * n
        y += [py] * n
    noise = rng.normal(0, noise_px, (2, len(x)))
    return np.arange(len(x)) * step, np.array(x, float) + noise[0], np.array(y, float) + noise[1], starts


PLACES = [(100, 100, 0.3), (500, 200, 0.5), (300, 600, 0.2)]


@pytest.mark.parametrize("method", ["ivt", "idt"])
@pytest.mark.parametrize("rate", [60, 250, 1000])
def test_known_rests_are_found_where_and_when_they_were(method, rate):
    time, x, y, starts = recording(PLACES, rate, noise_px=0.2)
    found = detect_fixations(time, x, y, PPD, FixationDetection(method))
    assert len(found) == 3
    np.testing.assert_allclose(found.x_px, [100, 500, 300], atol=0.5)
    np.testing.assert_allclose(found.y_px, [100, 200, 600], atol=0.5)
    # At a jump the velocity window touches a sample or 10 ms on either side.
    np.testing.assert_allclose(found.start_s, starts, atol=max(2 / rate, 0.012))
    np.testing.assert_allclose(found.duration_s, [0.3, 0.5, 0.2], atol=max(3 / rate, 0.025))
    assert set(zip(found.px_per_degree_x, found.px_per_degree_y, strict=True)) == {PPD}


def test_dwell_keeps_every_sample_for_one_interval():
    time, x, y, _ = recording(PLACES)
    x[5:9] = np.nan
    found = detect_fixations(time, x, y, (np.nan, np.nan), FixationDetection("dwell"))
    assert len(found) == len(time) - 4
    np.testing.assert_allclose(found.duration_s, 1 / 60)
    np.testing.assert_array_equal(found.x_px, x[np.isfinite(x)])


@pytest.mark.parametrize("method", ["ivt", "idt"])
def test_a_blink_parts_a_fixation_and_a_short_loss_does_not(method):
    time, x, y, _ = recording([(100, 100, 1.0)])
    x[20:22] = np.nan
    assert len(detect_fixations(time, x, y, PPD, FixationDetection(method))) == 1
    y[20:40] = np.nan
    found = detect_fixations(time, x, y, PPD, FixationDetection(method))
    np.testing.assert_allclose(found.duration_s, [1 / 3, 1 / 3], atol=0.02)


@pytest.mark.parametrize("method", ["ivt", "idt"])
def test_short_rests_are_none(method):
    time, x, y, _ = recording([(100, 100, 0.3), (500, 500, 0.1), (100, 100, 0.3)], rate=100)
    assert len(detect_fixations(time, x, y, PPD, FixationDetection(method, minimum_s=0.15))) == 2


@pytest.mark.parametrize("method", ["ivt", "idt", "dwell"])
def test_no_samples_and_one_sample(method):
    none = np.empty(0)
    assert len(detect_fixations(none, none, none, PPD, FixationDetection(method))) == 0
    one = np.ones(1)
    assert len(detect_fixations(one, one, one, PPD, FixationDetection(method))) == (method == "dwell")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["ivt", "idt"]))
def test_fixations_never_overlap_and_lie_within_the_samples(seed, method):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 120))
    time = np.cumsum(rng.uniform(0.012, 0.02, n))
    x, y = np.cumsum(rng.normal(0, 12, (2, n)) * (rng.random(n) < 0.4), axis=1)
    x[rng.random(n) < 0.05] = np.nan
    found = detect_fixations(time, x, y, PPD, FixationDetection(method))
    ends = found.start_s + found.duration_s
    assert (found.start_s[1:] >= ends[:-1] - 0.021).all()
    assert (np.diff(found.start_s) > 0).all()
    if len(found):
        assert found.x_px.min() >= np.nanmin(x) - 1e-9  # a mean is rounded
        assert found.x_px.max() <= np.nanmax(x) + 1e-9


def test_without_pixels_per_degree_there_is_no_velocity():
    with pytest.raises(ConfigError, match=r"ivt needs the pixels per degree(.|\n)*--detect dwell"):
        detect_fixations(np.arange(3.0), np.ones(3), np.ones(3), (np.nan, np.nan), FixationDetection())


def test_thresholds_of_nothing_and_falling_times_are_refused():
    with pytest.raises(ConfigError, match="dispersion_deg must be above 0"):
        FixationDetection(dispersion_deg=0)
    with pytest.raises(ValueError, match="time_s must ascend"):
        detect_fixations(np.array([1.0, 0.0]), np.ones(2), np.ones(2), PPD, FixationDetection())
