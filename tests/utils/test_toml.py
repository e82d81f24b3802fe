from __future__ import annotations

import math
import tomllib

import numpy as np
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


def test_none_is_left_out_at_any_depth_and_tuples_become_lists():
    table = {
        "file": None,
        "split": {"how": "patient", "fractions": (0.7, 0.1, 0.2), "file": None},
        "arms": [{"name": "none", "view": None}],
        "empty": {"file": None},
    }
    assert tomllib.loads(dumps(table)) == {
        "split": {"how": "patient", "fractions": [0.7, 0.1, 0.2]},
        "arms": [{"name": "none"}],
        "empty": {},
    }


def test_nan_empty_tables_and_numpy_floats_survive():
    read = tomllib.loads(dumps({"x": math.nan, "empty": {}, "deep": {"empty": {}}, "y": np.float64(0.1)}))
    assert math.isnan(read.pop("x"))
    assert read == {"empty": {}, "deep": {"empty": {}}, "y": 0.1}


@pytest.mark.parametrize("bad", [{"x": object()}, {"x": [None]}, {"x": {"y": b"bytes"}}])
def test_values_that_toml_cannot_hold_are_refused(bad: dict[str, object]):
    with pytest.raises(TypeError, match="TOML"):
        dumps(bad)
