import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.data.sources.dictation import (
    VOCABULARY,
    Mention,
    Word,
    find_mentions,
    label_fixations,
    read_vocabulary,
)
from ggcam.data.sources.egd_cxr import CLASS_NAMES as EGD_CLASSES
from ggcam.data.sources.reflacx_labels import CLASS_NAMES
from ggcam.errors import ConfigError


def words(text):
    return [Word(word, float(at), at + 0.5) for at, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Small left pleural effusion .", {"Pleural abnormality"}),
        ("No pleural effusion or pneumothorax .", set()),
        ("No effusion . Pneumothorax on the right", {"Pneumothorax"}),
        ("no effusion. pneumothorax", {"Pneumothorax"}),
        ("Lungs are free of consolidation , edema .", set()),
        ("Bibasilar atelectatic changes", {"Atelectasis"}),
        ("multiple nodules", {"Lung nodule or mass"}),
        ("massive", set()),
        ("The heart is enlarged", {"Enlarged cardiac silhouette"}),
        ("", set()),
    ],
)
def test_findings_are_recognised_by_their_phrases_unless_negated(text, expected):
    vocabulary = read_vocabulary(None, "reflacx")
    assert {mention.finding for mention in find_mentions(words(text), vocabulary)} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # A negation reaches to the end of a list of any length.
        ("No focal consolidation , pleural effusion , pulmonary edema , or pneumothorax .", set()),
        ("no evidence of acute focal consolidation, large pleural effusion or overt edema. cardiomegaly", {"heart"}),
        ("there is neither effusion nor pneumothorax", set()),
        ("without effusion or edema", set()),
        ("negative for pneumothorax", set()),
        # It ends at a conjunction.
        ("no pneumothorax but a large effusion", {"effusion"}),
        ("No consolidation , however there is edema .", {"edema"}),
        ("no effusion and the heart is enlarged", {"heart"}),
        ("no pneumothorax, there is a left effusion", {"effusion"}),
        ("no effusion in the left lung or pneumothorax", set()),
        ("no consolidation. edema", {"edema"}),
        ("no consolidation ? edema", {"edema"}),
        # Negations after the finding.
        ("pneumothorax is not seen", set()),
        ("effusion or pneumothorax is not identified", set()),
        ("pneumothorax is not seen, small effusion", {"effusion"}),
        ("the effusion has resolved", set()),
        ("the effusion has resolved , edema persists", {"edema"}),
        ("pneumonia is unlikely", set()),
        ("pneumonia has been ruled out", set()),
        ("effusion and pneumothorax has resolved", {"effusion"}),
        # What is possible is not negated.
        ("pneumonia cannot be excluded", {"consolidation"}),
        ("pneumonia is not excluded", {"consolidation"}),
        ("pneumonia not ruled out", {"consolidation"}),
        ("possible consolidation", {"consolidation"}),
        # Nor is a finding that has not changed, or is not the only one.
        ("no change in the left effusion", {"effusion"}),
        ("no significant interval change in effusion", {"effusion"}),
        ("effusion is not changed", {"effusion"}),
        ("not only effusion but edema", {"effusion", "edema"}),
        # "Free" and "negative" negate only with "of" and "for".
        ("free air and an effusion", {"effusion"}),
        ("lungs are free of edema", set()),
        ("resolved edema and effusion", set()),
        ("resolved edema , new effusion", {"effusion"}),
    ],
)
def test_negations_in_typical_phrases(text, expected):
    vocabulary = {
        "effusion": ["effusion*"],
        "edema": ["edema"],
        "consolidation": ["consolidation", "pneumonia"],
        "heart": ["cardiomegaly", "heart is enlarged"],
        "pneumothorax": ["pneumothorax"],
    }
    assert {mention.finding for mention in find_mentions(words(text), vocabulary)} == expected


def test_a_mention_spans_its_phrase():
    found = find_mentions(words("a left Pleural, effusion"), {"P": ["pleural effusion"]})
    assert found == [Mention("P", 2.0, 3.5, side="left")]


def test_the_built_in_vocabulary_has_exactly_the_classes():
    assert set(read_vocabulary(None, "reflacx")) == set(CLASS_NAMES)
    assert set(read_vocabulary(None, "egd_cxr")) == set(EGD_CLASSES) - {"Normal"}
    phrases = [
        each for source in ("reflacx", "egd_cxr") for of in read_vocabulary(None, source).values() for each in of
    ]
    assert all(phrase == phrase.lower() for phrase in phrases)
    assert VOCABULARY.is_file()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.05, 2)), max_size=8),
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 3)), max_size=5),
    st.floats(0, 5),
)
def test_labels_equal_those_of_a_loop(fixations, named, window):
    start = np.array([begin for begin, _ in fixations])
    end = start + np.array([long for _, long in fixations])
    mentions = [Mention(f"m{at}", begin, begin + long) for at, (begin, long) in enumerate(named)]
    expected = []
    for first, last in zip(start, end, strict=True):
        best, nearest = "", np.inf
        for mention in mentions:
            away = abs((first + last) / 2 - mention.start_s)
            if last >= mention.start_s - window and first <= mention.end_s and away < nearest:
                best, nearest = mention.finding, away
        expected.append(best)
    assert label_fixations(start, end, mentions, window).tolist() == expected


def test_a_users_vocabulary_is_read_and_a_malformed_one_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('mass = ["lump"]\n')
    assert read_vocabulary(path, "reflacx") == {"mass": ["lump"]}
    for broken, message in (
        ('mass = "lump"', "no list of phrases"),
        ("mass = [1]", "no list"),
        ("mass", "valid TOML"),
    ):
        path.write_text(broken)
        with pytest.raises(ConfigError, match=message):
            read_vocabulary(path, "reflacx")
