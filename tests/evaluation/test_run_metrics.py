"""The tree of metrics in metrics.json: each against what its own function says of the same cases, one by one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from ggcam.data.case import SHORTCUT_MARKER
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.evaluation.cam_metrics import OVERLAP, Blur, CaseMasks
from ggcam.evaluation.run_metrics import leaves, measure, with_intervals
from ggcam.gaze.centre_prior import centre_map
from ggcam.gaze.fixations import concatenate
from ggcam.gaze.maps import attention_map, fixation_histogram
from ggcam.metrics.agreement import METRICS, GazeMaps, agreement, shuffled_agreement
from ggcam.metrics.bootstrap_statistics import weighted_mean
from ggcam.metrics.classification import nan_to_none
from ggcam.metrics.intervals import bootstrap_interval
from ggcam.metrics.localisation import pointing_game
from ggcam.metrics.saliency import nss
from ggcam.metrics.threshold_statistics import weighted_macro_auroc

GRID = (8, 6)
BLUR = Blur(sigma_px=6.0)


@pytest.fixture(scope="module")
def data(prepared) -> PreparedData:
    return load_prepared(prepared)


def model_of(data: PreparedData, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = data.cases["label"].to_numpy()
    scores = rng.normal(size=(len(labels), 3)) + np.eye(3)[labels]
    return softmax(scores, axis=1).astype(np.float32), rng.normal(size=(len(labels), 3, *GRID)).astype(np.float32)


def metrics(*arguments) -> dict:
    return measure(*arguments)[0]


def test_the_table_by_case_holds_the_values_that_metrics_are_means_of(data, measured):
    _, table = measure(data, data.cases, *model_of(data), BLUR)
    assert table["case_id"].tolist() == data.cases["case_id"].tolist()
    values = dict(leaves(measured))
    for name in table.columns.drop("case_id"):
        assert table[name].mean() == pytest.approx(values[f"{name}/value"], nan_ok=True), name
    assert {"accuracy", "gaze_agreement/cc/cam", "pointing_game/CHF/hit_rate"} <= set(table)
    assert "macro_auroc" not in table


@pytest.fixture(scope="module")
def measured(data):
    return metrics(data, data.cases, *model_of(data), BLUR)


def own_cam(data):
    return model_of(data)[1][np.arange(len(data)), data.cases["label"]].astype(np.float64)


def metrics_in(tree, path=()):
    for name, item in tree.items():
        if isinstance(item, dict) and set(item) == {"value", "low", "high"}:
            yield (*path, name), item
        elif isinstance(item, dict):
            yield from metrics_in(item, (*path, name))


def test_every_part_is_there_and_every_metric_lies_in_its_interval(measured):
    assert set(measured) == {
        *("macro_auroc", "macro_auroc_ovo", "micro_auroc", "macro_auprc", "accuracy", "balanced_accuracy"),
        *("macro_f1", "mcc", "brier", "ece", "reliability", "auroc", "auroc_delong", "auprc"),
        *("sensitivity_at_90_specificity", "anatomy", "pointing_game", "overlap", "gaze_agreement", "shortcut"),
    }
    found = dict(metrics_in(measured))
    assert len(found) > 80
    for path, each in found.items():
        if path[0] == "reliability" and measured["reliability"][path[1]]["cases"] < 3:
            assert np.isnan([each["low"], each["high"]]).all(), path  # most resamples lose one or two cases
            continue
        assert each["low"] <= each["high"], path
        if "ece" not in path:  # biased upwards in resamples
            assert each["low"] <= each["value"] <= each["high"], path
    assert json.loads(json.dumps(nan_to_none(measured), allow_nan=False))


def test_all_but_numbers_of_cases_have_an_interval(measured):
    metrics = {"/".join(path) for path, _ in metrics_in(measured)}
    others = {path for path, _ in leaves(measured) if path.rpartition("/")[0] not in metrics}
    assert {path.rpartition("/")[2] for path in others} == {"cases", "readings"}
    game = measured["pointing_game"]["pneumonia"]
    for name in ("chance", "chance_in_lungs_and_heart", "distance_px"):
        assert game[name]["low"] < game[name]["value"] < game[name]["high"]
    lead = game["hit_rate_minus_chance"]["value"]
    assert lead == pytest.approx(game["hit_rate"]["value"] - game["chance"]["value"])


def test_the_metrics_of_the_classes_are_those_of_their_own_functions(measured, data):
    probabilities, _ = model_of(data)
    probabilities, labels = probabilities.astype(float), data.cases["label"].to_numpy()
    alone = bootstrap_interval(
        weighted_macro_auroc(probabilities, labels), data.cases["patient_id"].to_numpy(str), resamples=2000
    )
    assert measured["macro_auroc"] == {"value": alone.value, "low": alone.low, "high": alone.high}
    assert measured["accuracy"]["value"] == pytest.approx((probabilities.argmax(axis=1) == labels).mean())
    for name in data.class_names:
        assert measured["auroc_delong"][name]["value"] == pytest.approx(measured["auroc"][name]["value"])
        for end in ("low", "high"):
            assert measured["auroc_delong"][name][end] == pytest.approx(measured["auroc"][name][end], abs=0.06)


def test_the_gaze_agreement_is_that_of_a_loop_over_cases(measured, data):
    cam, frame, centre = own_cam(data), (64, 64), centre_map(GRID)
    rows = [i for i, case_id in enumerate(data.cases["case_id"]) if case_id in data.gaze]
    read = [data.gaze[data.cases["case_id"][i]] for i in rows]
    gaze = GazeMaps.from_maps(
        np.stack([attention_map(each, GRID, frame, sigma_px=6.0, kind="density") for each in read]),
        np.stack([fixation_histogram(each, GRID, frame) for each in read]),
        data.cases["patient_id"].to_numpy(str)[rows],
    )
    found = measured["gaze_agreement"]
    assert (found["cases"], found["readings"]) == (len(rows), len(rows))
    assert 0 < len(rows) < len(data)
    own, shuffled = agreement(cam[rows], gaze, centre), shuffled_agreement(cam[rows], gaze, centre)
    lungs = CaseMasks.from_data(data, data.cases, GRID).lung[rows].astype(float)
    for name in METRICS:
        assert set(found[name]) == {"cam", "shuffled_gaze", "centre", "lungs", "cam_minus_shuffled_gaze"}
        assert found[name]["cam"]["value"] == pytest.approx(own[name].mean())
        assert found[name]["shuffled_gaze"]["value"] == pytest.approx(shuffled[name].mean())
        gain = found[name]["cam_minus_shuffled_gaze"]["value"]
        assert gain == pytest.approx((own[name] - shuffled[name]).mean())
    assert found["nss"]["lungs"]["value"] == pytest.approx(nss(lungs, gaze.fixations).mean())
    assert found["information_gain"]["centre"]["value"] == pytest.approx(0, abs=1e-12)


def test_the_overlap_is_that_of_its_own_functions_and_the_sizes_add_up(measured, data):
    cam, masks = own_cam(data), CaseMasks.from_data(data, data.cases, GRID)
    labels = data.cases["label"].to_numpy()
    for k, name in enumerate(data.class_names):
        rows = np.flatnonzero((labels == k) & masks.finding.any(axis=(1, 2)))
        assert (name in measured["overlap"]) == bool(len(rows))
        if not len(rows):
            continue
        found = measured["overlap"][name]
        assert found["cases"] == len(rows) == measured["pointing_game"][name]["cases"]
        for metric, of in OVERLAP.items():
            value, chance = (found[metric][name]["value"] for name in ("cam", "chance"))
            assert value == pytest.approx(of(cam[rows], masks.finding[rows]).mean())
            assert found[metric]["cam_minus_chance"]["value"] == pytest.approx(value - chance)
        parts = found["by_size"].values()
        assert sum(part["cases"] for part in parts) == len(rows)
        together = sum(part["cases"] * part["hit_rate"]["value"] for part in parts) / len(rows)
        assert together == pytest.approx(pointing_game(cam[rows], masks.finding[rows]).mean())
        assert together == pytest.approx(measured["pointing_game"][name]["hit_rate"]["value"])


def test_a_cam_on_the_marker_is_told_and_data_without_markers_say_nothing(data):
    probabilities, cam = model_of(data)
    marker = CaseMasks.from_data(data, data.cases, GRID).marker
    assert marker.any(axis=(1, 2)).all()
    shortcut = metrics(data, data.cases, probabilities, cam * 0 + marker[:, None], BLUR)["shortcut"]
    assert shortcut["energy_inside"]["cam"]["value"] == shortcut["hit_rate"]["value"] == 1
    assert shortcut["energy_inside"]["chance"]["value"] == pytest.approx(marker.mean(), abs=0.01)
    real = replace(data, regions=data.regions[data.regions["name"] != SHORTCUT_MARKER])
    assert "shortcut" not in metrics(real, real.cases, probabilities, cam, BLUR)


def test_a_case_without_a_lung_mask_stays_out_of_that_floor(data, measured, tmp_path):
    shutil.copytree(data.root / "masks", tmp_path / "masks")
    rows = [i for i, case_id in enumerate(data.cases["case_id"]) if case_id in data.gaze]
    for i in rows[1:]:
        (tmp_path / "masks" / f"{data.cases['case_id'][i]}.png").unlink()
    few = data.cases.assign(masks=data.cases["masks"].where(~data.cases.index.isin(rows[1:]), None))
    found = metrics(replace(data, root=tmp_path, cases=few), few, *model_of(data), BLUR)["gaze_agreement"]
    lung = CaseMasks.from_data(data, data.cases, GRID).lung[rows[0]].astype(float)
    counts = fixation_histogram(data.gaze[data.cases["case_id"][rows[0]]], GRID, (64, 64))
    assert found["nss"]["lungs"]["value"] == pytest.approx(nss(lung[None], counts[None])[0])
    assert found["nss"]["cam"] == pytest.approx(measured["gaze_agreement"]["nss"]["cam"])


def test_data_without_gaze_or_findings_say_nothing_of_them(data):
    bare = replace(data, fixations=data.fixations[:0], regions=data.regions[:0])
    found = metrics(bare, bare.cases, *model_of(data), BLUR)
    assert "gaze_agreement" not in found
    assert found["overlap"] == found["pointing_game"] == {}


def test_several_readers_have_a_ceiling_and_a_case_counts_once(data, measured):
    again = data.fixations.assign(reading_id="another")
    twice = replace(data, fixations=pd.concat([data.fixations, again], ignore_index=True))
    found = metrics(twice, twice.cases, *model_of(data), BLUR)["gaze_agreement"]
    assert found["readings"] == 2 * found["cases"] == 2 * measured["gaze_agreement"]["cases"]
    assert found["cc"]["other_reader"]["value"] == pytest.approx(1)
    assert found["cc"]["cam"] == pytest.approx(measured["gaze_agreement"]["cc"]["cam"])


def test_a_split_of_one_class_has_no_auroc(data):
    rows = np.flatnonzero(data.cases["label"] == 1)
    probabilities, cam = model_of(data)
    one = metrics(data, data.cases.iloc[rows].reset_index(drop=True), probabilities[rows], cam[rows], BLUR)
    assert one["auroc"] == one["auroc_delong"] == {}
    assert np.isnan(one["macro_auroc"]["value"])
    assert np.isfinite(one["accuracy"]["low"])


@pytest.mark.parametrize("blur", [Blur(sigma_px=5.0), Blur(sigma_deg=1.5)])
def test_gaze_maps_drawn_together_are_those_drawn_alone(data, blur):
    read = list(data.gaze.values())[:7]
    alone = [
        attention_map(each, GRID, (64, 64), sigma_px=blur.sigma_px, sigma_deg=blur.sigma_deg, kind="density")
        for each in read
    ]
    np.testing.assert_allclose(blur.densities(read, GRID, (64, 64)), alone, atol=1e-15)


def test_the_readings_of_a_case_are_its_gaze(data):
    again = data.fixations.assign(reading_id="another", x_px=1.0)
    twice = replace(data, fixations=pd.concat([data.fixations, again], ignore_index=True))
    assert list(data.readings) == list(data.gaze)
    for case_id, readings in twice.readings.items():
        assert len(readings) == 2
        np.testing.assert_array_equal(readings[0].x_px, data.gaze[case_id].x_px)
        assert (readings[1].x_px == 1).all()
        assert concatenate(readings).total_s == pytest.approx(twice.gaze[case_id].total_s)


def test_the_tree_keeps_other_values():
    values, patients = np.array([0.0, 1.0, 1.0]), np.arange(3)
    tree = {"a": {"b": weighted_mean(values), "share": 0.5}, "b": {}, "cases": 3}
    filled = with_intervals(tree, patients)
    assert filled["a"]["b"]["value"] == pytest.approx(2 / 3)
    assert (filled["a"]["share"], filled["b"], filled["cases"]) == (0.5, {}, 3)
