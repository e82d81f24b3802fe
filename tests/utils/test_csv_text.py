"""No cell of a CSV file is a formula, and everything else is read back as it was."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.utils.csv_text import csv_text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("x")', "=cmd|' /C x'!A0"])
def test_formulas_in_cells_and_names_of_columns_become_text(text: str):
    read = pd.read_csv(io.StringIO(csv_text(pd.DataFrame({text: [text]}))), keep_default_na=False)
    assert read.columns[0] == read.iat[0, 0] == f"'{text}".replace("\r", "\n")


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")).map(lambda text: f"a{text}"), min_size=1)
)
def test_other_text_is_read_back(values: list[str]):
    text = csv_text(pd.DataFrame({"text": values, "number": -1.5}))
    read = pd.read_csv(io.StringIO(text), keep_default_na=False)
    assert read["text"].tolist() == values
    assert (read["number"] == -1.5).all()
