"""Nothing that a terminal obeys is left in a text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ggcam.utils.printable import printable


@given(st.text())
def test_no_control_character_is_left_but_tabs_and_line_breaks(text: str):
    shown = printable(text)
    assert all(each.isprintable() or each in "\n\t" for each in shown)
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


def test_escape_sequences_are_shown():
    assert printable("a\x1b]0;title\x07\x9b31m\x7f") == r"a\x1b]0;title\x07\x9b31m\x7f"
    assert printable("größer\n心") == "größer\n心"
