"""Words for the splits in tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from ggcam.data.split_words import read_splits
from ggcam.data.tables import Table, read_table
from ggcam.errors import TableError


def table(tmp_path: Path, *words: str) -> Table:
    path = tmp_path / "table.csv"
    path.write_text("split,id\n" + "".join(f"{word},x\n" for word in words))
    return read_table(path, ["split"])


def test_synonyms_and_upper_case_are_understood(tmp_path: Path):
    words = ("train", "Training", "val", "valid", "VALIDATE", "validation", "test")
    assert read_splits(table(tmp_path, *words)) == [*["train"] * 2, *["valid"] * 4, "test"]


def test_missing_values_are_refused_unless_allowed(tmp_path: Path):
    assert read_splits(table(tmp_path, "train", ""), allow_blank=True) == ["train", None]
    with pytest.raises(TableError, match=r"unknown split\n  where: .*table.csv:3\n  expected: train, valid, test\n"):
        read_splits(table(tmp_path, "train", ""))


@pytest.mark.parametrize("allow_blank", [False, True])
def test_unknown_words_are_refused(tmp_path: Path, allow_blank: bool):
    with pytest.raises(TableError, match=r"unknown split(.|\n)*'dev'"):
        read_splits(table(tmp_path, "test", "dev"), allow_blank)
