"""Cases that belong to several classes at once, from the source to the prepared folder."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ggcam.data.case import Source
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import load_prepared
from ggcam.data.splits import assign_splits
from ggcam.data.stratify import assign_strata
from ggcam.data.summary import summary_table
from ggcam.errors import GGCamError, TableError
from ggcam.report.contact_sheet import choose_cases
from small_source import small_source

CLASSES = ("Edema", "High lung volume / emphysema", "Mass")
SMALL = PrepareConfig(size="64x64", workers=1)


def several(folder, cases=12) -> Source:
    """Every second case has edema, every fourth a mass, unless that is unknown."""
    source = small_source(folder, cases=cases, height=40, width=30)
    labels = [(int(n % 2 == 0), None if n % 3 == 0 else 0, int(n % 4 == 0)) for n in range(cases)]
    found = tuple(replace(case, label=label) for case, label in zip(source.cases, labels, strict=True))
    return replace(source, class_names=CLASSES, cases=found)


@pytest.fixture
def data(tmp_path):
    return prepare_source(several(tmp_path / "raw"), tmp_path / "out", SMALL)


def test_every_class_has_a_column_of_0_1_and_unknown(data):
    table = pd.read_parquet(data.root / "cases.parquet")
    assert [name for name in table if name.startswith("label")] == [f"label_{name}" for name in CLASSES]
    assert table["label_Mass"].tolist() == [1, 0, 0, 0] * 3
    assert table["label_High lung volume / emphysema"].isna().tolist() == [True, False, False] * 4
    again = load_prepared(data.root)
    assert again.multi_label
    np.testing.assert_array_equal(again.label_matrix[:, 0], [1, 0] * 6)
    assert np.isnan(again.label_matrix[:, 1]).sum() == 4


def test_counts_are_of_the_present_ones(data):
    header, *rows = summary_table(data)
    assert header[1:4] == CLASSES
    assert rows[-1][1:5] == ("6", "0", "3", "12")
    assert sum(split["Edema"] for split in data.meta["counts"].values()) == 6


def test_cases_are_drawn_of_each_present_class(data):
    drawn = choose_cases(data, per_class=2)
    assert {name: len(ids) for name, ids in drawn.items()} == dict(zip(CLASSES, (2, 0, 2), strict=True))


def test_the_rarest_present_class_decides_where_a_case_goes(tmp_path):
    cases = several(tmp_path, cases=8).cases
    assert assign_strata([case.label for case in cases]).tolist() == [2, 3, 0, 3, 2, 3, 0, 3]
    assert assign_strata(np.array([[1, 1, 0], [1, 0, 0], [0, 0, np.nan], [1, 0, 0]])).tolist() == [1, 0, 3, 0]
    assert assign_strata([2, 0, 1]).tolist() == [2, 0, 1]


def test_every_class_is_shared_out_in_the_fractions(tmp_path):
    cases = several(tmp_path, cases=400).cases
    splits, _ = assign_splits(cases)
    for at in (0, 2):
        shares = Counter(splits[case.case_id] for case in cases if isinstance(case.label, tuple) and case.label[at])
        total = shares.total()
        assert [shares[name] / total for name in ("train", "valid", "test")] == pytest.approx([0.7, 0.1, 0.2], abs=0.03)


@pytest.mark.parametrize("label", [1, (1, 0), (1, 0, 2)])
def test_a_label_that_does_not_fit_is_refused(tmp_path, label):
    source = several(tmp_path / "raw")
    source = replace(source, cases=(replace(source.cases[0], label=label), *source.cases[1:]))
    with pytest.raises(GGCamError, match=r"do not match the classes\n.*\n  got: case_0000"):
        prepare_source(source, tmp_path / "out", SMALL)


def test_a_value_that_is_no_label_is_refused_with_its_row(data):
    path = data.root / "cases.parquet"
    table = pd.read_parquet(path)
    table.assign(label_Mass=[0] * 5 + [3] * 7).to_parquet(path)
    with pytest.raises(TableError, match=r"label_Mass is not 0, 1 or null(.|\n)*parquet:5"):
        load_prepared(data.root)
    table.drop(columns="label_Edema").to_parquet(path)
    with pytest.raises(TableError, match=re.escape("no label_Edema")):
        load_prepared(data.root)
