import re
from dataclasses import asdict
from html.parser import HTMLParser

import numpy as np
import pytest

from ggcam.metrics.classification import classification_report, none_for_nan
from ggcam.metrics.intervals import bootstrap_interval
from ggcam.metrics.weighted import weighted_auroc, weighted_macro_auroc, weighted_mean
from ggcam.report.overlay import png_bytes
from ggcam.report.page import GalleryCase, RunResults, render_run_report, write_run_report

VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Collects tags and text; fails on a tag that is closed out of order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(html)
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def results(gallery=3, names=("Normal", "CHF", "pneumonia"), drop=None, **changes):
    rng = np.random.default_rng(0)
    labels = np.resize(np.arange(3), 60)
    logits = rng.normal(size=(60, 3)) + np.eye(3)[labels]
    kept = labels != drop
    logits, labels = logits[kept], labels[kept]
    picture = png_bytes(rng.integers(0, 255, size=(16, 12), dtype=np.uint8))
    patients = np.arange(len(labels))

    def with_interval(statistic):
        return asdict(bootstrap_interval(statistic, patients, resamples=100))

    hit = {"hit_rate": with_interval(weighted_mean(labels == 2)), "chance": 0.21, "distance_px": 31.4}
    hit = {name: each if isinstance(each, dict) else {"value": each} for name, each in hit.items()} | {"cases": 20}
    nowhere = {"value": np.nan, "low": np.nan, "high": np.nan}
    metrics = {
        "interval": "95 % percentile bootstrap over patients",
        "macro_auroc": with_interval(weighted_macro_auroc(logits, labels)),
        "accuracy": with_interval(weighted_mean(logits.argmax(1) == labels)),
        "auroc": {names[0]: with_interval(weighted_auroc(logits[:, 0], labels == 0))},
        "anatomy": {"heart_interp_1": hit},
        "pointing_game": {names[2]: {"hit_rate": nowhere, "chance": nowhere, "distance_px": nowhere, "cases": 0}},
    }
    cases = tuple(
        GalleryCase(f"case{i}", names[1], names[i % 3], 0.6, picture, picture, picture if i % 2 else None)
        for i in range(gallery)
    )
    return RunResults(
        **{
            "run_id": "a1b2",
            "metrics": none_for_nan(metrics),
            "report": classification_report(logits, labels, names),
            "summary": {"Guidance": "ggcam-cc"},
            "training_png": picture,
            "gallery": cases,
            "config": 'backbone = "resnet10t"',
            "versions": {"ggcam": "0.1.0"},
            **changes,
        }
    )


def test_the_page_is_whole_and_says_what_matters(tmp_path):
    run = results()
    write_run_report(run, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "For research use only. Not a medical device." in page.words
    headline = run.metrics["macro_auroc"]
    ends = f"{headline['low']:.3f} to {headline['high']:.3f}"
    assert f"{headline['value']:.3f} {ends} (95 % percentile bootstrap over patients)" in page.words
    for word in (
        "a1b2",
        "ggcam-cc",
        "CHF: in the heart",
        "pneumonia: on the finding – – – – 0",
        "0.210",
        "31 20",
        "resnet10t",
        "ggcam 0.1.0",
    ):
        assert word in page.words
    for name, row in run.report["ours"]["classes"].items():
        assert f"{name} {row['support']:.0f} {row['auroc']:.3f}" in page.words
    assert page.count("img") == 1 + 3 * 2 + 1
    assert page.words.count("no gaze recorded") == 2
    assert page.words.count("): right") == 1


def test_the_confusion_matrix_has_a_row_a_true_class():
    run = results()
    counts = [
        [int(c) for c in re.findall(r">(\d+)</td>", row)] for row in re.findall(r"<tr><th>.*", render_run_report(run))
    ]
    assert [row for row in counts if row] == run.report["ours"]["confusion_matrix"]


def test_the_page_needs_no_network_and_follows_the_reader_s_light():
    html = render_run_report(results())
    assert "http" not in html
    assert not re.search(r"<(script|link|iframe)", html)
    assert not re.search(r"url\(|@import|src=\"(?!data:)", html)
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html
    assert all(attributes["alt"] for tag, attributes in Page(html).tags if tag == "img")


def test_at_most_twelve_cases_are_shown():
    assert Page(render_run_report(results(gallery=20))).count("figure") == 12


def test_markup_in_a_name_stays_text():
    html = render_run_report(results(names=("<b>x</b>", "a & b", "c"), run_id="<script>alert(1)</script>"))
    assert "<script" not in html
    assert "<b>x</b>" not in html
    assert "a & b" in Page(html).words


def test_what_is_undefined_is_a_dash():
    page = Page(render_run_report(results(drop=1)))
    assert "CHF 0 – – – – – –" in page.words
    assert "nan" not in page.words.lower()
    assert "None" not in page.words


@pytest.mark.parametrize("metrics", [{}, {"macro_auroc": {"value": None}}, {"anatomy": {}}])
def test_a_run_with_little_to_say_has_a_page(metrics):
    bare = RunResults(run_id="bare", metrics=metrics, report=results().report)
    page = Page(render_run_report(bare))
    assert page.count("img") == 0
    assert "Confusion matrix" in page.words
