"""Text from elsewhere in a form that a terminal shows and does not obey."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Replace control characters, such as those that begin an escape sequence; tabs and line breaks are kept.

    Args:
        text: any text.

    Returns:
        Text without control characters.

    Example:
        >>> printable("\x1b[31mred\x07")
        '\\x1b[31mred\\x07'
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in "\n\t " else each.encode("unicode_escape").decode() for each in text
    )
