"""Findings named in a dictation, and the fixations that belong to them by time.

Readers look before they speak: a fixation belongs to a finding that is named during it or a few seconds after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.data.sources.locations import find_locations
from ggcam.data.sources.negation import is_negated, tokenize
from ggcam.errors import ConfigError
from ggcam.gaze.mentions import Mention
from ggcam.utils.documents import read_toml

VOCABULARY = Path(__file__).with_name("vocabulary.toml")
"""The built-in phrases, one table per source."""

Vocabulary = Mapping[str, Sequence[str]]
"""Finding -> phrases that name it."""


@dataclass(frozen=True)
class Word:
    """A dictated word; "." ends a sentence.

    Attributes:
        text: the word.
        start_s: start, in seconds.
        end_s: end, in seconds.
    """

    text: str
    start_s: float
    end_s: float


def read_vocabulary(path: Path | None, source: str) -> Vocabulary:
    """Read the phrases that name each finding.

    Args:
        path: TOML file of `finding = ["phrase", ...]`; None for the built-in one.
        source: name of the source, which selects a table of the built-in vocabulary.

    Returns:
        Finding -> phrases.

    Raises:
        MissingFileError: the file does not exist.
        ConfigError: the file does not have this form.
    """
    content = read_toml(path or VOCABULARY, ConfigError)
    vocabulary = content if path else content[source]
    for finding, phrases in vocabulary.items():
        if not isinstance(phrases, list) or not all(isinstance(each, str) and each.strip() for each in phrases):
            raise ConfigError(
                "a finding has no list of phrases", where=path, expected=f'"{finding}" = ["phrase", ...]', got=phrases
            )
    return vocabulary


def find_mentions(words: Sequence[Word], vocabulary: Vocabulary) -> list[Mention]:
    """Find every place where a finding is named and not negated, and what the sentence says about where it is.

    See :mod:`ggcam.data.sources.negation` and :mod:`ggcam.data.sources.locations`.

    Args:
        words: the dictation.
        vocabulary: phrases that name each finding, in any case; a word that ends with * matches every word that starts
            with it.

    Returns:
        The mentions in order of time.
    """
    tokens = tokenize([word.text for word in words])
    texts = [token.text for token in tokens]
    found = [
        (finding, at, at + len(phrase))
        for finding, phrases in vocabulary.items()
        for phrase in (text.lower().split() for text in phrases)
        for at in range(len(words) - len(phrase) + 1)
        if all(map(_matches, phrase, texts[at : at + len(phrase)]))
    ]
    locations = find_locations(tokens, [(begin, end) for _, begin, end in found])
    mentions = [
        Mention(finding, words[begin].start_s, max(words[begin].start_s, words[end - 1].end_s), *location)
        for (finding, begin, end), location in zip(found, locations, strict=True)
        if not is_negated(tokens, begin, end)
    ]
    return sorted(mentions, key=lambda mention: (mention.start_s, mention.end_s, mention.finding))


def _matches(pattern: str, word: str) -> bool:
    return word.startswith(pattern[:-1]) if pattern.endswith("*") else word == pattern


def label_fixations(
    start_s: Float[np.ndarray, " n"], end_s: Float[np.ndarray, " n"], mentions: Sequence[Mention], window_s: float
) -> Shaped[np.ndarray, " n"]:
    """Label fixations with the findings that are named during them or shortly after them.

    A fixation belongs to a mention if any part of it lies between `window_s` before the start of the mention and its
    end; if there are several, to the one whose start is nearest to the middle of the fixation.

    Args:
        start_s: start of each fixation, on the clock of the mentions; NaN where unknown.
        end_s: end of each fixation.
        mentions: the mentions, see :func:`find_mentions`.
        window_s: maximum time from a fixation to the mention of its finding, 0 or more.

    Returns:
        Finding of each fixation, "" for none; shape (n,).

    Raises:
        ConfigError: the window is negative.
    """
    if not window_s >= 0:
        raise ConfigError("the window must be 0 s or more", where="--dictation-window-s", got=window_s)
    if not mentions or not len(start_s):
        return np.full(len(start_s), "", dtype=np.str_)
    begin, end = (np.array([getattr(mention, name) for mention in mentions]) for name in ("start_s", "end_s"))
    belongs = (end_s[:, None] >= begin - window_s) & (start_s[:, None] <= end)
    distance = np.where(belongs, np.abs((start_s + end_s)[:, None] / 2 - begin), np.inf)
    nearest = np.array([mention.finding for mention in mentions], dtype=np.str_)[distance.argmin(axis=1)]
    return np.where(belongs.any(axis=1), nearest, "")
