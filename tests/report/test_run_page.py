"""The page of a run as text: what it says, that nothing in it becomes markup, that it needs nothing beside it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from ggcam.report.gallery import MAX_CASES
from ggcam.report.run_page import RunResults, render_run_report, write_run_report
from report.page_fixtures import Page, run_results


def test_the_page_is_whole_and_says_what_matters(tmp_path):
    run = run_results()
    write_run_report(run, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "For research use only. Not a medical device." in page.words
    headline = run.metrics["macro_auroc"]
    assert f"{headline['value']:.3f} {headline['low']:.3f} to {headline['high']:.3f}" in page.words
    for word in (
        "a1b2",
        "ggcam-cc",
        "Interval: 95 % percentile bootstrap over patients",
        "CHF: in the heart",
        "pneumonia: on the finding – – – – 0",
        "0.210",
        "31 20",
        "9 cases, 11 readings",
        "another reader",
        "Fraction of the CAM inside the finding",
        "Does the CAM follow the simulated marker?",
        "resnet10t",
        "ggcam 0.1.0",
        "no gaze recorded",
        "best epoch 2",
    ):
        assert word in page.words
    for name, row in run.report["ours"]["classes"].items():
        assert f"{name} {row['support']:.0f} {row['auroc']:.3f}" in page.words
    assert page.count("figure", "case") == 3
    assert page.count("figure", "chart") == 3 + 3 + 1 + 3


def test_calibration_and_thresholds_are_shown_where_a_run_has_them():
    def metric(value):
        return {"value": value, "low": value - 0.01, "high": value + 0.01}

    run = run_results()
    assert "Without" not in Page(render_run_report(run)).words
    more = {
        "ece": metric(0.061),
        "nll": metric(0.612),
        "uncalibrated": {"ece": metric(0.243), "nll": metric(0.845)},
        "temperature": dict.fromkeys(("Normal", "CHF", "pneumonia"), 0.43),
        "operating_points": {
            "youden": {"CHF": {"threshold": 0.312, "sensitivity": metric(0.81), "specificity": metric(0.77)}},
            "sensitivity_95": {"CHF": {"threshold": 0.127, "sensitivity": metric(0.93), "specificity": metric(0.52)}},
        },
    }
    words = Page(render_run_report(replace(run, metrics={**run.metrics, **more}))).words
    assert "Expected calibration error 0.061 0.051 to 0.071 0.243 0.233 to 0.253" in words
    assert "Negative log-likelihood 0.612 0.602 to 0.622 0.845 0.835 to 0.855" in words
    assert "temperature fitted on the validation cases (0.43)" in words
    assert "CHF Largest sensitivity + specificity 0.312 0.810 0.800 to 0.820 0.770 0.760 to 0.780" in words
    assert "CHF Sensitivity of 95 % 0.127 0.930" in words
    off = {**run.metrics, **more, "temperature": {"CHF": 1.0}}
    assert "Without" not in Page(render_run_report(replace(run, metrics=off))).words


def test_a_layer_is_sent_once():
    html = render_run_report(run_results(gallery=3))
    pictures = re.findall(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", html)
    assert len(pictures) == len(set(pictures)) == 3 * (1 + 3) + 2  # the X-ray and three CAMs each; gaze of two


def test_the_confusion_matrix_has_a_row_a_true_class():
    run = run_results()
    rows = re.findall(r"<tr><th scope=\"row\">.*", render_run_report(run))
    counts = [[int(c) for c in re.findall(r">(\d+)<small>", row)] for row in rows]
    assert [row for row in counts if row] == run.report["ours"]["confusion_matrix"]


def test_the_page_needs_no_network_and_follows_the_reader_s_light():
    html = render_run_report(run_results())
    assert "http:" not in html
    assert "https:" not in html
    assert "default-src 'none'; img-src data:" in html
    assert not re.search(r"<(script|link|iframe)[^>]+(src|href)", html)
    assert not re.search(r"url\(|@import|src=\"(?!data:)", html)
    assert all(address.startswith(("#", "data:image/")) for address in re.findall(r"href=\"([^\"]*)", html))
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert "width=device-width" in html
    assert all(attributes.get("aria-label") for tag, attributes in Page(html).tags if attributes.get("role") == "img")


def test_at_most_forty_cases_are_shown():
    assert Page(render_run_report(run_results(gallery=MAX_CASES + 2))).count("figure", "case") == MAX_CASES == 40


def test_markup_in_a_name_stays_text():
    names = ("<b>x</b>", "a & b", "\"c' />")
    html = render_run_report(run_results(names=names, run_id="<script>alert(1)</script>"))
    assert html.count("<script") == 1
    assert "<b>x</b>" not in html
    page = Page(html)
    for name in names:
        assert name in page.words
    truths = [attributes["data-truth"] for tag, attributes in page.tags if "data-truth" in attributes]
    assert truths == ['["\\u003cb\\u003ex\\u003c/b\\u003e"]', '["a \\u0026 b"]', '["\\"c\\u0027 /\\u003e"]']


def test_what_is_undefined_is_a_dash():
    page = Page(render_run_report(run_results(drop=1)))
    assert "CHF 0 – – – – – – –" in page.words
    assert "nan" not in page.words.lower()
    assert "None" not in page.words
    assert page.count("figure", "chart") == 2 + 2 + 1 + 3


@pytest.mark.parametrize("metrics", [{}, {"macro_auroc": {"value": None}}, {"anatomy": {}}])
def test_a_run_with_little_to_say_has_a_page(metrics):
    bare = RunResults(run_id="bare", metrics=metrics, report=run_results().report)
    page = Page(render_run_report(bare))
    assert page.count("image") == page.count("figure") == 0
    assert "Confusion matrix" in page.words


@pytest.mark.parametrize(
    ("names", "multi_label", "gaze"),
    [
        (("no", "yes"), False, False),
        (("no", "yes"), True, True),
        (("no", "yes", "ü"), True, False),
        (tuple(f"class {i} that goes on and on" for i in range(14)), False, True),
    ],
)
def test_every_kind_of_run_has_a_page(names, multi_label, gaze):
    page = Page(render_run_report(run_results(names=names, multi_label=multi_label, gaze=gaze, gallery=4)))
    assert ("Confusion matrix" in page.words) != multi_label
    assert ("Does the CAM agree with gaze?" in page.words) == gaze
    assert page.count("input") == 6 + 4 * len(names)
    assert page.count("image", "on") == 4


def test_two_cases_are_enough():
    page = Page(render_run_report(run_results(names=("no", "yes"), cases=2, gallery=2)))
    assert "nan" not in page.words.lower().replace("nano", "")


def test_what_is_missing_is_told():
    page = Page(render_run_report(run_results(gallery=0, missing="the data are gone\n  where: DATA")))
    assert "No case gallery and no data card: the data are gone where: DATA" in page.words
    assert page.count("section") == Page(render_run_report(run_results())).count("section") - 1
