"""Coded terms of the DICOM objects, and texts that fit the value representations of DICOM."""

from __future__ import annotations

import hashlib

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

SCHEME = "99GGCAM"
"""Designator of our coding scheme; those of private schemes start with 99 (PS3.3, section 8.2)."""

CODING_SCHEME = CodingSchemeIdentificationItem(
    designator=SCHEME, name="Classes and evaluations of ggcam", responsible_organization="The ggcam developers"
)

_MAX_MEANING = 64
_MAX_SHORT = 16


def own_code(value: str, meaning: str) -> CodedConcept:
    """Make a code of our own coding scheme.

    Args:
        value: code value, at most 16 characters.
        meaning: code meaning; shortened to 64 characters.

    Returns:
        The code.
    """
    return CodedConcept(value, SCHEME, long_string(meaning))


def class_code(name: str) -> CodedConcept:
    """Make the code of a class, the same in every run that has a class of this name.

    Args:
        name: name of the class.

    Returns:
        The code.
    """
    return own_code("C" + hashlib.sha256(name.encode()).hexdigest()[:12], name)


def long_string(text: str) -> str:
    r"""Convert a text to a Long String (LO): one line of at most 64 characters, no backslash.

    Args:
        text: any text.

    Returns:
        The text, shortened with an ellipsis if it is too long.

    Example:
        >>> long_string("a\\b\n"), len(long_string(100 * "x"))
        ('a/b', 64)
    """
    return _fit(text, _MAX_MEANING)


def short_string(text: str) -> str:
    """Convert a text to a Short String (SH): as for :func:`long_string`, but of at most 16 characters.

    Args:
        text: any text.

    Returns:
        The text, shortened with an ellipsis if it is too long.
    """
    return _fit(text, _MAX_SHORT)


def _fit(text: str, limit: int) -> str:
    line = "".join(each if each.isprintable() else " " for each in text.replace("\\", "/")).strip() or "?"
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
