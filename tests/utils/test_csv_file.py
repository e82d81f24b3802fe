"""Growing CSV files: what was appended is read back, and an interruption at any byte loses only the row that it cut."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.utils.csv_file import GrowingCsv, read_whole_rows
from ggcam.utils.csv_text import csv_cell, csv_text

COLUMNS = ("name", "probability_=a")
ROWS = [{"name": 'a "quoted"\nname', "probability_=a": 0.1 + 0.2}, {"name": "=1+1,b"}, {"name": "ç", COLUMNS[1]: 1e-7}]


def test_appended_rows_are_those_of_the_whole_table(tmp_path):
    table = GrowingCsv(tmp_path / "a.csv", COLUMNS)
    assert not (tmp_path / "a.csv").exists()
    for rows in (ROWS[:1], [], ROWS[1:]):
        table.append(rows)
    assert (tmp_path / "a.csv").read_text() == csv_text(pd.DataFrame(ROWS, columns=list(COLUMNS)))
    GrowingCsv(tmp_path / "a.csv", COLUMNS, ROWS[:1])
    assert len(read_whole_rows(tmp_path / "a.csv", COLUMNS)) == 1
    GrowingCsv(tmp_path / "a.csv", COLUMNS)
    assert not (tmp_path / "a.csv").exists()


def test_a_cut_at_any_byte_loses_only_the_rows_behind_it(tmp_path):
    path = tmp_path / "a.csv"
    GrowingCsv(path, COLUMNS, ROWS)
    content = path.read_bytes()
    whole = read_whole_rows(path, COLUMNS)
    assert [row["name"] for row in whole] == [csv_cell(row["name"]) for row in ROWS]
    ends = [len(csv_text(pd.DataFrame(ROWS[:n], columns=list(COLUMNS))).encode()) for n in range(4)]
    for cut in range(len(content)):
        path.write_bytes(content[:cut])
        assert read_whole_rows(path, COLUMNS) == whole[: max(0, sum(end <= cut for end in ends) - 1)], cut


@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), min_size=1))
def test_any_text_is_read_back_as_it_is_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    GrowingCsv(path, ("a", "b"), [dict(zip("ab", row, strict=True)) for row in rows])
    found = read_whole_rows(path, ("a", "b"))
    assert [(row["a"], row["b"]) for row in found] == [(csv_cell(a), csv_cell(b)) for a, b in rows]


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", b"\xff\xfe", b"name"])
def test_other_files_have_no_rows(tmp_path: Path, content: bytes):
    (tmp_path / "a.csv").write_bytes(content)
    assert read_whole_rows(tmp_path / "a.csv", COLUMNS) == []
    assert read_whole_rows(tmp_path / "b.csv", COLUMNS) == []
