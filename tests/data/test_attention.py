"""Which attention guides a run: gaze, or the regions of findings; and the controls in place of regions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from ggcam.data.attention import attended_cases, cases_with_findings, finding_regions, resolve_attention
from ggcam.data.case import SHORTCUT_MARKER
from ggcam.data.dataset import PreparedDataset
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.view_config import ViewConfig
from ggcam.data.views import apply_view
from ggcam.errors import ConfigError
from multilabel_fixture import prepare_multilabel, write_multilabel


def with_regions(data: PreparedData, rows: list[tuple]) -> PreparedData:
    return replace(data, regions=pd.DataFrame(rows, columns=data.regions.columns))


def box(case_id: str, name: str, x: float = 8.0, kind: str = "box") -> tuple:
    return case_id, name, kind, x, 16.0, x + 16, 32.0


def without_gaze(data: PreparedData) -> PreparedData:
    return replace(data, cases=data.cases.assign(has_gaze=False), fixations=data.fixations.iloc[:0])


@pytest.fixture(scope="module")
def data(prepared: Path) -> PreparedData:
    return load_prepared(prepared)


@pytest.fixture(scope="module")
def boxed(data: PreparedData) -> PreparedData:
    """Every case has a box of its class, and a box of another class."""
    rows = []
    for number, case in enumerate(data.cases.itertuples()):
        own, other = data.class_names[case.label], data.class_names[(case.label + 1) % 3]
        rows += [
            box(case.case_id, own.upper(), x=number / 2),
            box(case.case_id, other),
            box(case.case_id, "left lung"),
        ]
    return with_regions(without_gaze(data), rows)


@pytest.fixture(scope="module")
def multi_label(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    data = prepare_multilabel(write_multilabel(tmp_path_factory.mktemp("multi") / "raw", cases=40))
    rows = [
        box(case_id, name, x=4 + number / 2)
        for number, case_id in enumerate(data.cases["case_id"])
        for name, present in zip(data.class_names, data.label_matrix[number], strict=True)
        if present == 1
    ]
    return with_regions(without_gaze(data), rows)


def test_gaze_comes_first_where_the_options_leave_it_open(data, boxed):
    assert apply_view(data, ViewConfig()).attention == "gaze"
    assert apply_view(boxed, ViewConfig()).attention == "regions"
    assert resolve_attention(boxed, "gaze-else-regions") == "gaze-else-regions"
    assert resolve_attention(with_regions(without_gaze(data), [box("c", "left lung")]), "auto") == "gaze"
    with pytest.raises(ConfigError, match="--attention masks"):
        apply_view(boxed, ViewConfig(attention="masks"))


def test_a_case_is_guided_by_regions_of_its_class_and_by_those_of_no_class(boxed):
    found = finding_regions(boxed, "regions")
    assert len(found) == len(boxed)
    assert set(found["name"]) == {name.upper() for name in boxed.class_names}
    assert (found["class"] == -1).all()
    renamed = replace(boxed, regions=boxed.regions.assign(name="opacity"))
    assert len(finding_regions(renamed, "regions")) == 3 * len(boxed)


def test_a_case_has_a_finding_unless_all_its_regions_are_structures_or_markers(data):
    first, second = data.cases["case_id"][:2]
    rows = [box(first, "Left Lung"), box(first, SHORTCUT_MARKER), box(second, "Left lung"), box(second, "opacity")]
    marked = with_regions(data, rows)
    assert data.cases["case_id"][cases_with_findings(marked)].tolist() == [second]
    assert not cases_with_findings(with_regions(data, [])).any()
    for regions in (data.regions, marked.regions):
        found = replace(data, regions=regions)
        by_case = [any(each.is_finding for each in found.boxes.get(case, ())) for case in data.cases["case_id"]]
        assert cases_with_findings(found).tolist() == by_case


def test_each_label_has_its_own_map(multi_label):
    view = apply_view(multi_label, ViewConfig())
    dataset = PreparedDataset(view, "train")
    batch = dataset.batch(range(6))
    for row in range(6):
        present = torch.nonzero(batch.label[row] == 1)[:, 0].tolist()
        assert (
            sorted(batch.region_label[row].unique().tolist()) == sorted({*present} or {-1})
            or -1 in batch.region_label[row]
        )
        assert set(present) <= set(batch.region_label[row].tolist())
        for label, drawn in zip(batch.region_label[row], batch.region_maps[row], strict=True):
            assert drawn.sum() == (16 if label >= 0 else 0)  # 16 x 16 pixels in cells of 4 x 4
    assert batch.duration_s.sum() == 0


@pytest.fixture
def masked(data, tmp_path) -> PreparedData:
    """Each case has a mask of "opacity" and one of "device"; the side of the opacity is that of the case."""
    (tmp_path / "region_masks").mkdir()
    rows = []
    for number, case_id in enumerate(data.cases["case_id"]):
        bits = np.zeros(data.frame.shape, dtype=np.uint8)
        bits[4:8, 4:8] |= 1  # device comes first in the alphabet
        bits[: 1 + number, 16:32] |= 2
        cv2.imwrite(str(tmp_path / f"region_masks/{case_id}.png"), bits)
        rows += [(case_id, "opacity", "mask", 16.0, 0.0, 32.0, 1.0 + number)]
        rows += [(case_id, "device", "mask", 4.0, 4.0, 8.0, 8.0)]
    return replace(with_regions(without_gaze(data), rows), root=tmp_path)


def test_masks_are_drawn_and_shuffled_with_their_pixels(masked):
    def areas(control: str) -> list[float]:
        view = apply_view(masked, ViewConfig(attention="masks", control=control))
        return [
            float(PreparedDataset(view, split, cache="none")._regions.draw(row)[0].sum()) * 16
            for split in ("train", "valid", "test")
            for row in range((view.cases["split"] == split).sum())
        ]

    order = pd.concat([masked.cases[masked.cases["split"] == split] for split in ("train", "valid", "test")]).index
    own = [16 + 16 * (1 + number) for number in order]
    assert areas("none") == own
    shuffled, is_test = areas("shuffled-in-class"), (masked.cases["split"] == "test").sum()
    assert shuffled[-is_test:] == own[-is_test:]
    assert sorted(shuffled) == sorted(own)
    assert all(one != other for one, other in zip(shuffled[:-is_test], own[:-is_test], strict=True))


def test_gaze_is_not_read_where_regions_guide(data):
    ids = data.cases["case_id"]
    both = with_regions(data, [box(case_id, "opacity") for case_id in ids])
    for attention, has_points, has_maps in (
        ("gaze", True, False),
        ("boxes", False, True),
        ("gaze-else-regions", True, True),
    ):
        batch = PreparedDataset(apply_view(both, ViewConfig(attention=attention)), "train").batch(range(4))
        assert (batch.duration_s.sum() > 0) == has_points
        assert (batch.region_maps is not None) == has_maps


def test_attended_cases_follow_the_attention(data):
    ids = data.cases["case_id"]
    some = with_regions(data, [box(ids[0], "opacity"), box(ids[1], "left lung")])
    has_gaze = data.cases["has_gaze"].to_numpy()
    assert (attended_cases(some) == has_gaze).all()
    assert attended_cases(replace(some, attention="regions")).tolist() == [True] + [False] * (len(ids) - 1)
    both = attended_cases(replace(some, attention="gaze-else-regions"))
    assert (both == has_gaze | (np.arange(len(ids)) == 0)).all()


@pytest.mark.parametrize("control", ["shuffled-gaze", "shuffled-in-class"])
@pytest.mark.parametrize("name", ["boxed", "multi_label"])
def test_shuffled_regions_are_those_of_other_cases_and_the_test_cases_keep_theirs(control, name, request):
    data = request.getfixturevalue(name)
    before = finding_regions(apply_view(data, ViewConfig()), "regions")
    after = finding_regions(apply_view(data, ViewConfig(control=control)), "regions")
    place = ["x0_px", "x1_px"]
    keys = ["case_id", "name"]
    assert set(map(tuple, after[place].to_numpy())) <= set(map(tuple, before[place].to_numpy()))
    assert set(map(tuple, before[keys].to_numpy())) == set(map(tuple, after[keys].to_numpy()))
    merged = before.merge(after, on=keys)
    is_test = merged["case_id"].isin(data.cases.loc[data.cases["split"] == "test", "case_id"])
    assert (merged["x0_px_x"] == merged["x0_px_y"])[is_test].all()
    assert (merged["x0_px_x"] != merged["x0_px_y"])[~is_test].all()


def test_regions_of_a_class_stay_in_it(multi_label):
    names = multi_label.class_names
    offset = {name: 0.25 * number for number, name in enumerate(names)}
    marked = multi_label.regions.assign(y0_px=[16 + offset[name] for name in multi_label.regions["name"]])
    data = replace(multi_label, regions=marked)
    for control, stays in (("shuffled-in-class", True), ("shuffled-gaze", False)):
        after = apply_view(data, ViewConfig(control=control)).regions
        assert all(y - 16 == offset[name] for y, name in zip(after["y0_px"], after["name"], strict=True)) == stays


def test_random_regions_keep_their_size_and_lie_in_the_frame(boxed):
    before = apply_view(boxed, ViewConfig()).regions
    after = apply_view(boxed, ViewConfig(control="random-map")).regions
    assert len(after) == len(before)
    assert ((after["x1_px"] - after["x0_px"]).round(6) == 16).all()
    assert after["x0_px"].min() >= 0
    assert after["x1_px"].max() <= boxed.frame.width_px
    assert after["x0_px"].nunique() > 30


@pytest.mark.parametrize("control", ["centre", "lung-mask"])
def test_controls_that_are_one_map_take_the_place_of_regions(boxed, control):
    view = apply_view(boxed, ViewConfig(control=control))
    assert view.attention == "gaze"
    guided = set(view.fixations["case_id"])
    assert guided == set(boxed.cases.loc[boxed.cases["split"] != "test", "case_id"])
    assert PreparedDataset(view, "train").batch([0, 1]).region_maps is None


def test_one_map_guides_the_labels_that_had_a_region(multi_label):
    view = apply_view(multi_label, ViewConfig(control="centre"))
    learned = multi_label.cases.loc[multi_label.cases["split"] != "test", "case_id"]
    regions = multi_label.regions[multi_label.regions["case_id"].isin(learned)]
    expected = set(zip(regions["case_id"], regions["name"], strict=True))
    assert set(zip(view.fixations["case_id"], view.fixations["label"], strict=True)) == expected


def test_a_single_region_cannot_be_shuffled(data):
    train = data.cases.loc[data.cases["split"] == "train", "case_id"].iloc[0]
    single = with_regions(without_gaze(data), [box(train, "opacity")])
    with pytest.raises(ConfigError, match="cannot be shuffled"):
        apply_view(single, ViewConfig(control="shuffled-gaze"))
    assert apply_view(single, ViewConfig(control="shuffled-in-class")).regions.empty
