"""Which cases a gallery shows, and the layers that it sends."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ggcam.data.case import Frame, Region
from ggcam.gaze.fixations import Fixations
from ggcam.report.gallery import MAX_CASES, choose_cases
from ggcam.report.layers import (
    MAX_BYTES,
    MAX_CELLS,
    MAX_SIDE_PX,
    image_layer,
    legend,
    map_layer,
    region_marks,
    scanpath,
)
from ggcam.report.run_page import render_run_report
from report.page_fixtures import gallery_case, run_results

FRAME = Frame(64, 32)


@given(st.lists(st.tuples(st.integers(-1, 3), st.floats(0, 1)), max_size=60), st.integers(1, 20))
def test_as_many_as_there_may_be_are_chosen_the_worst_first(cases, most):
    group, truth_probability = np.array([g for g, _ in cases], dtype=int), np.array([c for _, c in cases], dtype=float)
    chosen = choose_cases(truth_probability, group, most)
    assert len(chosen) == len(set(chosen)) == min(most, len(cases))
    assert truth_probability[chosen].tolist() == sorted(truth_probability[chosen])
    if most >= len(set(group.tolist())):
        assert set(group[chosen].tolist()) == set(group.tolist())


def test_of_each_class_the_worst_and_others_up_to_the_best_are_chosen():
    truth_probability, group = np.linspace(0, 1, 200), np.arange(200) % 2
    chosen = choose_cases(truth_probability, group, 20)
    for each in (0, 1):
        rows = [row for row in chosen if group[row] == each]
        assert len(rows) == 10
        assert rows[:5] == list(range(each, 10, 2))  # its five worst
        assert rows[-1] == 198 + each  # and its best
        assert np.ptp(np.diff(rows[5:])) <= 2  # evenly


def test_a_rare_class_leaves_its_places_to_the_others():
    chosen = choose_cases(np.linspace(0, 1, 102), np.array([0, 1, *[2] * 100]), 40)
    assert len(chosen) == 40
    assert {0, 1} <= set(chosen)


def test_a_map_is_a_pixel_a_cell_from_transparent_to_opaque():
    values = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 8.0]])
    layer = np.array(Image.open(BytesIO(map_layer(values).content)).convert("RGBA")).astype(int)
    assert layer.shape == (2, 3, 4)
    np.testing.assert_allclose(layer[..., 3], 255 * values / 8, atol=255 / 63)
    assert layer[0, 0, 3] == 0
    assert layer[1, 2, 3] == 255


@pytest.mark.parametrize("values", [np.full((3, 4), 7.0), np.full((3, 4), np.nan)])
def test_a_map_that_says_nothing_is_transparent(values):
    layer = np.array(Image.open(BytesIO(map_layer(values).content)).convert("RGBA"))
    assert (layer[..., 3] == 0).all()


def test_a_fine_map_is_made_coarser():
    assert Image.open(BytesIO(map_layer(np.random.default_rng(0).random((300, 10))).content)).size == (2, MAX_CELLS)


def test_small_images_are_sent_without_loss_large_ones_small():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (96, 80)).astype(np.uint8)
    sent = image_layer(small)
    assert sent.kind == "png"
    np.testing.assert_array_equal(np.array(Image.open(BytesIO(sent.content))), small)
    noise = rng.integers(0, 65535, (1536, 1280)).astype(np.uint16)  # nothing is harder to make small
    sent = image_layer(noise)
    assert sent.kind == "jpeg"
    assert len(sent.content) <= MAX_BYTES
    assert Image.open(BytesIO(sent.content)).size == (640, MAX_SIDE_PX)


def test_colours_reach_the_page():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (96, 80, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.array(Image.open(BytesIO(image_layer(small).content))), small)
    large = np.empty((1000, 1200, 3), np.uint8)
    large[:] = (200, 60, 20)
    sent = Image.open(BytesIO(image_layer(large).content))
    assert (sent.mode, sent.size) == ("RGB", (MAX_SIDE_PX, 640))
    np.testing.assert_allclose(np.array(sent)[300, 300], (200, 60, 20), atol=3)


def test_forty_large_cases_of_fourteen_classes_make_a_page_of_less_than_10_mb():
    names = tuple(f"class {k}" for k in range(14))
    rng = np.random.default_rng(0)
    noise = image_layer(rng.integers(0, 255, (1536, 1280)).astype(np.uint8))
    layers = map_layer(rng.random((64, 54)))
    cases = []
    for number in range(MAX_CASES):
        case = gallery_case(number, names, image=noise, gaze=layers)
        classes = tuple(replace(each, cam=layers) for each in case.classes)
        path = scanpath(Fixations.build(*rng.uniform(0, 1000, (2, 150))), Frame(1536, 1280))
        cases.append(replace(case, classes=classes, scanpaths=(path, path)))
    html = render_run_report(replace(run_results(gallery=0), gallery=tuple(cases)))
    assert 5e6 < len(html.encode()) < 10e6


def test_a_scanpath_has_a_circle_a_fixation_larger_where_it_is_longer():
    path = scanpath(Fixations.build([4, 20, 30], [5, 6, 60], [0.1, 0.4, 0.0]), FRAME)
    assert path.line == "M4.0 5.0L20.0 6.0L30.0 60.0"
    radii = [mark.radius_px for mark in path.marks]
    assert radii[1] == max(radii)
    assert radii[0] == pytest.approx(radii[1] / 2, abs=0.06)  # the area grows with the duration
    assert radii[2] > 0
    assert [mark.text for mark in path.marks] == ["1: 0.10 s", "2: 0.40 s", "3: 0.00 s"]
    assert len({mark.colour for mark in path.marks}) == 3
    assert scanpath(Fixations.build([], []), FRAME).marks == ()


def test_names_of_regions_do_not_lie_on_each_other_nor_off_the_image():
    box = Region("effusion", "box", 2, 20, 10, 30)
    first, second, third = region_marks([box, box, Region("effusion", "box", 22, 50, 31, 62)], FRAME)
    assert first.text_shown
    assert not second.text_shown
    assert third.text_shown
    assert (first.anchor, third.anchor) == ("start", "end")
    (top,) = region_marks([Region("a", "box", 0, 0, 10, 64)], FRAME)
    assert 0 < top.text_y_px <= 64


def test_a_legend_goes_from_dark_to_bright():
    first, *_, last = legend("inferno").split(", ")
    assert first == "#000004"
    assert last == "#fcffa4"
