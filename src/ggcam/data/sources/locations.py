"""Words for a place ("left", "basal", "upper lobe") in a dictation, and the findings that they belong to.

A word belongs to the nearest finding in the same part of the sentence, which ends at a comma or at "and" or "with"; in
a part without a finding, to the nearest one in the sentence. Negated findings take their words with them: "no left
effusion, but atelectasis on the right" says nothing about the left side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ggcam.data.sources.negation import TERMINATORS, Token, is_negated
from ggcam.gaze.mentions import Height, Side

BOTH_SIDES = frozenset(["bilateral", "bilaterally", "both", "bibasal", "bibasilar", "biapical"])
"""Words for both sides of the patient."""

SIDE_WORDS: dict[str, Side] = {
    "left": "left",
    "lingula": "left",
    "lingular": "left",
    "retrocardiac": "left",  # the heart covers a part of the left lower lobe
    "right": "right",
    **dict.fromkeys(BOTH_SIDES, "both"),
}
"""Word -> the patient's side."""

HEIGHT_WORDS: dict[str, Height] = {
    **dict.fromkeys(["apex", "apical", "apices", "biapical", "suprahilar", "upper"], "upper"),
    **dict.fromkeys(["hila", "hilar", "hilum", "mid", "middle", "perihilar"], "middle"),
    **dict.fromkeys(["basal", "base", "bases", "basilar", "bibasal", "bibasilar", "costophrenic"], "lower"),
    **dict.fromkeys(["infrahilar", "lower", "retrocardiac"], "lower"),
}
"""Word -> part of the lungs."""

_BARRIERS = TERMINATORS | {"and", "or", "with"}


class Location(NamedTuple):
    """Where a finding is, as far as the sentence tells.

    Attributes:
        side: the patient's side.
        height: part of the lungs.
    """

    side: Side
    height: Height


def find_locations(tokens: Sequence[Token], findings: Sequence[tuple[int, int]]) -> list[Location]:
    """Find what a dictation says about the place of each finding.

    Args:
        tokens: the text.
        findings: index of the first token that names each finding, and index after the last one; negated findings
            included. Findings that overlap share their words.

    Returns:
        One location per finding.
    """
    words: list[set[str]] = [set() for _ in findings]
    for at, token in enumerate(tokens):
        named = {part for part in token.text.split("-") if part in SIDE_WORDS or part in HEIGHT_WORDS}
        if not named or is_negated(tokens, at, at + 1):
            continue
        distances = [_distance(tokens, at, *finding) for finding in findings]
        nearest = min((each for each in distances if each is not None), default=None)
        if nearest is None:
            continue
        begin, end = findings[distances.index(nearest)]
        for own, (first, last) in zip(words, findings, strict=True):
            if first < end and begin < last:
                own |= named
    return [_location(own) for own in words]


def _distance(tokens: Sequence[Token], at: int, begin: int, end: int) -> tuple[bool, int, bool] | None:
    """Distance of a word from a finding, as a key to sort by; None if they are in different sentences."""
    if begin <= at < end:
        return (False, 0, False)
    between = range(at, begin) if at < begin else range(end - 1, at)  # tokens whose punctuation lies between
    if any(tokens[index].punctuation in (".", "?") for index in between):
        return None
    is_apart = any(tokens[index].punctuation or tokens[index].text in _BARRIERS for index in between)
    return (is_apart, len(between), at >= end)


def _location(words: set[str]) -> Location:
    sides: set[Side] = {SIDE_WORDS[word] for word in words if word in SIDE_WORDS}
    heights: set[Height] = {HEIGHT_WORDS[word] for word in words if word in HEIGHT_WORDS}
    side: Side = "both" if sides else ""
    height: Height = ""
    if len(sides) == 1:
        (side,) = sides
    if len(heights) == 1:
        (height,) = heights
    return Location(side, height)
