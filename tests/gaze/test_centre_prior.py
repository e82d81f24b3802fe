import numpy as np
import pytest

from ggcam.gaze.centre_prior import CENTRE_PRIOR_SPREAD, centre_map


@pytest.mark.parametrize("grid", [(1, 1), (7, 7), (12, 9)])
def test_the_prior_is_a_density_with_its_peak_in_the_middle(grid):
    prior = centre_map(grid)
    assert prior.shape == grid
    assert prior.sum() == pytest.approx(1)
    np.testing.assert_allclose(prior, prior[::-1, ::-1])
    assert prior[grid[0] // 2, grid[1] // 2] == prior.max()


def test_a_standard_deviation_from_the_middle_the_prior_falls_to_its_known_fraction():
    cells = 1001
    row = centre_map((1, cells))[0]
    at = (np.arange(cells) + 0.5) / cells - 0.5
    for deviations in (1, 2):
        cell = np.argmin(np.abs(at - deviations * CENTRE_PRIOR_SPREAD))
        assert row[cell] / row[cells // 2] == pytest.approx(np.exp(-(deviations**2) / 2), rel=0.01)
