"""What a reader said while looking: which finding a fixation belongs to, by the time of the words that name it.

Readers look before they speak; so a fixation belongs to a finding that is named within some seconds after it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.data.sources.negation import is_negated, tokenize
from ggcam.errors import ConfigError, MissingFileError

VOCABULARY = Path(__file__).with_name("vocabulary.toml")
"""The words of both data sets, a table each."""

Vocabulary = Mapping[str, Sequence[str]]
"""Finding -> phrases that name it."""


@dataclass(frozen=True)
class Word:
    """A word as it was said; "." ends a sentence."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Mention:
    """A finding that was named."""

    finding: str
    start_s: float
    end_s: float


def read_vocabulary(path: Path | None, source: str) -> Vocabulary:
    """Read a TOML file of `finding = ["phrase", ...]`, or the source's table of the one that comes along.

    Raises:
        MissingFileError: there is no such file.
        ConfigError: it is not of that form.
    """
    try:
        content = tomllib.loads((path or VOCABULARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError("there is no such vocabulary", where=path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("the vocabulary is no TOML", where=path, got=error) from None
    found = content if path else content[source]
    for finding, phrases in found.items():
        if not isinstance(phrases, list) or not all(isinstance(each, str) and each.strip() for each in phrases):
            raise ConfigError(
                "a finding has no list of phrases", where=path, expected=f'"{finding}" = ["phrase", ...]', got=phrases
            )
    return found


def find_mentions(words: Sequence[Word], vocabulary: Vocabulary) -> list[Mention]:
    """Each place where a finding is named and not negated, in order of time.

    What counts as a negation is told in :mod:`ggcam.data.sources.negation`.
    """
    tokens = tokenize([word.text for word in words])
    spoken = [token.text for token in tokens]
    found = [
        Mention(finding, words[at].start_s, words[at + len(phrase) - 1].end_s)
        for finding, phrases in vocabulary.items()
        for phrase in (text.lower().split() for text in phrases)
        for at in range(len(words) - len(phrase) + 1)
        if all(map(_matches, phrase, spoken[at : at + len(phrase)])) and not is_negated(tokens, at, at + len(phrase))
    ]
    return sorted(found, key=lambda mention: (mention.start_s, mention.end_s, mention.finding))


def _matches(pattern: str, word: str) -> bool:
    return word.startswith(pattern[:-1]) if pattern.endswith("*") else word == pattern


def label_fixations(
    start_s: Float[np.ndarray, " n"], end_s: Float[np.ndarray, " n"], mentions: Sequence[Mention], window_s: float
) -> Shaped[np.ndarray, " n"]:
    """The finding of each fixation, "" for none.

    A fixation belongs to a finding if any of it falls between `window_s` before the naming begins and its end; to the
    one whose naming begins nearest to the fixation's middle, if that holds for several.

    Args:
        start_s: of each fixation, in the clock of the mentions; NaN where unknown.
        end_s: the same.
        mentions: see :func:`find_mentions`.
        window_s: how long before it is named a finding is looked at; 0 or more.

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
