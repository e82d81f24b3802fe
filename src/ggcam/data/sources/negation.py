"""Detect negated findings in a report, such as "no effusion" or "the effusion has resolved".

After NegEx (Chapman et al., Journal of Biomedical Informatics 34, 301-310, 2001). A negation before a finding applies
to all findings listed after it, until the sentence ends or a conjunction such as "but"; a negation soon after a finding
applies to that finding alone. What is unlikely counts as absent; what is possible or cannot be excluded, as present.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

PRE_NEGATIONS = frozenset(
    ["no", "not", "without", "neither", "nor", "negative", "free", "absent", "cleared", "resolved"]
)
"""Words that negate what comes after them."""

POST_NEGATIONS = frozenset(["absent", "cleared", "excluded", "resolved", "ruled", "unlikely"])
"""Words that negate what comes before them, unless negated themselves; or the one finding after them."""

SEEN = frozenset(
    [
        "appreciated",
        "demonstrated",
        "detected",
        "evident",
        "identified",
        "noted",
        "present",
        "seen",
        "visible",
        "visualised",
        "visualized",
    ]
)
"""Words that, after "not", negate what comes before them."""

PSEUDO_NEGATIONS = frozenset(
    ["change", "changed", "changes", "decrease", "improvement", "increase", "only", "worsening"]
)
"""Words that cancel a negation before them: "no change in the effusion", "not only an effusion"."""

TERMINATORS = frozenset(
    ["although", "apart", "aside", "besides", "but", "except", "however", "there", "though", "which", "yet"]
)
"""Words that end the scope of a negation."""

POST_SCOPE_WORDS = 8
"""A negation after a finding is looked for in this many words."""

_AUXILIARIES = frozenset(["are", "be", "been", "has", "have", "is", "was", "were"])
_PREPOSITIONS = frozenset(
    ["about", "above", "along", "at", "below", "for", "from", "in", "near", "of", "on", "to", "within"]
)


class Token(NamedTuple):
    """A normalised word and the punctuation after it.

    Attributes:
        text: lower-case letters and digits; empty for punctuation that stands alone.
        punctuation: ".", ",", ";", "?" or "".
    """

    text: str
    punctuation: str


def tokenize(words: Sequence[str]) -> list[Token]:
    """Normalise the words of a text.

    Args:
        words: the words, with the punctuation after them.

    Returns:
        One token per word.
    """
    return [Token(re.sub(r"[^a-z0-9.-]", "", word.lower()).strip("."), _punctuation(word)) for word in words]


def _punctuation(word: str) -> str:
    return word[-1] if word.endswith((".", ",", ";", "?")) else ""


def is_negated(tokens: Sequence[Token], begin: int, end: int) -> bool:
    """Return whether the text says that a finding is absent.

    Args:
        tokens: the text.
        begin: index of the first token that names the finding.
        end: index after the last one.

    Returns:
        True if a negation before or after the finding applies to it.
    """
    return _negated_before(tokens, begin) or _negated_after(tokens, end)


def _negated_before(tokens: Sequence[Token], begin: int) -> bool:
    in_list = False
    for at in range(begin - 1, -1, -1):
        word, punctuation = tokens[at]
        in_list = in_list or bool(punctuation)
        if punctuation in (".", "?") or word in TERMINATORS or _starts_clause(tokens, at):
            return False
        # "Resolved edema, new effusion" does not negate the effusion.
        if word in PRE_NEGATIONS and not (word in POST_NEGATIONS and in_list) and not _applies_backwards(tokens, at):
            return not any(token.text in PSEUDO_NEGATIONS for token in tokens[at + 1 : min(begin, at + 4)])
    return False


def _starts_clause(tokens: Sequence[Token], at: int) -> bool:
    """Whether a clause starts: at "the" in "no effusion, the heart is enlarged", not in "no effusion in the lung"."""
    return tokens[at].text == "the" and at > 0 and tokens[at - 1].text not in _PREPOSITIONS | PRE_NEGATIONS


def _applies_backwards(tokens: Sequence[Token], at: int) -> bool:
    """Whether a negation applies to what is before it ("is not seen", "has resolved"), or to nothing.

    "Free" without "of" and "negative" without "for" negate nothing.
    """
    word = tokens[at].text
    following = [token.text for token in tokens[at + 1 : at + 3]]
    if word == "not":
        return any(each in SEEN for each in following) and at > 0 and tokens[at - 1].text in _AUXILIARIES
    if word in ("free", "negative"):
        return following[:1] not in (["of"], ["from"], ["for"])
    return word in POST_NEGATIONS and at > 0 and tokens[at - 1].text in _AUXILIARIES


def _negated_after(tokens: Sequence[Token], end: int) -> bool:
    for at in range(end, min(end + POST_SCOPE_WORDS, len(tokens))):
        word = tokens[at].text
        if tokens[at - 1].punctuation or word in TERMINATORS or word in ("and", "with"):
            return False
        if word in ("not", "cannot"):
            return any(token.text in SEEN for token in tokens[at + 1 : at + 3])
        if word in POST_NEGATIONS:
            return True
    return False
