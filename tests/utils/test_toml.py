from __future__ import annotations

import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.utils.toml import dumps

# TOML holds 64-bit integers and no lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
tables = st.dictionaries(texts, values, max_size=5)


@given(tables)
def test_what_was_written_is_read_back(table: dict[str, object]):
    assert tomllib.loads(dumps(table)) == table


def test_a_file_reads_as_a_person_would_have_written_it():
    table = {
        "schema_version": 1,
        "split": {"how": "patient", "fractions": (0.7, 0.1, 0.2), "file": None},
        "counts": {"train": {"Normal": 3}, "test": {"left lung": 1}},
    }
    assert dumps(table) == (
        "schema_version = 1\n\n"
        '[split]\nhow = "patient"\nfractions = [0.7, 0.1, 0.2]\n\n'
        '[counts.train]\nNormal = 3\n\n[counts.test]\n"left lung" = 1\n'
    )


def test_nan_and_empty_tables_survive():
    read = tomllib.loads(dumps({"x": math.nan, "empty": {}, "deep": {"empty": {}}}))
    assert math.isnan(read.pop("x"))
    assert read == {"empty": {}, "deep": {"empty": {}}}


@pytest.mark.parametrize("bad", [{"x": object()}, {"x": [None]}, {"x": {"y": b"bytes"}}])
def test_what_toml_cannot_hold_is_refused(bad: dict[str, object]):
    with pytest.raises(TypeError, match="TOML"):
        dumps(bad)
