"""The model card: valid for Hugging Face, complete, and no text of a data set becomes markup."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import ggcam
from ggcam.data.case import Frame
from ggcam.inference.model_card import NOTICE, CardFacts, TrainingData, _yaml, escape, model_card
from ggcam.inference.write_bundle import _facts
from ggcam.report.result_schemas import SELECTED_ON_TEST
from ggcam.training.calibration import Calibration
from ggcam.training.config import TrainConfig
from ggcam.training.model_spec import ModelSpec
from ggcam.training.typicality import ValidationMarks
from ggcam.utils.printable import printable

yaml = pytest.importorskip("yaml")
repocard = pytest.importorskip("huggingface_hub.repocard")

HOSTILE = '</td><script>alert(1)</script> [x](http://y) ![](z) | `a` **b** ---\n# c: "d"\u2028\'é\U0001f600'


@pytest.fixture(scope="module")
def facts(trained: Path) -> CardFacts:
    return _facts(ggcam.open_run(trained))


@pytest.fixture(scope="module")
def hostile() -> CardFacts:
    names = (HOSTILE, "b", "c")
    metric = {"value": 0.5, "low": 0.4, "high": 0.6}
    target = {"cases": 3, "hit_rate": metric, "chance": metric, "distance_px": metric}
    point = {"threshold": 0.3, "sensitivity": metric, "specificity": {"value": None}}
    metrics: dict = {
        "split": "test",
        "data": "DATA",
        "cases": 3,
        "patients": 2,
        "macro_auroc": metric,
        "accuracy": metric,
        "ece": {"value": None, "low": None, "high": None},
        "auroc": {HOSTILE: metric},
        "pointing_game": {HOSTILE: target},
        "operating_points": {HOSTILE: {HOSTILE: point}},
    }
    return CardFacts(
        HOSTILE,
        ModelSpec("resnet18", names, Frame(64, 64), multi_label=True),
        TrainConfig(guidance="none"),
        Calibration((1.0, 2.0, 3.0), {HOSTILE: {HOSTILE: 0.3, "b": None}}, 7),
        TrainingData(HOSTILE, "other", {"train": 5}, HOSTILE, HOSTILE),
        metrics,  # pyright: ignore[reportArgumentType]
        ValidationMarks(10, 1, {}),
    )


def test_hugging_face_reads_the_card(facts):
    card = repocard.ModelCard(model_card(facts))
    assert card.data.license == "other"
    assert card.data.library_name == "ggcam"
    assert card.data.pipeline_tag == "image-classification"
    assert "research-use-only" in card.data.tags
    (auroc,) = (each for each in card.data.eval_results if each.metric_type == "roc_auc")
    measured = facts.metrics["macro_auroc"]
    assert auroc.metric_value == measured["value"]
    assert auroc.metric_args["low"] == measured["low"]
    assert auroc.metric_args["high"] == measured["high"]
    assert auroc.dataset_name == "egd_cxr"
    assert auroc.dataset_split == "test"


def test_the_card_says_what_a_user_has_to_know(facts):
    text = model_card(facts)
    assert text.count(NOTICE) == 2
    for name in facts.spec.class_names:
        assert escape(name) in text
    assert f"{facts.data.counts['train']:,} train" in text
    assert f"chosen on {facts.calibration.cases} validation cases" in text
    metric = facts.metrics["macro_auroc"]
    assert f"| macro AUROC | {metric['value']:.3f} | [{metric['low']:.3f}, {metric['high']:.3f}] |" in text
    threshold = facts.calibration.thresholds["youden"]["CHF"]
    assert f"| CHF | youden | {threshold:.3f} |" in text
    assert f"{facts.marks.marked} of {facts.marks.cases} are" in text
    assert "## Limits" in text
    assert "selected on test" not in text


def test_what_is_not_known_is_said(facts):
    text = model_card(replace(facts, data=None, metrics=None, marks=None, calibration=Calibration.none(3)))
    assert "training data could not be read" in text
    assert "was not evaluated" in text
    assert "not calibrated" in text
    assert "are not marked" in text
    assert "model-index" not in text


def test_a_network_selected_on_test_is_marked(facts):
    text = model_card(replace(facts, metrics={**facts.metrics, "selected_on": "test"}))
    assert SELECTED_ON_TEST[1:] in text
    (auroc,) = (each for each in repocard.ModelCard(text).data.eval_results if each.metric_type == "roc_auc")
    assert auroc.metric_name == "macro AUROC, selected on test"


def test_no_text_from_elsewhere_becomes_markup(hostile):
    text = model_card(hostile)
    front, _, body = text.removeprefix("---\n").partition("\n---\n")
    values = yaml.safe_load(front)
    assert values["model-index"][0]["name"] == HOSTILE
    assert [each["type"] for each in values["model-index"][0]["results"][0]["metrics"]] == ["roc_auc", "accuracy"]
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = [inner for token in parser.parse(body) for inner in (token, *(token.children or ()))]
    kinds = {token.type for token in tokens}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "hr", "em_open"}
    assert [token.tag for token in tokens if token.type == "heading_open"].count("h1") == 1
    tables = parser.render(body).split("<table>")[1:]
    assert len(tables) == 4
    for table in tables:
        widths = {row.count("<td") + row.count("<th>") + row.count("<th ") for row in table.split("<tr>")[1:]}
        assert len(widths) == 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_text_is_shown_as_it_is(text):
    shown = html.unescape(MarkdownIt("commonmark", {"html": True}).renderInline(escape(text)))
    assert shown == printable(" ".join(text.split()))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_yaml_reads_any_text_back(text):
    assert yaml.safe_load(f"key: {_yaml([text])}\n") == {"key": [text]}
