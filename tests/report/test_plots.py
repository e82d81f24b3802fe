"""Plots on matplotlib axes: what is drawn where, on whose axes, and without pyplot unless it has to be."""

from __future__ import annotations

import doctest
import subprocess
import sys

import cv2
import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes

import ggcam
from ggcam.data.case import Region
from ggcam.gaze.fixations import Fixations
from ggcam.report import plots
from ggcam.report.figure import new_figure
from ggcam.report.overlay import SKY, cam_overlay, draw_scanpath, to_rgb
from ggcam.report.plots import (
    ComparisonCase,
    plot_attention_map,
    plot_cam,
    plot_comparison,
    plot_image,
    plot_scanpath,
    save_comparison,
)

GREY = np.full((96, 64), 100, np.uint8)
GAZE = Fixations.build([16.0, 48.0], [24.0, 72.0], [0.1, 0.4])


@pytest.fixture
def ax() -> Axes:
    return new_figure(3, 3).subplots()


def drawn_on(ax: Axes) -> np.ndarray:
    (image,) = ax.get_images()
    return np.asarray(image.get_array())


def centre(change: np.ndarray) -> tuple[float, float]:
    """Row and column of the centre of mass."""
    rows, columns = np.indices(change.shape) + 0.5
    return (change * rows).sum() / change.sum(), (change * columns).sum() / change.sum()


def case(name: str = "case", gaze: bool = True, shape: tuple[int, int] = (64, 48), seed: int = 0) -> ComparisonCase:
    rng = np.random.default_rng(seed)
    return ComparisonCase(
        name=name,
        image=rng.integers(0, 256, shape, dtype=np.uint8),
        regions=(Region("f", "box", 8, 8, 24, 30),),
        gaze=rng.random((8, 6)) if gaze else None,
        cam_without=rng.normal(size=(4, 3)),
        cam_with=rng.normal(size=(8, 6)),
        probability_without=0.25,
        probability_with=0.75,
    )


def test_every_plot_draws_on_the_given_axes_and_returns_them(ax, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it is an error now
    for number, plot in enumerate(
        (
            lambda: plot_image(GREY, ax=ax),
            lambda: plot_scanpath(GREY, GAZE, ax=ax),
            lambda: plot_attention_map(GREY, GAZE, ax=ax),
            lambda: plot_cam(GREY, np.eye(4), ax=ax),
        ),
        start=1,
    ):
        assert plot() is ax
        assert len(ax.get_images()) == number
    assert not ax.axison


def test_without_axes_a_figure_of_pyplot_is_created(monkeypatch):
    matplotlib.use("agg")
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    created = [plot_cam(GREY, np.eye(4)).figure, plot_comparison([case()])]
    assert len(pyplot.get_fignums()) == len(before) + 2
    for figure in created:
        pyplot.close(figure)


def test_an_image_is_drawn_pixel_by_pixel_with_its_regions(ax):
    plot_image(GREY, regions=[Region("f", "box", 10.5, 20.5, 40.5, 60.5)], ax=ax)
    image = drawn_on(ax)
    assert image.shape == (96, 64, 3)
    for row, column in ((20, 30), (60, 30), (40, 10), (40, 40)):
        assert np.abs(image[row, column].astype(int) - SKY).max() <= 15  # anti-aliased
    assert tuple(image[40, 30]) == (100, 100, 100)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 63.5), (95.5, -0.5))


def test_a_scanpath_plot_is_the_image_with_circles_at_the_fixations(ax):
    image = drawn_on(plot_scanpath(GREY, GAZE, ax=ax))
    np.testing.assert_array_equal(image, draw_scanpath(to_rgb(GREY), GAZE))
    for x, y in ((16, 24), (48, 72)):
        assert tuple(image[y, x]) != (100, 100, 100)
    assert tuple(image[72, 16]) == (100, 100, 100)


def test_an_attention_map_lies_on_its_fixation_and_widens_with_sigma(ax):
    one = Fixations.build([16.0], [72.0], [0.3])
    changes = [
        np.abs(
            drawn_on(plot_attention_map(GREY, one, sigma_px=s, ax=new_figure(2, 2).subplots())).astype(int) - 100
        ).sum(axis=2)
        for s in (3, 6)
    ]
    for change in changes:
        assert centre(change) == pytest.approx((72, 16), abs=1.0)
    assert (changes[1] > 0).sum() > 2 * (changes[0] > 0).sum()
    on_grid = np.zeros((12, 8))
    on_grid[9, 1] = 1
    grid_change = np.abs(drawn_on(plot_attention_map(GREY, on_grid, ax=ax)).astype(int) - 100).sum(axis=2)
    assert centre(grid_change) == pytest.approx((76, 12), abs=1.0)  # the middle of the cell


def test_no_fixations_leave_the_image(ax):
    np.testing.assert_array_equal(drawn_on(plot_attention_map(GREY, Fixations.empty(), ax=ax)), to_rgb(GREY))


def test_a_cam_plot_is_its_overlay(ax):
    cam = np.random.default_rng(0).normal(size=(6, 4))
    np.testing.assert_array_equal(drawn_on(plot_cam(GREY, cam, ax=ax)), cam_overlay(GREY, cam))


def test_a_comparison_has_the_image_gaze_and_both_cams_of_each_case():
    cases = [case("one"), case("two", gaze=False, shape=(400, 384), seed=1)]
    axes = new_figure(10, 6).subplots(2, 4)
    figure = plot_comparison(cases, guidance="ggcam-cc", axes=axes)
    assert figure is axes[0, 0].figure
    titles = [[panel.get_title(loc="left") for panel in row] for row in axes]
    assert titles == [["one", "", "p = 0.25", "p = 0.75"], ["two", "no gaze recorded", "p = 0.25", "p = 0.75"]]
    heads = [panel.texts[0].get_text() for panel in axes[0]]
    assert heads == ["Image", "Gaze", "CAM, no guidance", "CAM, ggcam-cc"]
    large = cases[1]  # large enough to be drawn as it is
    inside = (slice(40, None), slice(40, None))  # beyond the outlined region
    for panel, expected in zip(
        axes[1],
        (
            to_rgb(large.image),
            to_rgb(large.image),
            *(cam_overlay(large.image, c) for c in (large.cam_without, large.cam_with)),
        ),
        strict=True,
    ):
        np.testing.assert_array_equal(drawn_on(panel)[inside], expected[inside])
        outline = np.abs(drawn_on(panel)[6:10, 16].astype(int) - SKY).max(axis=1)
        assert outline.min() <= 15


def test_a_probability_may_be_left_out():
    plain = ComparisonCase("a", GREY, cam_without=np.eye(3), cam_with=np.eye(4))
    axes = new_figure(10, 3).subplots(1, 4, squeeze=False)
    plot_comparison([plain], axes=axes)
    assert [panel.get_title(loc="left") for panel in axes[0]] == ["a", "no gaze recorded", "", ""]


def test_the_saved_comparison_is_1280_pixels_wide_with_a_row_per_case(tmp_path):
    save_comparison([case()], tmp_path / "one.png", guidance="ggcam-cc")
    save_comparison([case(), case(gaze=False), case(shape=(40, 70))], tmp_path / "three.png")
    one, three = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("one", "three"))
    assert one.shape[1] == three.shape[1] == 1280
    assert three.shape[0] > 2 * one.shape[0]
    middle = one[one.shape[0] // 2].astype(int)
    panels = [middle[i * 320 + 40 : i * 320 + 280] for i in range(4)]
    grey = [(np.ptp(panel, axis=1) < 8).mean() for panel in panels]
    assert grey[0] > 0.95  # all but the outline
    assert max(grey[1:]) < 0.5
    assert all(np.abs(a - b).mean() > 2 for a in panels for b in panels if a is not b)


def test_sixteen_bit_images_and_constant_cams_are_drawn():
    deep = ComparisonCase("a", np.arange(96 * 64, dtype=np.uint16).reshape(96, 64) * 10, np.eye(3), np.zeros((3, 3)))
    axes = new_figure(10, 3).subplots(1, 4, squeeze=False)
    plot_comparison([deep], axes=axes)
    image, constant = drawn_on(axes[0, 0]), drawn_on(axes[0, 3])
    np.testing.assert_array_equal(image, constant)
    assert (image.min(), image.max()) == (0, 255)


def test_no_cases_and_other_axes_are_refused(tmp_path):
    for refused in (lambda: plot_comparison([]), lambda: save_comparison([], tmp_path / "c.png")):
        with pytest.raises(ValueError, match="no cases"):
            refused()
    with pytest.raises(ValueError, match=r"axes of shape \(1, 4\), got \(2, 4\)"):
        plot_comparison([case()], axes=new_figure(4, 4).subplots(2, 4))


def test_the_saved_comparison_does_not_use_pyplot(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    save_comparison([case()], tmp_path / "c.png")


def test_the_examples_run():
    matplotlib.use("agg")
    from matplotlib import pyplot

    assert doctest.testmod(plots).failed == 0
    assert doctest.testmod(plots).attempted >= 10
    pyplot.close("all")


def test_plots_are_public_and_import_matplotlib_when_drawing():
    assert ggcam.plots is plots
    code = "import sys; from ggcam import plots; assert plots.plot_cam; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
