"""The tables of a run hold the values of metrics.json, under the right names."""

from __future__ import annotations

from typing import Any

import pytest

from ggcam.report.run_tables import (
    AGREEMENT,
    OVERALL,
    agreement_rows,
    is_multi_label,
    overall_rows,
    overlap_rows,
    size_rows,
    target_rows,
)


def metric(value: float | None, half_width: float = 0.1) -> dict[str, float | None]:
    ends = (None, None) if value is None else (value - half_width, value + half_width)
    return {"value": value, "low": ends[0], "high": ends[1]}


def ours(*support: int, multi_label: bool = False) -> dict[str, Any]:
    classes = {f"class {k}": {"support": count} for k, count in enumerate(support)}
    return {"classes": classes} if multi_label else {"classes": classes, "confusion_matrix": []}


def test_overall_metrics_come_in_a_fixed_order_with_their_values():
    metrics = {name: metric(0.1 * number) for number, name in enumerate(reversed(OVERALL))}
    rows = overall_rows({**metrics, "unknown": metric(0.5), "reliability": {}}, ours(3, 1))
    assert [row.name for row in rows] == [name for name, _ in OVERALL.values()]
    for row, key in zip(rows, OVERALL, strict=True):
        assert row.metric is metrics[key]
        assert row.explanation == OVERALL[key][1]
    assert overall_rows({}, ours(3, 1)) == ()


def test_chance_levels_are_those_of_guessing():
    metrics = dict.fromkeys(OVERALL, metric(0.5))

    def chance(table: dict[str, Any]) -> dict[str, float | None]:
        return {row.name: row.chance for row in overall_rows(metrics, table)}

    single = chance(ours(6, 3, 0, 1))
    assert single["Macro AUROC"] == single["Micro AUROC"] == 0.5
    assert single["Matthews correlation"] == 0
    assert single["Accuracy"] == 0.6  # always the most frequent class
    assert single["Balanced accuracy"] == single["Macro AUPRC"] == pytest.approx(1 / 3)  # of the classes present
    assert single["Brier score"] is single["Macro F1"] is None
    multi_label = chance(ours(6, 3, multi_label=True))
    assert multi_label["Macro AUROC"] == 0.5
    assert multi_label["Accuracy"] is multi_label["Macro AUPRC"] is None
    assert chance(ours(0, 0))["Accuracy"] is None


def test_the_kind_of_labels_is_told_by_the_confusion_matrix():
    assert not is_multi_label(ours(1, 2))
    assert is_multi_label(ours(1, 2, multi_label=True))


def test_targets_are_the_anatomy_and_then_each_finding():
    anatomy = {"heart_interp_1": {"cases": 1}, "another": {"cases": 2}}
    pointing = {"pneumonia": {"cases": 3}}
    rows = target_rows({"anatomy": anatomy, "pointing_game": pointing})
    assert [(row.name, row.found["cases"]) for row in rows] == [
        ("CHF: in the heart", 1),
        ("another", 2),
        ("pneumonia: on the finding", 3),
    ]
    assert target_rows({}) == ()


def test_overlaps_keep_cam_chance_and_difference_apart():
    values = {"cam": metric(0.4), "chance": metric(0.3), "cam_minus_chance": metric(0.1)}
    metrics = {"overlap": {"CHF": {"cases": 7, "best_iou": values, "unknown": values, "by_size": {}}}}
    (row,) = overlap_rows(metrics)
    assert (row.class_name, row.metric, row.cases) == ("CHF", "IoU at the best threshold", 7)
    assert [each["value"] for each in (row.cam, row.chance, row.difference)] == [0.4, 0.3, 0.1]


def test_sizes_are_listed_by_class():
    metrics = {"overlap": {"CHF": {"by_size": {"small": {"cases": 1}, "large": {"cases": 2}}}, "other": {}}}
    assert size_rows(metrics) == (("CHF", "small", {"cases": 1}), ("CHF", "large", {"cases": 2}))


def test_agreement_names_its_references_and_leaves_out_what_is_absent():
    found = {
        "cam": metric(0.5),
        "shuffled_gaze": metric(0.3),
        "other_reader": metric(0.8),
        "cam_minus_shuffled_gaze": metric(0.2),
    }
    rows = agreement_rows({"gaze_agreement": {"cases": 5, "readings": 6, "cc": found, "nss": {"centre": metric(1.0)}}})
    (row,) = rows  # NSS of the CAM is absent
    assert (row.name, row.explanation) == AGREEMENT["cc"]
    assert {name: each["value"] for name, each in row.references.items()} == {
        "other patients’ gaze": 0.3,
        "another reader": 0.8,
    }
    assert (row.cam["value"], row.difference["value"]) == (0.5, 0.2)
    assert agreement_rows({}) == ()


def test_the_axis_of_an_agreement_holds_all_but_the_lung_mask():
    found = {"cam": metric(0.5), "centre": metric(0.1), "lungs": metric(-40.0), "shuffled_gaze": metric(None)}
    (row,) = agreement_rows({"gaze_agreement": {"information_gain": found}})
    assert all(0 < row.axis.at(value) < 1 for value in (0.0, 0.1, 0.5, 0.6))
    assert row.axis.at(-40) < 0
    assert row.axis.percent(-40) == "0.00%"
    assert row.difference["value"] is None


def test_an_interval_may_have_one_end_only():
    (row,) = agreement_rows({"gaze_agreement": {"cc": {"cam": {"value": 0.5, "low": 0.4}}}})
    assert row.cam["value"] == 0.5
