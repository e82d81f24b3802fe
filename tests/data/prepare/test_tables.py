"""The tables of the prepared folder, made from cases in memory: no image is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.case import Case, Frame, Region
from ggcam.data.framing import Fitted, Strided
from ggcam.data.prepare import tables as tables_module
from ggcam.data.prepare.tables import make_tables
from ggcam.data.schema import CASES, FIXATIONS, REGIONS, cases_schema
from ggcam.gaze.fixations import Fixations

FRAME = Frame(64, 96)
"""A raw image of 32x64 is scaled by 1.5 to 48x96 and lies 8 pixels below the frame's top edge."""


def make_case(case_id: str = "a", **changes) -> Case:
    return replace(Case(case_id, f"patient-{case_id}", 1, Path(f"{case_id}.png")), **changes)


def tables_of(*cases: Case, size=(32, 64), framing=None, schema=CASES) -> tuple[dict[str, pd.DataFrame], int]:
    splits, sizes = dict.fromkeys([case.case_id for case in cases], "train"), {case.case_id: size for case in cases}
    tables, off_image = make_tables(cases, splits, sizes, framing or Fitted(FRAME), schema)
    return {name.removesuffix(".parquet"): table.to_pandas() for name, table in tables.items()}, off_image


def test_a_case_becomes_a_row_with_its_map_to_the_frame():
    tables, off_image = tables_of(make_case("b", flags=("device", "rotated")), make_case("a"))
    assert off_image == 0
    assert tables["cases"]["masks"].isna().all()
    assert tables["cases"].drop(columns="masks").loc[0].to_dict() == {
        "case_id": "b",
        "patient_id": "patient-b",
        "split": "train",
        "label": 1,
        "image": "images/b.png",
        "raw_height_px": 32,
        "raw_width_px": 64,
        "scale_x": 1.5,
        "shift_x_px": 0.0,
        "scale_y": 1.5,
        "shift_y_px": 8.0,
        "has_gaze": False,
        "flags": "device;rotated",
    }
    assert tables["cases"].loc[1, ["case_id", "flags"]].tolist() == ["a", ""]  # the order of the cases is kept


def test_fixations_are_mapped_reading_by_reading():
    first = Fixations.build(
        [10.0, 20.0], [4.0, 8.0], [0.2, 0.3], [1.0, 2.0], px_per_degree=(10.0, 20.0), label=["x", ""]
    )
    second = Fixations.build([30.0], [16.0], 0.5)
    tables, _ = tables_of(make_case(readings={"r1": first, "r2": second}))
    nan = np.nan
    expected = pd.DataFrame(
        [
            ("a", "r1", 15.0, 14.0, 1.0, 0.2, 15.0, 30.0, "x"),
            ("a", "r1", 30.0, 20.0, 2.0, 0.3, 15.0, 30.0, None),
            ("a", "r2", 45.0, 32.0, nan, 0.5, nan, nan, None),
        ],
        columns=FIXATIONS.names,
    )
    pd.testing.assert_frame_equal(tables["fixations"], expected)
    assert tables["cases"]["has_gaze"].tolist() == [True]


def test_rows_are_converted_part_by_part(monkeypatch):
    cases = [make_case(name, regions=(Region(f"of {name}", "box", 0, 0, 4, 4),) * 3) for name in "edcba"]
    whole, _ = tables_of(*cases)
    monkeypatch.setattr(tables_module, "_ROWS_AT_A_TIME", 2)
    found, _ = tables_of(*cases)
    assert list(found) == list(whole)
    for name, table in found.items():
        pd.testing.assert_frame_equal(table, whole[name])
    assert whole["regions"]["case_id"].tolist() == list("eeedddcccbbbaaa")


def test_regions_are_mapped():
    box = Region("nodule", "ellipse", 10.0, 4.0, 20.0, 8.0)
    tables, _ = tables_of(make_case(regions=(box,)), make_case("b"))
    assert tables["regions"].to_numpy().tolist() == [["a", "nodule", "ellipse", 15.0, 14.0, 30.0, 20.0]]
    assert list(tables["regions"]) == REGIONS.names


def test_fixations_off_the_raw_image_are_left_out_and_counted():
    gaze = Fixations.build([-0.1, 0.0, 63.9, 64.0], [5.0, 31.9, 0.0, 5.0])
    off = Fixations.build([5.0], [32.0])
    tables, off_image = tables_of(make_case(readings={"r": gaze}), make_case("b", readings={"r": off}))
    assert off_image == 3
    assert tables["fixations"]["x_px"].tolist() == [0.0, pytest.approx(95.85)]
    assert tables["cases"]["has_gaze"].tolist() == [True, False]


def test_gaze_without_any_duration_is_no_gaze():
    tables, off_image = tables_of(make_case(readings={"r": Fixations.build([5.0], [5.0], 0.0)}))
    assert (off_image, len(tables["fixations"])) == (0, 1)
    assert tables["cases"]["has_gaze"].tolist() == [False]


def test_fixations_that_the_frame_crops_stay_off_the_frame_and_do_not_count_as_gaze():
    """The canvas of a strided frame of 64x96 is 128x192; a raw image of 200x192 loses 36 rows at the top."""
    gaze = Fixations.build([10.0], [20.0], 0.4)
    tables, off_image = tables_of(make_case(readings={"r": gaze}), size=(200, 192), framing=Strided(FRAME))
    assert off_image == 0
    assert tables["fixations"]["y_px"][0] < 0
    assert tables["cases"]["has_gaze"].tolist() == [False]


def test_multi_label_cases_have_a_column_per_class_with_null_for_unknown():
    schema = cases_schema(("Edema", "Mass"), multi_label=True)
    tables, _ = tables_of(make_case(label=(1, None)), make_case("b", label=(0, 1)), schema=schema)
    assert tables["cases"]["label_Edema"].tolist() == [1, 0]
    assert tables["cases"]["label_Mass"].isna().tolist() == [True, False]
    assert "label" not in tables["cases"]


@given(st.integers(8, 300), st.integers(8, 300), st.integers(0, 10**6))
def test_the_recorded_map_leads_back_to_the_raw_positions(height, width, seed):
    rng = np.random.default_rng(seed)
    gaze = Fixations.build(rng.uniform(0, width, 5), rng.uniform(0, height, 5))
    tables, off_image = tables_of(make_case(readings={"r": gaze}), size=(height, width))
    row, found = tables["cases"].loc[0], tables["fixations"]
    assert off_image == 0
    np.testing.assert_allclose((found["x_px"] - row["shift_x_px"]) / row["scale_x"], gaze.x_px, atol=1e-9)
    np.testing.assert_allclose((found["y_px"] - row["shift_y_px"]) / row["scale_y"], gaze.y_px, atol=1e-9)
    assert found["x_px"].between(0, FRAME.width_px).all()
    assert found["y_px"].between(0, FRAME.height_px).all()
