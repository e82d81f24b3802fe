"""The data card counts what is in the tables of a prepared folder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ggcam.data.case import Region
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.gaze.fixations import Fixations
from ggcam.report.data_card import data_card
from small_source import small_source

FINDING = Region("opacity", "ellipse", 10.0, 10.0, 30.0, 30.0)
SHORT, LONG = Fixations.build([8.0, 9.0], [8.0, 9.0], [0.2, 0.3]), Fixations.build([8.0] * 4, [8.0] * 4, [0.5] * 4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    """Nine cases: one with two readings, one with one, the others without gaze; two with a finding."""
    folder = tmp_path_factory.mktemp("card")
    source = small_source(folder / "raw", cases=9)
    bare = [replace(case, readings={}, masks={}, regions=()) for case in source.cases]
    bare[0] = replace(bare[0], readings={"r1": SHORT, "r2": LONG}, regions=(FINDING,))
    bare[1] = replace(bare[1], readings={"r3": SHORT})
    bare[2] = replace(bare[2], regions=(FINDING, FINDING))
    config = PrepareConfig(size="96x64", bits=16, seed=7, workers=1)
    return prepare_source(replace(source, cases=tuple(bare)), folder / "out", config)


def test_the_facts_are_counted_from_the_tables(data):
    facts = data_card(data).facts
    assert facts["Source"] == data.meta["source"]
    assert facts["Frame"] == "96x64 px, 16 bits"
    assert facts["Split"].endswith("seed 7")
    assert facts["Cases with gaze"] == "2 of 9 (22%)"
    assert facts["Cases with marked findings"] == "2 of 9 (22%)"
    assert facts["Readings"] == "3; 1 cases have several"
    assert facts["Fixations per reading"] == "2 (median)"  # of 2, 4 and 2
    assert facts["Fixation time per reading"] == "0.5 s (median)"  # of 0.5, 2.0 and 0.5
    assert "Patients in several splits" not in facts


def test_the_bits_of_raw_files_are_a_fact_where_they_are_not_all_used(data):
    assert "Raw 16-bit files" not in data_card(data).facts
    fewer = replace(data, meta={**data.meta, "used_bits": 12})
    assert data_card(fewer).facts["Raw 16-bit files"] == "use 12 bits"


def test_the_table_counts_cases_by_split_and_class(data):
    card = data_card(data)
    assert card.head == ("split", *data.class_names, "cases", "patients", "with gaze", "with regions")
    marked = data.cases["case_id"].isin(data.regions["case_id"])
    splits = data.cases["split"]
    for split, *numbers in card.rows:
        cases = data.cases if split == "all" else data.cases[splits == split]
        by_class = [int((cases["label"] == label).sum()) for label in range(len(data.class_names))]
        expected = [*by_class, len(cases), cases["patient_id"].nunique(), int(cases["has_gaze"].sum())]
        expected.append(int(marked[cases.index].sum()))
        assert [int(number) for number in numbers] == expected
    assert [row[0] for row in card.rows][-1] == "all"
    assert {row[0] for row in card.rows[:-1]} == set(splits)


def test_without_gaze_there_are_no_facts_about_readings(data):
    without = load_prepared(data.root)
    empty = replace(without, fixations=without.fixations.head(0), cases=without.cases.assign(has_gaze=False))
    facts = data_card(empty).facts
    assert facts["Cases with gaze"] == "0 of 9 (0%)"
    assert not {"Readings", "Fixations per reading", "Fixation time per reading"} & set(facts)


def test_left_out_records_and_shared_patients_are_named(data):
    meta = {
        **data.meta,
        "dropped": {"no image": np.int64(3)},
        "split": {"how": "source", "patients_in_several_splits": 2},
    }
    card = data_card(replace(data, meta=meta))
    assert card.dropped == {"no image": 3}
    assert card.facts["Split"] == "source"
    assert card.facts["Patients in several splits"] == "2; results may be too optimistic"
