"""The page of a study: what it says of made-up summaries."""

from __future__ import annotations

import pytest

from ggcam.report.study_page import StudyResults, StudyRun, render_study_report
from ggcam.report.study_tables import (
    arm_tables,
    difference_row,
    forest_tables,
    headline_rows,
    metric_label,
    size_charts,
)
from report.page_fixtures import Page, study_summary

CONTROLS = frozenset({"ggcam-cc+centre"})


def study(summary=None, **changes):
    summary = study_summary() if summary is None else summary
    metric = {"value": 0.5, "low": 0.4, "high": None}
    runs = (StudyRun("none-seed0", "runs/none-seed0/report.html", metric, metric),)
    return StudyResults(**{"name": "s", "summary": summary, "controls": CONTROLS, "runs": runs, **changes})


def test_the_page_says_how_arms_differ_and_how_surely():
    page = Page(render_study_report(study(plan="[plan]\nseeds = [0, 1]", versions={"ggcam": "0.1.0"})))
    for words in (
        "For research use only. Not a medical device.",
        "+0.100 +0.030 to +0.170 ggcam-cc − none : interval excludes zero; p = 0.040 over patients, – over seeds",
        "Guidance against the baseline ggcam-cc − none +0.100 +0.030 to +0.170 0.040 0.020 – – 2",
        "Guidance against its controls",
        "ggcam-cc − ggcam-cc+centre −0.100 −0.170 to −0.030",
        "Controls against the baseline ggcam-cc+centre − none +0.200",
        "Arms Controls",
        "2 seeds: few",
        "CAM peaks on the finding, a/b <c>",
        "seeds = [0, 1]",
        "ggcam 0.1.0",
        "1 of 1",
    ):
        assert words in page.words


def test_what_is_missing_is_named_with_its_reason():
    summary = study_summary() | {"missing_runs": ["a-seed0", "b-seed0"]}
    page = Page(render_study_report(study(summary, failed={"a-seed0": "out of <memory>"}, missing="the data are gone")))
    assert "2 runs are missing" in page.words
    assert "a-seed0 out of <memory> b-seed0 not started or interrupted" in page.words
    assert "1 of 3" in page.words
    assert "No data card: the data are gone" in page.words


@pytest.mark.parametrize("arms", [("none",), ("none", "ggcam"), ("none", "ggcam-cc", "ggcam-cc+centre")])
@pytest.mark.parametrize("sizes", [(), (100,), (30, 60, 100)])
def test_every_kind_of_study_has_a_page(arms, sizes):
    page = Page(render_study_report(study(study_summary(arms, sizes))))
    assert page.count("figure", "chart") == (2 if len(sizes) > 1 else 0)
    assert page.count("table", "differences") == (3 if len(arms) > 1 else 0)
    assert "nan" not in page.words.lower()
    assert "None" not in page.words


def test_one_seed_leaves_the_interval_over_patients():
    row = study_summary()["differences"][0] | {"low_patients_seeds": None, "high_patients_seeds": None}
    found = difference_row(row)
    assert (found.low, found.high) == (row["low"], row["high"]) == tuple(found.patients.values())


def test_groups_keep_controls_apart():
    (table, *_) = forest_tables(study_summary(), CONTROLS)
    titles = {title: [row.label for row in rows] for title, rows in table.groups}
    assert list(titles.values()) == [["ggcam-cc − none"], ["ggcam-cc − ggcam-cc+centre"], ["ggcam-cc+centre − none"]]
    (arms,) = arm_tables(study_summary(("none", "ggcam-cc+centre", "ggcam-cc")), CONTROLS)
    assert arms.arms == ("none", "ggcam-cc", "ggcam-cc+centre")
    assert [row["value"] for row in arms.rows[0][1]] == pytest.approx([0.5, 0.7, 0.6])


def test_the_axis_of_a_forest_holds_zero_every_interval_and_every_seed():
    for table in forest_tables(study_summary(), CONTROLS):
        for _, rows in table.groups:
            for row in rows:
                assert all(0 < table.axis.at(value) < 1 for value in (0, row.low, row.high, *row.seeds))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.2, "excludes"),
        (-0.2, -0.1, "excludes"),
        (-0.1, 0.1, "includes"),
        (0.0, 0.1, "includes"),
        (None, None, "no"),
    ],
)
def test_a_verdict_is_whether_the_interval_excludes_zero(low, high, verdict):
    row = study_summary()["differences"][0] | {
        "low_patients_seeds": low,
        "high_patients_seeds": high,
        "low": low,
        "high": high,
    }
    assert verdict in difference_row(row).verdict


def test_the_headline_is_of_the_most_training_cases_and_of_no_control():
    rows = headline_rows(study_summary(sizes=(30, 100)), CONTROLS)
    assert [row.label for row in rows] == ["ggcam-cc − none, 100 training cases"]


def test_small_data_curves_have_a_line_an_arm_and_a_band_a_guidance():
    (chart, _) = size_charts(study_summary(sizes=(30, 60)), CONTROLS)
    assert [name for _, name in chart.names] == ["none", "ggcam-cc", "ggcam-cc+centre"]
    assert [shape.kind for shape in chart.shapes].count("band") == 2
    assert chart.x.ticks == (30, 60)
    assert "ggcam-cc 0.600 at 30, 0.600 at 60" in chart.alt_text


def test_metrics_have_labels():
    assert metric_label("auroc/a/b") == "AUROC, a/b"
    assert metric_label("anatomy/lung_interp_1/hit_rate") == "CAM peaks on the target, Pneumonia: in the lungs"
    assert metric_label("something/new") == "something/new"
