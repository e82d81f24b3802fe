import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import attention_map

SIZE, GRID = (96, 64), (12, 8)


def random_readings(counts: list[int], seed: int, known_resolution: bool) -> list[Fixations]:
    rng = np.random.default_rng(seed)
    return [
        Fixations.build(
            rng.uniform(-5, 69, count),
            rng.uniform(-5, 101, count),
            duration_s=rng.lognormal(-1.3, 0.5, count),
            px_per_degree=(rng.uniform(2, 9), rng.uniform(2, 9)) if known_resolution else np.nan,
        )
        for count in counts
    ]


@given(
    st.lists(st.integers(0, 12), max_size=5),
    st.integers(0, 10**6),
    st.booleans(),
    st.none() | st.floats(0.5, 30),
    st.floats(0.3, 3),
)
def test_each_map_equals_that_of_the_single_case(counts, seed, known_resolution, sigma_px, sigma_deg):
    readings = random_readings(counts, seed, known_resolution)
    gaze = GazeBatch.from_fixations(readings, SIZE, sigma_deg, sigma_px, dtype=torch.float64)
    drawn = gaze.density(GRID)
    assert drawn.shape == (len(readings), *GRID)
    for one, reading in zip(drawn, readings, strict=True):
        single = attention_map(reading, GRID, SIZE, sigma_px=sigma_px, sigma_deg=sigma_deg, kind="density")
        np.testing.assert_allclose(one.numpy(), single, rtol=1e-12, atol=1e-15)


def test_the_tensors_are_float32_and_padded_to_the_longest_case():
    readings = random_readings([3, 0, 5], seed=1, known_resolution=True)
    gaze = GazeBatch.from_fixations(readings, SIZE)
    assert gaze.points_px.shape == (3, 5, 2)
    assert {gaze.points_px.dtype, gaze.weight.dtype, gaze.sigma_px.dtype} == {torch.float32}
    assert (gaze.weight > 0).sum(dim=1).tolist() == [3, 0, 5]
    assert all(part.isfinite().all() for part in (gaze.points_px, gaze.weight, gaze.sigma_px))
    assert gaze.label is None


def test_the_blur_follows_the_pixels_per_degree_of_each_fixation():
    known, unknown = Fixations.build([9.0], [9.0], px_per_degree=(4.0, 8.0)), Fixations.build([9.0], [9.0])
    gaze = GazeBatch.from_fixations([known, unknown], (57, 30), sigma_deg=0.5)
    np.testing.assert_allclose(gaze.sigma_px[:, 0], [[2.0, 4.0], [1.0, 1.0]])
    in_pixels = GazeBatch.from_fixations([known, unknown], (57, 30), sigma_deg=0.5, sigma_px=3.0)
    assert (in_pixels.sigma_px == 3.0).all()


def test_a_named_label_becomes_the_index_of_its_class():
    named = Fixations.build([9.0] * 3, [9.0] * 3, label=["CHF", "", "search"])
    gaze = GazeBatch.from_fixations(
        [named, Fixations.build([1.0], [1.0], label="Normal")], SIZE, class_names=["Normal", "CHF"]
    )
    assert gaze.label is not None
    assert gaze.label.tolist() == [[1, -1, -1], [0, -1, -1]]


@pytest.mark.parametrize(
    ("label_gaze", "weights"),
    [
        ("own", [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]),
        ("all", [[1.0, 2.0], [1.0, 2.0], [4.0, 0.0]]),
        ("own-else-all", [[1.0, 0.0], [1.0, 2.0], [4.0, 0.0]]),
    ],
)
def test_for_labels_weighs_the_points_of_each_pair(label_gaze, weights):
    """Three pairs: a case with gaze of the class, the same case and a class without, and a case without labels."""
    first = Fixations.build([9.0, 5.0], [9.0, 5.0], duration_s=[1.0, 2.0], label=["a", ""])
    second = Fixations.build([3.0], [3.0], duration_s=4.0)
    gaze = GazeBatch.from_fixations([first, second], SIZE, class_names=["a", "b"], label_gaze=label_gaze)
    pairs = gaze.for_labels(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]))
    assert pairs.weight.tolist() == weights
    assert pairs.points_px[:, 0].tolist() == [[9.0, 9.0], [9.0, 9.0], [3.0, 3.0]]
