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
"""Share of images like the training images that is marked: one half by all statistics, one half by the features."""

MIN_LIMIT = 2.0
"""Smallest limit of a deviation: twice the distance from the median to the end of the typical range. A normally
distributed value is further away in 0.1% of cases, which a small training set does not show."""

MIN_CASES = 20
"""Minimum number of training images: from fewer, nothing can be said about what is typical."""

_STATISTICS = tuple(name for name in MARKS if name != FEATURES)


def fit_typicality(
    train: NetworkOutputs, valid: NetworkOutputs, patients: Shaped[np.ndarray, " n"], views: tuple[str, ...] = ()
) -> tuple[Typicality, FeatureDistance]:
    """Describe the training images, and choose limits.

    Each training image is compared with those of other patients. The limits are such that about `RATE` of the images
    are outside. A network fits the images it was trained on, so distances of new images are larger: the limit of the
    distance is multiplied by the ratio of the medians of validation and training images, if that is above 1.

    Args:
        train: statistics and features of n training images, at least one.
        valid: those of the validation images, which show how many images are marked.
        patients: shape (n,), the patient of each training image.
        views: views of the training images; empty if that of any is unknown.

    Returns:
        The description of the training images, and what measures the distance of features.
    """
    layouts, values = standardised_layouts(train.statistics), _scaled(train.statistics)

    def score_images(fitted: np.ndarray, scored: np.ndarray) -> Float[np.ndarray, "scored s"]:
        layout = layouts[fitted].mean(axis=0)
        own, typical = (_with_layout(values[rows], layouts[rows], layout) for rows in (scored, fitted))
        return _on_marked_sides(deviation(own, _range(typical)))

    def score_features(fitted: np.ndarray, scored: np.ndarray) -> Float[np.ndarray, " scored"]:
        return _distances(_fit_distance(train.features[fitted]), train.features[scored])

    count = len(train.statistics)
    deviations = out_of_fold_scores(count, patients, score_images)
    distance = _fit_distance(train.features)
    own_distances = out_of_fold_scores(count, patients, score_features)
    distances = _distances(distance, valid.features)
    typical = float(np.median(own_distances))
    shift = max(1.0, float(np.median(distances)) / typical) if len(distances) and typical > 0 else 1.0
    layout = layouts.mean(axis=0)
    limits = _limits(_range(_with_layout(values, layouts, layout)), deviations)
    limits[FEATURES] = Limits(None, _rounded(typical), _rounded(score_limit(own_distances, RATE / 2) * shift))
    typicality = Typicality(count, RATE, limits, tuple(map(_rounded, layout)), ValidationMarks(0, 0, {}))
    marks = [typicality.marks(*image) for image in zip(valid.statistics, distances.tolist(), strict=True)]
    by_mark = {name: sum(name in each for each in marks) for name in sorted({name for each in marks for name in each})}
    validation = ValidationMarks(len(marks), sum(map(bool, marks)), by_mark)
    return Typicality(count, RATE, limits, typicality.layout, validation, views), distance


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


def _on_marked_sides(deviations: Float[np.ndarray, "n s"]) -> Float[np.ndarray, "n s"]:
    """Return how far images deviate to the side that is marked, or to either side."""
    change = {"low": np.negative, "high": np.positive, "both": np.abs}
    columns = zip(_STATISTICS, deviations.T, strict=True)
    return np.column_stack([change[MARKS[name].side](column) for name, column in columns])


def _limits(typical: TypicalRange, deviations: Float[np.ndarray, "n s"]) -> dict[str, Limits]:
    """Return the limits of all statistics that are known, such that few of the deviations are outside."""
    found: dict[str, Limits] = {}
    rate = RATE / 2 / len(_STATISTICS)
    for name, low, median, high, scores in zip(_STATISTICS, *typical, deviations.T, strict=True):
        mark = MARKS[name]
        if math.isnan(median):
            continue
        limit = max(MIN_LIMIT, score_limit(scores, rate))
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
