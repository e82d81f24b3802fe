from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ggcam.utils.documents import parse_json, read_json
from ggcam.utils.json_files import format_json, write_json

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_what_was_formatted_is_read_back(content: dict[str, object]):
    text = format_json(content)
    assert parse_json(text, "here") == content
    assert text.endswith("}\n")


def test_a_file_replaces_the_one_before_in_a_folder_that_need_not_exist(tmp_path: Path):
    path = tmp_path / "new" / "run.json"
    write_json(path, {"before": 1})
    write_json(path, {"classes": ("CHF", "pneumonia")})
    assert read_json(path) == {"classes": ["CHF", "pneumonia"]}
    assert [each.name for each in path.parent.iterdir()] == ["run.json"]
