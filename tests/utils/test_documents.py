"""Text, JSON and TOML files are read, or refused with one kind of error, whatever is in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.errors import MissingFileError, RunFolderError
from ggcam.utils.documents import MAX_DEPTH, parse_json, read_json, read_text, read_toml

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected: valid JSON\n  got: end at line 1, column 1"),
        (b'{"a": }', r"expected: valid JSON\n  got: '}' at line 1, column 7"),
        (b'{"a": "\xe9"}', r"expected: text in UTF-8\n  got: byte 0xe9 at position 7"),
        (b"\xff\xfe{\x00}\x00", "expected: text in UTF-8"),
        (b'{"a": NaN}', r"got: NaN, which JSON does not have"),
        (b'{"a": ' + b"1" * 5000 + b"}", "got: an integer with thousands of digits"),
        (b"[1]", r"expected: a JSON object\n  got: list"),
        (b"null", "expected: a JSON object"),
        (b'{"a": ' + DEEP.encode(), "nested brackets"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested brackets"),
    ],
)
def test_damaged_json_is_refused_with_the_place(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match=rf"the file is damaged\n  where: .*a.json\n(.|\n)*{message}") as caught:
        read_json(path, RunFolderError, "write it again")
    assert str(caught.value).endswith("hint: write it again")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = ", r"a.toml, .*\n  expected: valid TOML"),
        (b"a = 1\na = 2\n", r"a.toml, line 2, column \d+\n  expected: valid TOML\n  got: Cannot overwrite a value"),
        (b"a = '\xe9'", "expected: text in UTF-8"),
        (b"a = 2020-13-45", "expected: valid TOML"),
        (b"a = " + b"1" * 5000, "got: an integer with thousands of digits"),
        (b"a = " + DEEP.encode(), "nested brackets"),
        (b"a = " + b"[" * 60 + b"]" * 60, "nested brackets"),
    ],
)
def test_damaged_toml_is_refused_with_the_place(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match=rf"the file is damaged\n  where: (.|\n)*{message}"):
        read_toml(path, RunFolderError)


def test_what_is_no_file_of_a_reasonable_size_is_refused(tmp_path: Path):
    with pytest.raises(MissingFileError, match="does not exist"):
        read_text(tmp_path / "nothing")
    with pytest.raises(RunFolderError, match="a folder is in the place of a file"):
        read_text(tmp_path, RunFolderError)
    (tmp_path / "large").write_bytes(b"a" * 11)
    with pytest.raises(RunFolderError, match=r"too large(.|\n)*at most 10 bytes\n  got: 11 bytes"):
        read_text(tmp_path / "large", RunFolderError, max_bytes=10)
    assert read_text(tmp_path / "large", max_bytes=11) == "a" * 11


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(values)
def test_json_that_was_written_is_read_back(value: object):
    assert parse_json(json.dumps(value), "a.json") == value


def test_the_allowed_depth_is_exact():
    allowed = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_json(allowed, "a.json") == json.loads(allowed)
    with pytest.raises(RunFolderError, match=f"at most {MAX_DEPTH} levels"):
        parse_json(f"[{allowed}]", "a.json", RunFolderError)
