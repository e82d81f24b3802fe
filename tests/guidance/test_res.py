"""The loss that allows for coarse boundaries, against loops and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ggcam.guidance import create_guidance
from guidance.examples import arrays, evidence, inside, random_maps


@pytest.mark.parametrize("eta", [0.0, 0.1, 0.9])
def test_the_loss_equals_its_formula_at_the_best_of_21_levels(eta):
    output, labels, density = random_maps()
    expected = []
    for cam, gaze in arrays(output, labels, density):
        m, f = evidence(cam), inside(gaze)
        errors = [
            np.mean(np.abs(np.tanh(5 * (m - a)) - np.where(f, 1.0, -1.0))) for a in [level / 20 for level in range(21)]
        ]
        blurred = ndimage.convolve(f.astype(float), np.outer([1, 2, 1], [1, 2, 1]) / 16, mode="nearest")
        expected.append(max(0.0, min(errors) - eta) + np.mean(np.abs(m - blurred)))
    found = create_guidance("res-g", options={"eta": eta}).dissimilarity(output, labels, density)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)
