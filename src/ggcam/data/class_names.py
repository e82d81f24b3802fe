"""The rules for names of classes."""

from __future__ import annotations

from collections.abc import Sequence

from ggcam.errors import GGCamError, PreparedFolderError

MAX_NAME = 200
"""Maximum number of letters in the name of a class."""


def check_class_names(class_names: Sequence[str], where: object, error: type[GGCamError] = PreparedFolderError) -> None:
    """Check the names of classes.

    Args:
        class_names: the names.
        where: their origin, for messages.
        error: type of the error.

    Raises:
        GGCamError: of the type `error`; there are no classes, or a name is empty, repeated or too long.
    """
    longest = max(map(len, class_names), default=0)
    if not class_names or "" in class_names or longest > MAX_NAME or len(set(class_names)) < len(class_names):
        raise error(
            "the names of the classes are invalid",
            where=where,
            expected=f"different names of 1 to {MAX_NAME} letters",
            got=f"{len(class_names):,} names, {len(set(class_names)):,} of them different, up to {longest:,} letters",
        )
