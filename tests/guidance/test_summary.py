"""A method in one line."""

from __future__ import annotations

from ggcam.guidance import GUIDANCES, Guidance
from ggcam.guidance.summary import summarise


class Mine(Guidance):
    """A guidance of one's own.

    With a longer description.
    """

    source = "nowhere"

    def __init__(self, weight: float = 1.0, level: float = 0.5, *, power: int):
        super().__init__(weight)


def test_what_a_class_says_about_itself_is_collected():
    found = summarise("mine", Mine)
    assert found == ("mine", "A guidance of one's own.", "-", ("level=0.5", "power"), "nowhere")


def test_needs_are_joined():
    assert summarise("none", GUIDANCES["none"]).needs == "-"
    assert summarise("rrr", GUIDANCES["rrr"]).needs == "attention; no --compile, no --checkpointing"
    assert summarise("abn", GUIDANCES["abn"]).needs == "attention; a head of its own"
