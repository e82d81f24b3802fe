from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import pyplot

from ggcam.data.case import Region
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData
from ggcam.errors import GGCamError
from ggcam.gaze.fixations import Fixations
from ggcam.report.contact_sheet import LONGER_SIDE_PX, _draw_case, choose_cases, contact_sheet
from ggcam.report.figure import new_figure
from small_source import CLASS_NAMES, small_source

CONFIG = PrepareConfig(size="96x64", workers=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Two dozen cases, some of them without gaze or masks; the first with a finding whose name is long."""
    folder = tmp_path_factory.mktemp("sheet")
    source = small_source(folder / "raw")
    found = Region("a finding with a very long name", "ellipse", 40.0, 70.0, 69.0, 89.0)
    first = replace(source.cases[1], regions=(*source.cases[1].regions, found))
    return prepare_source(replace(source, cases=(source.cases[0], first, *source.cases[2:])), folder / "out", CONFIG)


def test_a_sheet_is_written_the_same_each_time_and_leaves_no_global_state(data: PreparedData, tmp_path: Path):
    open_figures = pyplot.get_fignums()  # those of other tests
    path = contact_sheet(data, tmp_path / "new" / "sheet.png", per_class=1)
    sheet = cv2.imread(str(path))
    assert sheet is not None
    assert min(sheet.shape[:2]) > 500
    assert sheet.std() > 30
    again = contact_sheet(data, tmp_path / "again.png", per_class=1)
    assert path.read_bytes() == again.read_bytes()
    assert path.read_bytes() != contact_sheet(data, again, per_class=1, seed=1).read_bytes()
    assert pyplot.get_fignums() == open_figures


def test_cases_are_drawn_at_random_from_each_class_and_the_split_asked_for(data: PreparedData):
    of_case = data.cases.set_index("case_id")
    chosen = choose_cases(data, per_class=3, split="train")
    assert list(chosen) == list(CLASS_NAMES)
    for label, ids in enumerate(chosen.values()):
        assert len(set(ids)) == 3
        assert set(of_case.loc[ids, "label"]) == {label}
        assert set(of_case.loc[ids, "split"]) == {"train"}
    assert choose_cases(data, 3, seed=1) != choose_cases(data, 3, seed=2)
    assert sum(map(len, choose_cases(data, 1000).values())) == len(data)


def test_scanpath_and_attention_appear_where_the_fixation_was(tmp_path: Path):
    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), np.full((96, 64), 128, np.uint8))
    source = small_source(tmp_path / "raw", cases=3)
    gaze = Fixations.build([16.0], [72.0], duration_s=0.4, px_per_degree=4.0)
    cases = tuple(replace(case, image=grey, readings={"r": gaze}, masks={}, regions=()) for case in source.cases)
    data = prepare_source(
        replace(source, cases=cases), tmp_path / "out", replace(CONFIG, split_fractions=(1.0, 0.0, 0.0))
    )
    left, right = new_figure(4, 3).subplots(1, 2)
    _draw_case([left, right], data, "case_0001")
    times = LONGER_SIDE_PX / 96
    for axes in (left, right):
        drawn = np.abs(np.asarray(axes.get_images()[0].get_array()).astype(int) - 128).sum(axis=2)
        rows, columns = np.indices(drawn.shape) + 0.5
        assert (drawn * columns).sum() / drawn.sum() == pytest.approx(16 * times, abs=1.5)
        assert (drawn * rows).sum() / drawn.sum() == pytest.approx(72 * times, abs=1.5)


def test_a_class_without_cases_in_the_split_has_no_row(data: PreparedData, tmp_path: Path):
    cases = data.cases[data.cases["label"] != 1]
    one = contact_sheet(replace(data, cases=cases), tmp_path / "two.png", per_class=1)
    all_three = contact_sheet(data, tmp_path / "three.png", per_class=1)
    two_rows, three_rows = (cv2.imread(str(path)).shape[0] for path in (one, all_three))
    assert two_rows < 0.75 * three_rows


def test_images_alone_take_one_panel_a_case(tmp_path: Path):
    source = small_source(tmp_path / "raw", cases=6)
    bare = tuple(replace(case, readings={}, masks={}, regions=()) for case in source.cases)
    data = prepare_source(replace(source, cases=bare), tmp_path / "out", CONFIG)
    rich = prepare_source(source, tmp_path / "rich", CONFIG)
    narrow, wide = (
        cv2.imread(str(contact_sheet(each, tmp_path / f"{each.root.name}.png", per_class=1))).shape[1]
        for each in (data, rich)
    )
    assert narrow < 0.65 * wide


def test_nothing_to_draw_is_said(data: PreparedData, tmp_path: Path):
    only_train = replace(data, cases=data.cases[data.cases["split"] == "train"])
    with pytest.raises(GGCamError, match=r"no case to draw(.|\n)*split test"):
        contact_sheet(only_train, tmp_path / "sheet.png", per_class=2, split="test")


@pytest.mark.parametrize(("per_class", "seed"), [(0, 0), (2, -1)])
def test_numbers_that_cannot_be_are_refused(data: PreparedData, tmp_path: Path, per_class: int, seed: int):
    with pytest.raises(GGCamError, match="--per-class must be at least 1 and --seed at least 0"):
        contact_sheet(data, tmp_path / "sheet.png", per_class=per_class, seed=seed)
