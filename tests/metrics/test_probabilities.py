"""Probabilities from logits are those of torch and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from ggcam.metrics.probabilities import scaled_probabilities


def test_probabilities_are_the_softmax_or_sigmoid_of_scaled_logits_in_their_type():
    logits = np.array([[2.0, 0.0, -2.0], [100.0, 0.0, 0.0]], dtype=np.float32)
    for multi_label in (False, True):
        tensor = torch.tensor(logits) / 2
        expected = tensor.sigmoid() if multi_label else tensor.softmax(dim=1)
        found = scaled_probabilities(logits, 2.0, multi_label)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-6)
    per_label = scaled_probabilities(logits, np.array([1.0, 2.0, 4.0]), multi_label=True)
    np.testing.assert_allclose(per_label[0], expit([2.0, 0.0, -0.5]), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_they_are_scipys_to_the_last_digit_over_the_whole_range(dtype):
    logits = np.random.default_rng(0).normal(size=(2000, 5)) * np.geomspace(1e-3, 300, 2000)[:, None]
    logits = logits.astype(dtype)
    smallest = np.finfo(dtype).tiny
    for found, expected in (
        (scaled_probabilities(logits), softmax(logits, axis=1)),
        (scaled_probabilities(logits, multi_label=True), expit(logits)),
    ):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps, atol=smallest)
    np.testing.assert_array_equal(scaled_probabilities(logits), softmax(logits, axis=1))
