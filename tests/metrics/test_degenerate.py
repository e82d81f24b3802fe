"""Every metric on degenerate input: a defined result or a clear error, and never a wrong number."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

import ggcam.metrics
from ggcam.gaze.centre_prior import centre_map
from ggcam.metrics import (
    agreement,
    bootstrap_statistics,
    calibration,
    classification,
    curves,
    delong,
    faithfulness,
    intervals,
    localisation,
    multilabel,
    operating_points,
    overlap,
    probabilities,
    saliency,
    significance,
    temperature,
    threshold_statistics,
)
from metrics.degenerate_outcomes import ALL_NAN, EMPTY, ERROR, EXPECTED, NUMBERS, SOME_NAN
from metrics.degenerate_worlds import CASES, GRID, World, worlds


def bootstrapped(world: World, how: Callable, *statistics: Any) -> Any:
    return how(*statistics, world.patients, resamples=20)


def accuracy(world: World) -> Callable:
    return bootstrap_statistics.weighted_mean(world.top[1])


CALLS: Mapping[Any, Callable[[World], Any]] = {
    agreement.GazeMaps: lambda w: w.readings,
    agreement.agreement: lambda w: agreement.agreement(w.cam, w.readings, centre_map(GRID)),
    agreement.shuffled_agreement: lambda w: agreement.shuffled_agreement(w.cam, w.readings, centre_map(GRID)),
    agreement.reader_agreement: lambda w: agreement.reader_agreement(
        w.readings, np.arange(len(w.labels)) // 2, centre_map(GRID)
    ),
    agreement.by_image: lambda w: agreement.by_image({"p": w.probabilities[:, 0]}, np.arange(len(w.labels)) // 2, 3),
    calibration.brier_per_case: lambda w: calibration.brier_per_case(w.probabilities, w.labels),
    calibration.top_label: lambda w: calibration.top_label(w.probabilities, w.labels),
    calibration.bin_of: lambda w: calibration.bin_of(w.top[0], 10),
    classification.auroc: lambda w: classification.auroc(w.probabilities[:, 1], w.positive),
    classification.auprc: lambda w: classification.auprc(w.probabilities[:, 1], w.positive),
    classification.auroc_per_class: lambda w: classification.auroc_per_class(w.probabilities, w.labels),
    classification.macro_auroc: lambda w: classification.macro_auroc(w.probabilities, w.labels),
    classification.macro_auroc_ovo: lambda w: classification.macro_auroc_ovo(w.probabilities, w.labels),
    classification.auprc_per_class: lambda w: classification.auprc_per_class(w.probabilities, w.labels),
    classification.confusion_matrix: lambda w: classification.confusion_matrix(
        w.probabilities.argmax(axis=1), w.labels, 3
    ),
    classification.classification_report: lambda w: classification.classification_report(
        w.probabilities, w.labels, "abc"
    ),
    classification.precision_recall: lambda w: classification.precision_recall(
        np.bincount(w.labels, minlength=9).reshape(3, 3)
    ),
    classification.known_mean: lambda w: classification.known_mean(w.probabilities[:, 0]),
    significance.paired_bootstrap_test: lambda w: bootstrapped(
        w, significance.paired_bootstrap_test, accuracy(w), accuracy(w)
    ),
    significance.seed_test: lambda w: significance.seed_test(w.probabilities[:, 0]),
    significance.holm: lambda w: significance.holm(w.probabilities[:, 0]),
    curves.class_curves: lambda w: bootstrapped(
        w, curves.class_curves, w.probabilities[:, 1], w.positive.astype(float)
    ),
    delong.DeLong: lambda w: [
        delong.DeLong.from_scores(w.probabilities.T, w.positive, w.patients),
        delong.DeLong.from_scores(w.probabilities.T, w.positive, w.patients).difference(),
    ],
    faithfulness.deletion_insertion: lambda w: faithfulness.deletion_insertion(
        w.truth.astype(float), w.cam, lambda x: x.sum(axis=(1, 2)), 0 * w.cam
    ),
    intervals.bootstrap_interval: lambda w: bootstrapped(w, intervals.bootstrap_interval, accuracy(w)),
    intervals.bootstrap_intervals: lambda w: bootstrapped(w, intervals.bootstrap_intervals, {"accuracy": accuracy(w)}),
    intervals.bootstrap_draws: lambda w: bootstrapped(w, intervals.bootstrap_draws, {"accuracy": accuracy(w)}),
    intervals.resampled_seeds: lambda w: intervals.resampled_seeds(w.probabilities[:, :1]),
    localisation.peak_cell: lambda w: localisation.peak_cell(w.cam),
    localisation.pointing_game: lambda w: localisation.pointing_game(w.cam, w.truth),
    localisation.chance_level: lambda w: localisation.chance_level(w.truth, within=w.truth),
    localisation.peak_distance: lambda w: localisation.peak_distance(w.cam, w.truth),
    localisation.Pointing: lambda w: localisation.Pointing.from_cams(w.cam, w.truth, (8, 8)),
    localisation.anatomy_pointing: lambda w: localisation.anatomy_pointing(
        w.cam, w.labels, ("Normal", "CHF", "pneumonia"), w.truth, w.truth, (8, 8)
    ),
    localisation.regions_to_mask: lambda w: localisation.regions_to_mask(
        [("box", *row[:2], *row[:2]) for row in w.probabilities.tolist()], (1, 1), GRID
    ),
    localisation.mask_to_grid: lambda w: [localisation.mask_to_grid(each, (2, 2)) for each in w.truth],
    overlap.energy_inside: lambda w: overlap.energy_inside(w.cam, w.truth),
    overlap.iou_curve: lambda w: overlap.iou_curve(w.cam, w.truth),
    overlap.mean_iou: lambda w: overlap.mean_iou(w.cam, w.truth),
    overlap.best_iou: lambda w: overlap.best_iou(w.cam, w.truth),
    overlap.cell_average_precision: lambda w: overlap.cell_average_precision(w.cam, w.truth),
    overlap.shuffled_chance: lambda w: overlap.shuffled_chance(overlap.mean_iou, w.cam, w.truth),
    overlap.size_group: lambda w: overlap.size_group(w.probabilities[:, 0]),
    saliency.map_density: lambda w: saliency.map_density(w.cam),
    saliency.nss: lambda w: saliency.nss(w.cam, w.fixations),
    saliency.correlation: lambda w: saliency.correlation(w.cam, w.gaze),
    saliency.kl_divergence: lambda w: saliency.kl_divergence(saliency.map_density(w.cam), w.gaze),
    saliency.similarity: lambda w: saliency.similarity(saliency.map_density(w.cam), w.gaze),
    saliency.information_gain: lambda w: saliency.information_gain(
        saliency.map_density(w.cam), w.fixations, np.full(w.cam.shape, 1 / 12)
    ),
    saliency.fixation_auc: lambda w: saliency.fixation_auc(w.cam, w.fixations, 1 - (w.fixations > 0).astype(float)),
    saliency.shuffled_partners: lambda w: saliency.shuffled_partners(len(w.labels), 3),
    operating_points.choose_threshold: lambda w: operating_points.choose_threshold(
        w.probabilities[:, 1], w.positive, "youden"
    ),
    operating_points.operating_point: lambda w: w.weighted(
        operating_points.operating_point(w.probabilities[:, 1], w.positive.astype(float), 0.5)["sensitivity"]
    ),
    temperature.fit_temperature: lambda w: temperature.fit_temperature(w.probabilities, w.labels),
    temperature.fit_label_temperatures: lambda w: temperature.fit_label_temperatures(w.probabilities, w.multilabel),
    probabilities.scaled_probabilities: lambda w: probabilities.scaled_probabilities(w.probabilities, 2.0),
    temperature.nll_per_case: lambda w: temperature.nll_per_case(w.probabilities, w.labels),
    multilabel.auroc_per_label: lambda w: multilabel.auroc_per_label(w.probabilities, w.multilabel),
    multilabel.macro_auroc_multilabel: lambda w: multilabel.macro_auroc_multilabel(w.probabilities, w.multilabel),
    multilabel.multilabel_report: lambda w: multilabel.multilabel_report(w.probabilities, w.multilabel, "abc"),
    multilabel.auprc_per_label: lambda w: multilabel.auprc_per_label(w.probabilities, w.multilabel),
    multilabel.on_known: lambda w: w.weighted(
        multilabel.on_known(threshold_statistics.weighted_auroc, w.probabilities[:, 0], w.multilabel[:, 0])
    ),
    multilabel.label_metrics: lambda w: {
        k: w.weighted(each)
        for k, each in multilabel.label_metrics(w.probabilities, w.multilabel, "abc").items()
        if callable(each)
    },
    bootstrap_statistics.weighted_mean: lambda w: w.weighted(bootstrap_statistics.weighted_mean(w.probabilities[:, 0])),
    threshold_statistics.weighted_auroc: lambda w: w.weighted(
        threshold_statistics.weighted_auroc(w.probabilities[:, 1], w.positive)
    ),
    threshold_statistics.weighted_macro_auroc: lambda w: w.weighted(
        threshold_statistics.weighted_macro_auroc(w.probabilities, w.labels)
    ),
    threshold_statistics.weighted_macro_auroc_ovo: lambda w: w.weighted(
        threshold_statistics.weighted_macro_auroc_ovo(w.probabilities, w.labels)
    ),
    threshold_statistics.weighted_micro_auroc: lambda w: w.weighted(
        threshold_statistics.weighted_micro_auroc(w.probabilities, w.labels)
    ),
    threshold_statistics.weighted_auprc: lambda w: w.weighted(
        threshold_statistics.weighted_auprc(w.probabilities[:, 1], w.positive)
    ),
    threshold_statistics.weighted_macro_auprc: lambda w: w.weighted(
        threshold_statistics.weighted_macro_auprc(w.probabilities, w.labels)
    ),
    threshold_statistics.weighted_sensitivity: lambda w: w.weighted(
        threshold_statistics.weighted_sensitivity(w.probabilities[:, 1], w.positive)
    ),
    threshold_statistics.weighted_roc: lambda w: w.weighted(
        threshold_statistics.weighted_roc(w.probabilities[:, 1], w.positive, curves.GRID)
    ),
    threshold_statistics.weighted_precision_recall: lambda w: w.weighted(
        threshold_statistics.weighted_precision_recall(w.probabilities[:, 1], w.positive, curves.GRID)
    ),
    bootstrap_statistics.weighted_balanced_accuracy: lambda w: w.weighted(
        bootstrap_statistics.weighted_balanced_accuracy(w.probabilities.argmax(axis=1), w.labels)
    ),
    bootstrap_statistics.weighted_macro_f1: lambda w: w.weighted(
        bootstrap_statistics.weighted_macro_f1(w.probabilities.argmax(axis=1), w.labels)
    ),
    bootstrap_statistics.weighted_mcc: lambda w: w.weighted(
        bootstrap_statistics.weighted_mcc(w.probabilities.argmax(axis=1), w.labels)
    ),
    bootstrap_statistics.weighted_reliability: lambda w: {
        name: [w.weighted(each) for each in (found["confidence"], found["accuracy"])]
        for name, found in bootstrap_statistics.weighted_reliability(*w.top).items()
    },
    bootstrap_statistics.weighted_ece: lambda w: w.weighted(bootstrap_statistics.weighted_ece(*w.top)),
}


WORLDS = worlds()

NOT_METRICS = {
    *("nan_to_none", "check_scores", "check_labels", "check_finite", "check_ordered"),  # check arguments or results
    *("tie_ends", "on_cases", "mean_of", "mean_of_defined", "divide"),  # parts of metrics
    *("TypicalRange", "typical_range", "deviation", "score_limit", "out_of_fold_scores"),  # of images
    *("CurveBand", "ClassCurves", "Difference", "Interval", "Faithfulness", "CaseMean"),  # results of metrics
}


def public_surface() -> set[str]:
    """Names of all public functions and classes that the modules of metrics define."""
    modules = [importlib.import_module(f"ggcam.metrics.{each.name}") for each in pkgutil.iter_modules(metrics_path())]
    return {
        name
        for module in modules
        for name, item in vars(module).items()
        if (inspect.isfunction(item) or inspect.isclass(item)) and item.__module__ == module.__name__
        if not name.startswith("_")
    }


def metrics_path() -> list[str]:
    return list(ggcam.metrics.__path__)


def numbers(result: Any) -> np.ndarray:
    """All numbers in a nested result; None counts as NaN."""
    if is_dataclass(result):
        result = [getattr(result, field.name) for field in fields(result)]
    if isinstance(result, Mapping):
        result = list(result.values())
    if isinstance(result, list | tuple):
        return np.concatenate([np.zeros(0), *map(numbers, result)])
    array = np.asarray(math.nan if result is None else result)
    return array.astype(float).ravel() if array.dtype.kind in "bif" else np.zeros(0)


def outcome(call: Callable[[World], Any], world: World) -> str:
    try:
        found = numbers(call(world))
    except ValueError as error:
        if not re.search("finite|NaN|no cases|lies between|box or an ellipse", str(error)):
            raise  # not one of our own messages: it failed somewhere inside
        return ERROR
    assert not np.isinf(found).any()
    undefined = np.isnan(found)
    if not len(found):
        return EMPTY
    return ALL_NAN if undefined.all() else SOME_NAN if undefined.any() else NUMBERS


def test_every_metric_is_covered():
    assert {call.__name__ for call in CALLS} == public_surface() - NOT_METRICS
    assert public_surface() >= NOT_METRICS
    assert set(EXPECTED) == {call.__name__ for call in CALLS}


@pytest.mark.parametrize("metric", CALLS, ids=lambda metric: metric.__name__)
def test_degenerate_input_has_a_defined_result_or_a_clear_error(metric):
    """Warnings are errors in the tests, so no metric divides by zero on the way."""
    found = {name: outcome(CALLS[metric], world) for name, world in WORLDS.items()}
    assert found == dict.fromkeys(WORLDS, NUMBERS) | EXPECTED[metric.__name__]


def test_a_constant_cam_scores_the_chance_level():
    world = WORLDS["constant"]
    assert (saliency.nss(world.cam, world.fixations) == 0).all()
    assert (saliency.correlation(world.cam, world.gaze) == 0).all()
    unseen = (world.fixations == 0).astype(float)
    assert saliency.fixation_auc(world.cam, world.fixations, unseen) == pytest.approx(np.full(CASES, 0.5))
    assert not localisation.pointing_game(world.cam, world.truth).any()
    assert (overlap.iou_curve(world.cam, world.truth) == 0).all()
    share = world.truth.mean(axis=(1, 2))
    assert overlap.cell_average_precision(world.cam, world.truth) == pytest.approx(share)
    assert overlap.energy_inside(world.cam, world.truth) == pytest.approx(share)
    assert classification.auroc(world.probabilities[:, 1], world.positive) == 0.5
