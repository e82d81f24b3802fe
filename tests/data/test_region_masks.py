import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline

from ggcam.data.case import RegionMask
from ggcam.data.region_masks import (
    MaskFiles,
    Polygons,
    RelativeRuns,
    RunLengths,
    Union,
    bounding_box,
    draw_polygon,
    unite,
)
from ggcam.errors import ImageError

SIZE = (9, 12)


def block(rows, columns, size=SIZE):
    mask = np.zeros(size, np.uint8)
    mask[rows, columns] = 255
    return mask


def write(path, mask):
    cv2.imwrite(str(path), mask)
    return path


@given(st.lists(st.tuples(st.floats(-3, 15), st.floats(-3, 12)), min_size=3, max_size=8))
def test_a_polygon_holds_the_pixels_whose_centres_lie_in_it(corners):
    points = np.array(corners)
    # Corners on the rows and columns of centres are ties, which either side may win.
    points = np.where(np.abs((points - 0.5) % 1 - 0.5) > 0.49, points + 0.03, points)
    centres = np.stack(np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5), axis=-1).reshape(-1, 2)
    crossed = np.zeros(len(centres), int)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        for at, (x, y) in enumerate(centres):
            if (y0 <= y) != (y1 <= y):
                crossed[at] += x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x
    np.testing.assert_array_equal(draw_polygon(points, *SIZE), (crossed % 2 == 1).reshape(SIZE))


def test_a_large_polygon_agrees_with_matplotlib_and_with_its_area():
    rng = np.random.default_rng(0)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
    radius = rng.uniform(60, 90, 40)
    points = np.stack([100.3 + radius * np.cos(angle), 110.7 + radius * np.sin(angle)], axis=1)
    centres = np.stack(np.meshgrid(np.arange(210) + 0.5, np.arange(220) + 0.5), axis=-1).reshape(-1, 2)
    drawn = draw_polygon(points, 220, 210)
    np.testing.assert_array_equal(drawn, Outline(points).contains_points(centres).reshape(220, 210))
    x, y = points.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert drawn.sum() == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize(("x", "y"), [((2.0, 5.0), (1.0, 4.0)), ((-9.0, 99.0), (-9.0, 99.0))])
def test_a_rectangle_on_the_edges_of_pixels_holds_exactly_these_pixels(x, y):
    (x0, x1), (y0, y1) = x, y
    drawn = Polygons(((x0, y0, x1, y0, x1, y1, x0, y1),)).read(*SIZE)
    expected = block(slice(max(0, int(y0)), int(y1)), slice(max(0, int(x0)), int(x1))) > 0
    np.testing.assert_array_equal(drawn, expected)


def test_files_are_united_and_any_value_but_0_is_inside(tmp_path):
    one = write(tmp_path / "a.png", block(slice(0, 2), slice(0, 3)) // 255)
    other = write(tmp_path / "b.png", cv2.merge([block(slice(4, 6), slice(5, 8))] * 3))
    expected = block(slice(0, 2), slice(0, 3)) | block(slice(4, 6), slice(5, 8))
    np.testing.assert_array_equal(MaskFiles((one, other)).read(*SIZE), expected > 0)
    parts: list[RegionMask] = [MaskFiles((one,)), MaskFiles((other,))]
    np.testing.assert_array_equal(unite(parts).read(*SIZE), expected > 0)
    assert unite(parts[:1]) is parts[0]


def test_overlapping_polygons_are_a_union():
    square = (1.0, 1.0, 5.0, 1.0, 5.0, 5.0, 1.0, 5.0)
    np.testing.assert_array_equal(Polygons((square, square)).read(*SIZE), Polygons((square,)).read(*SIZE))


def test_masks_are_picklable_and_their_words_tell_them_apart(tmp_path):
    masks = [
        MaskFiles((tmp_path / "a.png",)),
        Polygons(((0.0, 0.0, 1.0, 0.0, 1.0, 1.0),)),
        RunLengths((3, 105), *SIZE, "a.json"),
        RelativeRuns("3 4", "a.csv:2"),
        Union((RelativeRuns("3 4", "a.csv:2"),)),
    ]
    assert all(isinstance(mask, RegionMask) for mask in masks)
    assert [pickle.loads(pickle.dumps(mask)) for mask in masks] == masks
    assert len({repr(mask) for mask in masks}) == len(masks)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (lambda root: MaskFiles((root / "none.png",)), r"does not exist(.|\n)*none\.png"),
        (
            lambda root: MaskFiles((write(root / "small.png", block(0, 0, (9, 10))),)),
            r"another size(.|\n)*small\.png(.|\n)*\(9, 12\)(.|\n)*\(9, 10\)",
        ),
        (lambda root: RunLengths((108,), 12, 9, "a.json, annotation 3"), r"another size(.|\n)*annotation 3"),
        (lambda root: RunLengths((40,), *SIZE, "a.json"), r"do not fit(.|\n)*40 pixels, not 9x12"),
        (lambda root: RelativeRuns("100 9", "a.csv:2"), r"exceed(.|\n)*a\.csv:2(.|\n)*pixel 109 of 108"),
    ],
)
def test_a_mask_that_does_not_fit_its_image_is_refused(tmp_path, mask, message):
    with pytest.raises(ImageError, match=message):
        mask(tmp_path).read(*SIZE)


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_the_box_around_a_mask_is_the_smallest(mask):
    rows, columns = np.nonzero(mask)
    if not len(rows):
        assert bounding_box(mask) is None
        return
    assert bounding_box(mask) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
