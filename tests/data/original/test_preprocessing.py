from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.original import slow_original
from data.sources.original_fixture import raw_case
from ggcam.data.case import Frame
from ggcam.data.framing import Strided
from ggcam.data.original.preprocessing import crops, process, sample, split_by_position
from ggcam.errors import ConfigError
from ggcam.gaze.fixations import Fixations

FRAME = Frame(96, 64)
CANVAS = (192, 128)


def fixations_of(counts: np.ndarray) -> Fixations:
    rows, columns = np.nonzero(counts)
    return Fixations.build(columns + 0.5, rows + 0.5, counts[rows, columns] / 60)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([2, 64]), st.integers(0, 1000))
def test_sample_equals_placing_on_the_canvas_and_striding(height, width, stride, seed):
    raw = np.random.default_rng(seed).integers(1, 1000, (height, width)).astype(np.uint16)
    np.testing.assert_array_equal(
        sample(raw, FRAME, stride), slow_original.place_on_canvas(raw, CANVAS)[::stride, ::stride]
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 400), st.integers(8, 400))
def test_affine_maps_centres_of_kept_pixels_to_centres_of_pixels_in_the_frame(height, width):
    framing = Strided(FRAME)
    affine = framing.affine(height, width)
    numbered = np.arange(1, height * width + 1, dtype=np.float64).reshape(height, width)
    kept = sample(numbered, FRAME)
    rows, columns = np.nonzero(kept)
    raw_rows, raw_columns = np.divmod(kept[rows, columns].astype(int) - 1, width)
    np.testing.assert_allclose(affine.apply_y(raw_rows + 0.5), rows + 0.5)
    np.testing.assert_allclose(affine.apply_x(raw_columns + 0.5), columns + 0.5)
    assert framing.crops(height, width) == (height > 192 or width > 128) == crops(FRAME, height, width)


def test_strided_images_are_scaled_by_their_largest_kept_pixel():
    raw = np.zeros((96, 64), np.float32)
    raw[48, 32], raw[50, 32], raw[49, 33] = 3000, 750, 4095  # the last one is not kept
    image = Strided(FRAME).image(raw)
    assert image.dtype == np.uint16
    assert sorted(image[image > 0].tolist()) == [16384, 65535]
    assert not Strided(FRAME).image(np.zeros((96, 64), np.uint8)).any()


@pytest.mark.parametrize("size", [(180, 120), (181, 121), (150, 220), (230, 90), (64, 51)])
def test_process_equals_the_slow_re_implementation(size):
    arrays = raw_case(7, *size).arrays
    lung = arrays["seg_left_lung"] | arrays["seg_right_lung"]
    files = process(
        arrays["cxr"].astype(np.float32), fixations_of(arrays["gaze_dot"]), lung, arrays["seg_mediastanum"], 2, FRAME
    )
    assert set(files) == {200, 500, 800}
    for kernel_px, found in files.items():
        expected = slow_original.process(arrays, kernel_px, CANVAS)
        np.testing.assert_array_equal(found.cxr, expected["cxr"][0])
        np.testing.assert_allclose(found.gaze, expected["gaze"][0], atol=1e-5)
        np.testing.assert_array_equal(found.lung, expected["lung"])
        np.testing.assert_array_equal(found.heart, expected["heart"])
        assert found.label == 2


def test_gaze_off_the_image_gives_a_map_of_zeros():
    no_mask = np.zeros((96, 64), bool)
    image = np.ones((96, 64), np.float32)
    off_image = Fixations.build([-1.0, 64.0, 3.0], [5.0, 5.0, 96.0])
    files = process(image, off_image, no_mask, no_mask, 0, FRAME)
    assert not any(content.gaze.any() for content in files.values())


@pytest.mark.parametrize("case", range(4))
def test_process_reproduces_the_recorded_cases(golden, case):
    recorded = np.load(golden / "preprocess.npz")
    height, width = recorded[f"{case}_shape"].tolist()
    rows, columns = np.indices((height, width), sparse=True)
    pixels = ((7 * rows + 13 * columns) % 4096).astype(np.float32)
    counts = np.zeros((height, width))
    at_row, at_column, count = recorded[f"{case}_points"].T
    np.add.at(counts, (at_row, at_column), count)
    lung, heart = np.zeros((2, height, width), bool)
    for first, last in ((width // 8, 2 * width // 5), (3 * width // 5, 7 * width // 8)):
        lung[height // 5 : 4 * height // 5, first:last] = True
    heart[height // 3 : 2 * height // 3, 2 * width // 5 : 3 * width // 5] = True
    files = process(pixels, fixations_of(counts), lung, heart, 1, Frame())
    for kernel_px, found in files.items():
        np.testing.assert_allclose(found.gaze, recorded[f"{case}_gaze_{kernel_px}"][0], atol=1e-5)
    cxr = files[500].cxr
    assert (3, *cxr.shape) == tuple(recorded[f"{case}_cxr_shape"])
    np.testing.assert_array_equal(cxr[::64, ::64], recorded[f"{case}_cxr_sub"])
    assert 3 * cxr.sum(dtype=np.float64) == pytest.approx(float(recorded[f"{case}_cxr_sum"]), rel=1e-12)
    np.testing.assert_array_equal(files[500].lung, recorded[f"{case}_lung"])
    np.testing.assert_array_equal(files[500].heart, recorded[f"{case}_heart"])


# --- the split


@pytest.mark.parametrize("fraction", ["1.0", "0.01"])
def test_split_by_position_reproduces_the_recorded_split(golden, fraction):
    table = pd.read_csv(golden / "data_summary.csv", index_col=0)
    recorded = json.loads((golden / "split.json").read_text())[fraction]
    splits = split_by_position(table["ID"].tolist(), table["Y"].tolist(), (0.7, 0.1, 0.2), float(fraction), seed=0)
    for split_name, ids in recorded.items():
        assert {case_id for case_id, name in splits.items() if name == split_name.lower()} == set(ids)
    assert list(splits) == [case_id for ids in recorded.values() for case_id in ids]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=30, max_size=200), st.floats(0.2, 1), st.integers(0, 1000))
def test_split_by_position_equals_the_slow_re_implementation(labels, fraction, seed):
    table = pd.DataFrame({"ID": [f"c{number}" for number in range(len(labels))], "Y": labels})
    ids_of_split = slow_original.split_by_position(table, fraction, seed)
    expected = {case_id: name for name, ids in ids_of_split.items() for case_id in ids}
    # A split that would lose all its cases is refused.
    if {name for name, ids in slow_original.split_by_position(table, 1, seed).items() if ids} == set(expected.values()):
        assert split_by_position(table["ID"].tolist(), labels, (0.7, 0.1, 0.2), fraction, seed) == expected


def test_a_fraction_that_empties_a_split_is_refused_with_the_smallest_possible_one():
    ids = [f"c{number}" for number in range(100)]
    with pytest.raises(ConfigError, match=r"0.01 leaves no valid cases(.|\n)*above 0.05(.|\n)*of 10 cases"):
        split_by_position(ids, [0] * 100, (0.7, 0.1, 0.2), 0.01)
    assert len(split_by_position(ids, [0] * 100, (0.7, 0.1, 0.2), 0.06)) == 4 + 1 + 1
