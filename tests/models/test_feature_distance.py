from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.distance import mahalanobis

from ggcam.models.feature_distance import FeatureDistance, pooled_features


def test_the_distance_is_mahalanobis_of_the_signed_roots():
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(6, 5, 3, 4)).astype(np.float32))
    mean, factor = rng.normal(size=5), rng.normal(size=(5, 5))
    inverse = factor.T @ factor
    module = FeatureDistance(torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(factor.astype(np.float32)))
    pooled = features.numpy().astype(np.float64).mean(axis=(2, 3))
    expected = [mahalanobis(np.sign(row) * np.sqrt(np.abs(row)), mean, inverse) for row in pooled]
    np.testing.assert_allclose(module(features).numpy(), expected, rtol=1e-4)
    np.testing.assert_allclose(module.of_pooled(pooled_features(features)).numpy(), expected, rtol=1e-4)


def test_the_training_statistics_move_with_the_module_and_are_not_trained():
    module = FeatureDistance(torch.zeros(3), torch.eye(3))
    assert set(module.state_dict()) == {"mean", "whitening"}
    assert not list(module.parameters())
