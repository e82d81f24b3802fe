"""Whether a finding that a report names is said to be there: "no effusion", "effusion has resolved".

After NegEx (Chapman et al., Journal of Biomedical Informatics 34, 301-310, 2001): words before a finding negate it and
all that is listed after it, until the sentence ends or turns ("but"); words soon after it negate it alone. What is
merely unlikely counts as absent; what is possible, or cannot be excluded, as present.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

BEFORE = frozenset(["no", "not", "without", "neither", "nor", "negative", "free", "absent", "cleared", "resolved"])
"""Words that negate what comes after them."""

GONE = frozenset(["absent", "cleared", "excluded", "resolved", "ruled", "unlikely"])
"""Words that negate what stands before them, unless they are negated themselves; or the one thing after them."""

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
"""After "not": what stands before is not there."""

CHANGE = frozenset(["change", "changed", "changes", "decrease", "improvement", "increase", "only", "worsening"])
"""After a negation: the finding is there as it was ("no change in the effusion"), or there and more ("not only")."""

TURNS = frozenset(
    ["although", "apart", "aside", "besides", "but", "except", "however", "there", "though", "which", "yet"]
)
"""Words at which a negation ends."""

REACH_AFTER_WORDS = 8
_AUXILIARIES = frozenset(["are", "be", "been", "has", "have", "is", "was", "were"])
_PREPOSITIONS = frozenset(
    ["about", "above", "along", "at", "below", "for", "from", "in", "near", "of", "on", "to", "within"]
)


class Token(NamedTuple):
    """A word as it is compared, and the mark (".", ",") that follows it."""

    text: str
    mark: str


def tokenize(words: Sequence[str]) -> list[Token]:
    """One for each word, of lower-case letters and digits; empty for a mark that stands alone."""
    return [Token(re.sub(r"[^a-z0-9.-]", "", word.lower()).strip("."), _mark(word)) for word in words]


def _mark(word: str) -> str:
    return word[-1] if word.endswith((".", ",", ";", "?")) else ""


def is_negated(tokens: Sequence[Token], begin: int, end: int) -> bool:
    """Whether the finding that tokens `begin` up to `end` name is said to be absent."""
    return _before(tokens, begin) or _after(tokens, end)


def _before(tokens: Sequence[Token], begin: int) -> bool:
    join_limited = False
    for at in range(begin - 1, -1, -1):
        word, mark = tokens[at]
        join_limited = join_limited or bool(mark)
        if mark in (".", "?") or word in TURNS or _begins_a_clause(tokens, at):
            return False
        # "Resolved edema, new effusion" says nothing against the effusion.
        if word in BEFORE and not (word in GONE and join_limited) and not _of_what_came_before(tokens, at):
            return not any(token.text in CHANGE for token in tokens[at + 1 : min(begin, at + 4)])
    return False


def _begins_a_clause(tokens: Sequence[Token], at: int) -> bool:
    """Such as "no effusion, the heart is enlarged", but not "no effusion in the left lung"."""
    return tokens[at].text == "the" and at > 0 and tokens[at - 1].text not in _PREPOSITIONS | BEFORE


def _of_what_came_before(tokens: Sequence[Token], at: int) -> bool:
    """Such as "is not seen", "has resolved"; "free" without "of" and "negative" without "for" negate nothing either."""
    word = tokens[at].text
    following = [token.text for token in tokens[at + 1 : at + 3]]
    if word == "not":
        return any(each in SEEN for each in following) and at > 0 and tokens[at - 1].text in _AUXILIARIES
    if word in ("free", "negative"):
        return following[:1] not in (["of"], ["from"], ["for"])
    return word in GONE and at > 0 and tokens[at - 1].text in _AUXILIARIES


def _after(tokens: Sequence[Token], end: int) -> bool:
    for at in range(end, min(end + REACH_AFTER_WORDS, len(tokens))):
        word = tokens[at].text
        if tokens[at - 1].mark or word in TURNS or word in ("and", "with"):
            return False
        if word in ("not", "cannot"):
            return any(token.text in SEEN for token in tokens[at + 1 : at + 3])
        if word in GONE:
            return True
    return False
