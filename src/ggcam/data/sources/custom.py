"""A user's own source: a function that takes the raw folder and returns a Source."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from ggcam.data.case import Source
from ggcam.errors import ConfigError, DataError, GGCamError

ReadFunction = Callable[..., Source]
"""A function of a folder and options that returns a Source."""


def call_custom(function: ReadFunction, name: str, root: Path, options: Mapping[str, object]) -> Source:
    """Call a user's function and check what it returns.

    Args:
        function: the user's function.
        name: name of the function, for messages.
        root: folder of the raw data, passed as the first argument.
        options: further arguments, by name.

    Returns:
        What the function returned.

    Raises:
        ConfigError: the function returned something other than a Source.
        DataError: the function raised an exception, or a case has an attribute of another type than it must have.
    """
    try:
        source = function(root, **options)
    except GGCamError:
        raise
    except Exception as error:  # the user's code may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise DataError(
            f"the source {name} failed", where=f"{last.filename}:{last.lineno}", got=f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(source, Source):
        raise ConfigError(
            f"the source {name} did not return a Source", expected="ggcam.Source(...)", got=type(source).__name__
        )
    for case in source.cases:
        expected_types = {"case_id": str, "patient_id": str, "label": (int, tuple), "image": Path}
        for attribute, kind in expected_types.items():
            value = getattr(case, attribute)
            if not isinstance(value, kind):
                names = kind.__name__ if isinstance(kind, type) else " or ".join(each.__name__ for each in kind)
                raise DataError(
                    f"a case has a {attribute} of the wrong type",
                    where=f"{name}, case {case.case_id}",
                    expected=names,
                    got=f"{value!r} ({type(value).__name__})",
                )
    return source
