"""Images with any number of findings each -> classes and labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ggcam.data.case import Label
from ggcam.errors import DataError, join_limited

NO_FINDING = "no finding"
"""Name, in lower case, under which data sets list an image without any finding."""

SEPARATOR = "|"
"""Character between the labels of an image."""


def split_labels(text: str) -> tuple[str, ...]:
    """Split joined labels.

    Args:
        text: labels joined by '|'.

    Returns:
        The distinct labels in their order; none for an empty text.

    Example:
        >>> split_labels("Mass | Effusion|Mass")
        ('Mass', 'Effusion')
    """
    return tuple(dict.fromkeys(label.strip() for label in text.split(SEPARATOR) if label.strip()))


def label_images(names: Sequence[Sequence[str]], where: Path) -> tuple[tuple[str, ...], tuple[Label, ...]]:
    """Return classes and labels: one class per image if each image has exactly one label, else several labels.

    With several labels, "No Finding" is not a class: such an image is negative for every class.

    Args:
        names: labels of each image.
        where: the file, for messages.

    Returns:
        Names of the classes, sorted; and the label of each image, as in :class:`ggcam.data.case.Case`.

    Raises:
        DataError: there are fewer than two classes.
    """
    if all(len(of_image) == 1 for of_image in names):
        class_names = sort_classes({of_image[0] for of_image in names}, where)
        index_of = {name: index for index, name in enumerate(class_names)}
        return class_names, tuple(index_of[of_image[0]] for of_image in names)
    findings = {name for of_image in names for name in of_image if name.lower() != NO_FINDING}
    class_names = sort_classes(findings, where)
    return class_names, multi_labels(names, class_names)


def multi_labels(names: Sequence[Sequence[str]], class_names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return 1 for each class that an image has, and 0 for each other one.

    Args:
        names: labels of each image.
        class_names: names of the classes.

    Returns:
        One tuple per image.

    Example:
        >>> multi_labels([["b"], []], ["a", "b"])
        ((0, 1), (0, 0))
    """
    return tuple(tuple(int(name in set(of_image)) for name in class_names) for of_image in names)


def sort_classes(names: set[str], where: Path) -> tuple[str, ...]:
    """Sort class names; as numbers if all are whole numbers.

    Args:
        names: the distinct names.
        where: the file or folder, for the message.

    Returns:
        The sorted names.

    Raises:
        DataError: there are fewer than two.
    """
    ordered = sorted(names)
    if all(re.fullmatch(r"-?\d+", name) for name in ordered):
        ordered.sort(key=int)
    if len(ordered) < 2:
        raise DataError("a classifier needs at least two classes", where=where, got=join_limited(ordered) or "none")
    return tuple(ordered)
