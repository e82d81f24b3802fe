import numpy as np
import pytest

from ggcam.metrics.faithfulness import deletion_insertion

SIZE, GRID = (12, 8), (3, 4)


def evidence(grid=GRID, size=SIZE):
    """How much each pixel counts: the middle-right cell alone."""
    weight = np.zeros(size)
    weight[4:8, 4:6] = 1 / 8
    return weight


def score(images):
    return (images * evidence()).sum(axis=tuple(range(1, images.ndim)))


def test_the_curves_equal_a_loop_over_cells():
    rng = np.random.default_rng(0)
    images, cam = rng.random((3, *SIZE)), rng.normal(size=(3, *GRID))
    blank = rng.random((3, *SIZE))
    found = deletion_insertion(images, cam, score, blank, steps=12)
    assert found.share.tolist() == (np.arange(13) / 12).tolist()
    for i in range(3):
        deleted, inserted = images[i].copy(), blank[i].copy()
        for step, cell in enumerate([None, *np.argsort(-cam[i].ravel())]):
            if cell is not None:
                row, column = divmod(cell, 4)
                block = np.s_[4 * row : 4 * row + 4, 2 * column : 2 * column + 2]
                deleted[block], inserted[block] = blank[i][block], images[i][block]
            assert found.deletion[i, step] == pytest.approx(score(deleted[None])[0])
            assert found.insertion[i, step] == pytest.approx(score(inserted[None])[0])
        assert found.deletion_auc[i] == pytest.approx(np.trapezoid(found.deletion[i], dx=1 / 12))
        assert found.insertion_auc[i] == pytest.approx(np.trapezoid(found.insertion[i], dx=1 / 12))


def test_a_cam_on_the_evidence_is_faithful_one_off_it_is_not_and_a_constant_one_lies_between():
    images, blank = np.ones((1, *SIZE)), np.zeros((1, *SIZE))
    on = np.zeros((1, *GRID))
    on[0, 1, 2] = 1
    best, worst = (deletion_insertion(images, cam, score, blank, steps=12) for cam in (on, -on))
    assert best.deletion_auc[0] == pytest.approx(1 / 24)
    assert best.insertion_auc[0] == pytest.approx(1 - 1 / 24)
    assert (worst.deletion_auc[0], worst.insertion_auc[0]) == pytest.approx((1 - 1 / 24, 1 / 24))
    flat = np.zeros((400, *GRID))
    many = [np.repeat(image, 400, axis=0) for image in (images, blank)]
    chance = deletion_insertion(many[0], flat, score, many[1], steps=12)
    assert chance.deletion_auc.mean() == pytest.approx(0.5, abs=0.05)
    assert chance.insertion_auc.mean() == pytest.approx(0.5, abs=0.05)


def test_images_may_have_channels_and_sides_that_the_grid_does_not_divide():
    images, blank = np.ones((2, 3, 7, 9)), np.zeros((2, 3, 7, 9))
    cam = np.random.default_rng(1).normal(size=(2, 3, 2))
    found = deletion_insertion(images, cam, lambda x: x.mean(axis=(1, 2, 3)), blank, steps=100)
    assert len(found.share) == 7
    np.testing.assert_allclose(found.deletion[:, [0, -1]], [[1, 0]] * 2)
    np.testing.assert_allclose(found.insertion + found.deletion, 1)


def test_a_pixel_goes_with_the_cell_that_its_centre_lies_in():
    seen = []

    def keep(images):
        seen.append(images[0, 0])
        return images.sum(axis=(1, 2))

    cam = np.array([[[3.0, 2.0, 1.0]]])
    deletion_insertion(np.ones((1, 1, 7)), cam, keep, np.zeros((1, 1, 7)), steps=3)
    assert [image.astype(int).tolist() for image in seen[3::2]] == [[1, 1, 0, 0, 0, 0, 0], [1] * 5 + [0, 0], [1] * 7]


def test_the_order_among_equal_cells_follows_the_seed():
    images, blank = np.random.default_rng(2).random((2, *SIZE)), np.zeros((2, *SIZE))
    runs = [deletion_insertion(images, np.zeros((2, *GRID)), score, blank, seed=s).deletion for s in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


@pytest.mark.parametrize(("grid", "steps"), [((13, 4), 5), (GRID, 0)])
def test_invalid_steps_are_refused(grid, steps):
    images = np.zeros((1, *SIZE))
    with pytest.raises(ValueError, match="cannot take"):
        deletion_insertion(images, np.zeros((1, *grid)), score, images, steps=steps)


def test_a_cam_that_is_not_finite_is_refused():
    images = np.zeros((1, *SIZE))
    with pytest.raises(ValueError, match="not finite"):
        deletion_insertion(images, np.full((1, *GRID), np.nan), score, images)
