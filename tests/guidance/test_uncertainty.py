"""Two losses weighted by learned uncertainties."""

from __future__ import annotations

import math

import pytest
import torch

from ggcam.guidance.uncertainty import combine_by_uncertainty


@pytest.mark.parametrize(("sc", "sd"), [(1.0, 1.0), (0.5, 2.0), (3.0, 0.1)])
def test_the_total_equals_the_formula(sc, sd):
    found = combine_by_uncertainty(*map(torch.tensor, (0.7, 0.2, math.log(sc), math.log(sd))))
    expected = 0.7 / sc**2 + math.log(1 + sc) + 0.2 / (2 * sd**2) + math.log(1 + sd)
    assert found.item() == pytest.approx(expected, rel=1e-5)
