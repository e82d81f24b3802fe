"""Describe the training images of a run, and choose the limits beyond which a new image is marked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped

from ggcam.data.image_statistics import ImageStatistics
from ggcam.metrics.typical_range import TypicalRange, deviation, out_of_fold_scores, score_limit, typical_range
from ggcam.models.feature_distance import FeatureDistance
from ggcam.training.network_outputs import NetworkOutputs
from ggcam.training.typicality import (
    FEATURES,
    LAYOUT,
    MARKS,
    Limits,
    Typicality,
    ValidationMarks,
    layout_correlation,
    standardised_layouts,
)

RATE = 0.01
"""Share of images like the training images that is marked: one half by the images, one half by their features."""

MIN_CASES = 20
"""Minimum number of training images: from fewer, nothing can be said about what is typical."""

_STATISTICS = tuple(name for name in MARKS if name != FEATURES)
_SIGNS = {"low": (-1.0,), "high": (1.0,), "both": (-1.0, 1.0)}


def fit_typicality(
    train: NetworkOutputs, valid: NetworkOutputs, patients: Shaped[np.ndarray, " n"]
) -> tuple[Typicality, FeatureDistance]:
    """Describe the training images, and choose limits.

    Each training image is compared with those of other patients. The limits are such that about `RATE` of the images
    are outside. A network fits the images it was trained on, so distances of new images are larger: the limit of the
    distance is multiplied by the ratio of the medians of validation and training images, if that is above 1.

    Args:
        train: statistics and features of n training images, at least one.
        valid: those of the validation images, which show how many images are marked.
        patients: shape (n,), the patient of each training image.

    Returns:
        The description of the training images, and what measures the distance of features.
    """
    layouts, values = standardised_layouts(train.statistics), _scaled(train.statistics)

    def score_images(fitted: np.ndarray, scored: np.ndarray) -> Float[np.ndarray, " scored"]:
        layout = layouts[fitted].mean(axis=0)
        own, typical = (_with_layout(values[rows], layouts[rows], layout) for rows in (scored, fitted))
        return _largest_deviation(own, _range(typical))

    def score_features(fitted: np.ndarray, scored: np.ndarray) -> Float[np.ndarray, " scored"]:
        return _distances(_fit_distance(train.features[fitted]), train.features[scored])

    count = len(train.statistics)
    image_limit = score_limit(out_of_fold_scores(count, patients, score_images), RATE / 2)
    distance = _fit_distance(train.features)
    own_distances = out_of_fold_scores(count, patients, score_features)
    distances = _distances(distance, valid.features)
    shift = max(1.0, float(np.median(distances) / np.median(own_distances))) if len(distances) else 1.0
    layout = layouts.mean(axis=0)
    limits = _limits(_range(_with_layout(values, layouts, layout)), image_limit)
    limits[FEATURES] = Limits(
        None, _rounded(float(np.median(own_distances))), _rounded(score_limit(own_distances, RATE / 2) * shift)
    )
    typicality = Typicality(count, RATE, limits, tuple(map(_rounded, layout)), ValidationMarks(0, 0, {}))
    marks = [typicality.marks(*image) for image in zip(valid.statistics, distances.tolist(), strict=True)]
    by_mark = {name: sum(name in each for each in marks) for name in sorted({name for each in marks for name in each})}
    validation = ValidationMarks(len(marks), sum(map(bool, marks)), by_mark)
    return Typicality(count, RATE, limits, typicality.layout, validation), distance


def _scaled(statistics: Sequence[ImageStatistics]) -> Float[np.ndarray, "n s"]:
    """Return all statistics but the layout, each on the scale of its mark."""
    names = [name for name in _STATISTICS if name != LAYOUT]
    return np.array([[MARKS[name].scale(getattr(each, name)) for name in names] for each in statistics])


def _with_layout(
    values: Float[np.ndarray, "n s"], layouts: Float[np.ndarray, "n pixels"], layout: Float[np.ndarray, " pixels"]
) -> Float[np.ndarray, "n s+1"]:
    correlation = [MARKS[LAYOUT].scale(float(each)) for each in layout_correlation(layouts, layout)]
    return np.column_stack([values, correlation])


def _range(values: Float[np.ndarray, "n s"]) -> TypicalRange:
    return typical_range(values, np.array([MARKS[name].min_width for name in _STATISTICS]))


def _largest_deviation(values: Float[np.ndarray, "n s"], typical: TypicalRange) -> Float[np.ndarray, " n"]:
    """Return the largest deviation of each image, on the sides that are marked."""
    found = deviation(values, typical)
    sides = [found[:, k] * sign for k, name in enumerate(_STATISTICS) for sign in _SIGNS[MARKS[name].side]]
    return np.nanmax(sides, axis=0)


def _limits(typical: TypicalRange, limit: float) -> dict[str, Limits]:
    """Return the limits of all statistics that are known, at a deviation."""
    found: dict[str, Limits] = {}
    for name, low, median, high in zip(_STATISTICS, *typical, strict=True):
        mark = MARKS[name]
        if math.isnan(median):
            continue
        below, above = mark.unscale(median - limit * (median - low)), mark.unscale(median + limit * (high - median))
        found[name] = Limits(
            _rounded(below) if mark.side != "high" and below > mark.smallest else None,
            _rounded(mark.unscale(median)),
            _rounded(above) if mark.side != "low" and above < mark.largest else None,
        )
    return found


def _fit_distance(features: Float32[np.ndarray, "n c"]) -> FeatureDistance:
    """Fit the Mahalanobis distance, with a shrunk covariance (Ledoit and Wolf, 2004)."""
    from scipy.linalg import solve_triangular
    from sklearn.covariance import ledoit_wolf

    values = features.astype(np.float64)
    covariance, _ = ledoit_wolf(values)
    identity = np.eye(len(covariance))
    # If all features are constant, so is their covariance: any deviation is then very large.
    lower = np.linalg.cholesky(covariance + max(1e-6 * np.trace(covariance) / len(covariance), 1e-12) * identity)
    whitening = solve_triangular(lower, identity, lower=True)
    return FeatureDistance(
        torch.from_numpy(values.mean(axis=0).astype(np.float32)), torch.from_numpy(whitening.astype(np.float32))
    )


def _distances(distance: FeatureDistance, features: Float32[np.ndarray, "n c"]) -> Float[np.ndarray, " n"]:
    with torch.inference_mode():
        return distance.of_pooled(torch.from_numpy(features)).double().numpy()


def _rounded(value: float) -> float:
    """Round to six digits, which a reader of the file can take in."""
    return float(f"{value:.6g}")
