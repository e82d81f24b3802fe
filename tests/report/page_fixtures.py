"""Invented results of runs and studies, to test their pages."""

from __future__ import annotations

from dataclasses import asdict
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from ggcam.data.case import Frame, Region
from ggcam.gaze.fixations import Fixations
from ggcam.metrics.bootstrap_statistics import weighted_mean, weighted_reliability
from ggcam.metrics.calibration import top_label
from ggcam.metrics.classification import classification_report, nan_to_none
from ggcam.metrics.intervals import bootstrap_interval
from ggcam.metrics.multilabel import multilabel_report
from ggcam.metrics.threshold_statistics import weighted_auroc, weighted_macro_auroc
from ggcam.report.cases import PredictionTable
from ggcam.report.gallery import ClassMap, GalleryCase
from ggcam.report.layers import image_layer, map_layer, region_marks, scanpath
from ggcam.report.run_charts import run_charts
from ggcam.report.run_page import RunResults

VOID = {"meta", "img", "br", "link", "input"}
FRAME = Frame(64, 32)


class Page(HTMLParser):
    """Parses a page into tags and text, and fails on a tag that is closed out of order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(html)
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def count(self, tag, of_class=None):
        return sum(name == tag and of_class in (None, *attrs.get("class", "").split()) for name, attrs in self.tags)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def gallery_case(number, names, true=(0,), gaze=True, multi_label=False, **changes):
    rng = np.random.default_rng(number)
    probabilities = rng.dirichlet(np.ones(len(names)))
    predicted = int(probabilities.argmax())
    fixations = Fixations.build(rng.uniform(0, 32, 6), rng.uniform(0, 64, 6), rng.uniform(0.1, 0.5, 6))
    shown = true[0] if true else predicted
    return GalleryCase(
        **{
            "name": f"case{number}",
            "correct": predicted in true,
            "truth": tuple(names[k] for k in true),
            "predicted": names[predicted],
            "probability": float(probabilities[predicted]),
            "truth_probability": float(probabilities[shown]),
            "agreement": float(rng.uniform(-0.5, 0.9)) if gaze else None,
            "shown": shown,
            "classes": tuple(
                ClassMap(
                    k,
                    name,
                    float(probabilities[k]),
                    "true" if k in true else "unknown" if multi_label and k == 2 else "absent",
                    map_layer(rng.normal(size=(8, 4)) + k),
                )
                for k, name in enumerate(names)
            ),
            "frame": FRAME,
            "image": image_layer(rng.integers(0, 255, (64, 32)).astype(np.uint8)),
            "gaze": map_layer(rng.random((16, 8)), "viridis") if gaze else None,
            "scanpaths": (scanpath(fixations, FRAME),) if gaze else (),
            "fixations": 6 if gaze else 0,
            "dwell_s": fixations.total_s if gaze else 0.0,
            "findings": region_marks([Region("opacity <1>", "ellipse", 4, 8, 20, 30)], FRAME),
            "markers": region_marks([Region("shortcut marker", "box", 24, 2, 30, 8)], FRAME) if number % 2 else (),
            **changes,
        }
    )


def predictions(names, cases=60, multi_label=False, drop=None, seed=0):
    """Return a predictions.parquet table and the logits; the dropped class has no case."""
    rng = np.random.default_rng(seed)
    labels = np.resize(np.arange(len(names)), cases)
    logits = rng.normal(size=(cases, len(names))) + np.eye(len(names))[labels]
    kept = labels != drop
    logits, labels = logits[kept], labels[kept]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = {"case_id": [f"case{i}" for i in range(len(labels))], "patient_id": [f"p{i}" for i in range(len(labels))]}
    if multi_label:
        truth = (np.eye(len(names))[labels] + (rng.random(logits.shape) < 0.2) > 0).astype(float)
        truth[rng.random(truth.shape) < 0.1] = np.nan
        table |= {f"label_{name}": truth[:, k] for k, name in enumerate(names)}
        probabilities = 1 / (1 + np.exp(-logits))
    else:
        table |= {"label": labels}
    table |= {"predicted": logits.argmax(1)}
    table |= {f"probability_{name}": probabilities[:, k] for k, name in enumerate(names)}
    return pd.DataFrame(table), logits


def history(epochs=4):
    epoch = np.arange(epochs)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "learning_rate": 1e-3 / (1 + epoch),
            "train_classification": 1 / (1 + epoch),
            "valid_classification": 1.2 / (1 + epoch),
            "valid_macro_auroc": 0.5 + 0.1 * np.sin(epoch),
        }
    )


def run_results(
    gallery=3, names=("Normal", "CHF", "pneumonia"), drop=None, multi_label=False, cases=60, gaze=True, **changes
):
    table, logits = predictions(names, cases, multi_label, drop)
    predicted = PredictionTable.from_table(table)
    truth, patients = predicted.truth, predicted.patients

    def with_interval(statistic, rows=None):
        resampled = patients if rows is None else patients[rows]
        found = asdict(bootstrap_interval(statistic, resampled, resamples=100))
        return {name: found[name] for name in ("value", "low", "high")}

    labels = truth.argmax(1)
    undefined = {"value": np.nan, "low": np.nan, "high": np.nan}
    chance, distance = ({"value": value, "low": value / 2, "high": 2 * value} for value in (0.21, 31.4))
    hit = {"hit_rate": with_interval(weighted_mean(labels == 0)), "chance": chance, "distance_px": distance}
    hit |= {"cases": 20}
    some = with_interval(weighted_mean(np.linspace(0, 1, len(labels))))
    overlap = {"cam": some, "chance": chance, "cam_minus_chance": some}
    covered = dict.fromkeys(("energy_inside", "mean_iou", "best_iou", "average_precision"), overlap)
    against = dict.fromkeys(("cam", "shuffled_gaze", "centre", "lungs", "other_reader"), some)
    entries = np.nonzero(np.isfinite(truth))
    confidence, right = (
        (predicted.probabilities[entries], truth[entries] == 1)
        if multi_label
        else top_label(predicted.probabilities, labels)
    )
    reliability = {
        name: found
        | {key: with_interval(found[key], entries[0] if multi_label else None) for key in ("confidence", "accuracy")}
        for name, found in weighted_reliability(np.minimum(confidence, 1), right).items()
    }
    metrics = {
        "interval": "95 % percentile bootstrap over patients",
        "reliability": reliability,
        "macro_auroc": with_interval(weighted_macro_auroc(predicted.probabilities, labels)),
        "accuracy": with_interval(weighted_mean(logits.argmax(1) == labels)),
        "auroc": {names[0]: with_interval(weighted_auroc(predicted.probabilities[:, 0], labels == 0))},
        "anatomy": {"heart_interp_1": hit},
        "pointing_game": {
            names[-1]: {"hit_rate": undefined, "chance": undefined, "distance_px": undefined, "cases": 0}
        },
        "overlap": {names[0]: {"cases": 5, **covered, "by_size": {"small": {**hit, **covered}}}},
        "shortcut": {**hit, "energy_inside": overlap},
    }
    if gaze:
        of_gaze = {name: {**against, "cam_minus_shuffled_gaze": some} for name in ("nss", "cc", "kl")}
        metrics["gaze_agreement"] = {"cases": 9, "readings": 11, **of_gaze}
    metrics = nan_to_none(metrics)
    report = (multilabel_report if multi_label else classification_report)(
        logits, truth if multi_label else labels, names
    )
    return RunResults(
        **{
            "run_id": "a1b2",
            "metrics": metrics,
            "report": report,
            "summary": {"Guidance": "ggcam-cc"},
            "charts": run_charts(predicted, history(), metrics),
            "gallery": tuple(
                gallery_case(i, names, (i % len(names),), gaze and i % 4 != 0, multi_label=multi_label)
                for i in range(gallery)
            ),
            "evaluated_cases": len(labels),
            "config": 'backbone = "resnet10t"',
            "versions": {"ggcam": "0.1.0"},
            **changes,
        }
    )


def study_summary(arms=("none", "ggcam-cc", "ggcam-cc+centre"), sizes=(), seeds=2, p=0.02):
    """Return the content of summary.json for arms that differ by 0.1 each."""
    metrics = ("macro_auroc", "pointing_game/a/b <c>/hit_rate", "accuracy")

    def numbers(value):
        ends = {"low": value - 0.05, "high": value + 0.05}
        return {
            "value": value,
            **ends,
            "low_patients_seeds": value - 0.07,
            "high_patients_seeds": value + 0.07,
            "runs": seeds,
        }

    def of_arms():
        for size in sizes or (None,):
            for metric in metrics:
                for number, arm in enumerate(arms):
                    yield {
                        "arm": arm,
                        "train_cases": size,
                        "metric": metric,
                        "by_seed": {"0": 0.5, "1": None},
                    } | numbers(0.5 + 0.1 * number)

    def differences():
        pairs = [(arm, arms[0], 0.1 * number) for number, arm in enumerate(arms) if number]
        pairs += [(arm.split("+")[0], arm, -0.1) for arm in arms if "+" in arm]
        for size in sizes or (None,):
            for metric in metrics:
                for arm, baseline, value in pairs:
                    yield {
                        "arm": arm,
                        "baseline": baseline,
                        "train_cases": size,
                        "metric": metric,
                        "p_patients": p,
                        "p_seeds": None,
                        "p_patients_holm": 2 * p,
                        "p_seeds_holm": None,
                        "by_seed": {"0": value - 0.01, "1": value + 0.01},
                    } | numbers(value)

    return {
        "arms_compared": list(arms),
        "baseline": arms[0],
        "seeds": list(range(seeds)),
        "folds": 0,
        "train_cases": list(sizes),
        "explained": {"holm": "adjusted"},
        "notes": ["2 seeds: few"],
        "arms": list(of_arms()),
        "differences": list(differences()) if len(arms) > 1 else [],
        "missing_runs": [],
    }
