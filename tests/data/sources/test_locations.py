import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.sources.dictation import Word, find_mentions
from ggcam.data.sources.locations import HEIGHT_WORDS, SIDE_WORDS, find_locations
from ggcam.data.sources.negation import tokenize
from ggcam.gaze.mentions import HEIGHTS, SIDES

VOCABULARY = {
    "effusion": ["effusion*", "pleural effusion*"],
    "consolidation": ["consolidat*", "pneumonia"],
    "nodule": ["nodule*"],
    "edema": ["edema"],
}


def places(text: str) -> set[tuple[str, str, str]]:
    words = [Word(word, float(at), at + 0.5) for at, word in enumerate(text.split())]
    return {(mention.finding, mention.side, mention.height) for mention in find_mentions(words, VOCABULARY)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Small left pleural effusion .", {("effusion", "left", "")}),
        ("Effusion on the right.", {("effusion", "right", "")}),
        ("Right-sided effusion", {("effusion", "right", "")}),
        ("Bibasilar consolidation", {("consolidation", "both", "lower")}),
        ("consolidation at both bases", {("consolidation", "both", "lower")}),
        ("consolidation in the left and right lungs", {("consolidation", "both", "")}),
        ("right apical nodule .", {("nodule", "right", "upper")}),
        ("retrocardiac consolidation", {("consolidation", "left", "lower")}),
        ("upper and lower lobe consolidation", {("consolidation", "", "")}),
        ("consolidation", {("consolidation", "", "")}),
        # Each finding has the words of its own part of the sentence.
        (
            "left effusion and right lower lobe consolidation",
            {("effusion", "left", ""), ("consolidation", "right", "lower")},
        ),
        (
            "effusion on the left and consolidation on the right .",
            {("effusion", "left", ""), ("consolidation", "right", "")},
        ),
        ("left effusion , right nodule", {("effusion", "left", ""), ("nodule", "right", "")}),
        ("effusion . The right lung is clear", {("effusion", "", "")}),
        ("effusion? right nodule", {("effusion", "", ""), ("nodule", "right", "")}),
        # A part without a finding belongs to the nearest one.
        ("patchy opacity in the right lung , concerning for pneumonia .", {("consolidation", "right", "")}),
        ("edema , worse on the left", {("edema", "left", "")}),
        # Negated words and findings.
        ("consolidation in the left upper lobe , not the right", {("consolidation", "left", "upper")}),
        ("no left effusion but consolidation", {("consolidation", "", "")}),
        ("no change in the left effusion", {("effusion", "left", "")}),
        ("no right effusion , but there is a left nodule", {("nodule", "left", "")}),
    ],
)
def test_places_are_read_from_the_sentence(text, expected):
    assert places(text) == expected


@given(st.lists(st.sampled_from([*SIDE_WORDS, *HEIGHT_WORDS, "effusion", "and", "no", ".", ",", "lung,", ""])))
def test_any_text_gives_known_places(words):
    tokens = tokenize(words)
    findings = [(at, at + 1) for at, token in enumerate(tokens) if token.text == "effusion"]
    found = find_locations(tokens, findings)
    assert len(found) == len(findings)
    assert all(place.side in SIDES and place.height in HEIGHTS for place in found)


def test_every_word_is_lower_case_and_known_to_the_tokenizer():
    for word in [*SIDE_WORDS, *HEIGHT_WORDS]:
        assert tokenize([word])[0].text == word
