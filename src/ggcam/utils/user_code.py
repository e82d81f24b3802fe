"""Objects from the user's own Python files, named as "my_module:name"."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from ggcam.errors import ConfigError


def is_reference(text: str) -> bool:
    """Return whether a text has the form "my_module:name".

    Args:
        text: the text.

    Returns:
        True for a reference to an object in a module, "package.module:name" included.
    """
    module, colon, name = text.partition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def import_object(reference: str, option: str) -> Any:
    """Import an object that the user names.

    The module is looked for on Python's path, then in the current directory. Importing it runs its code, so call this
    only for a name that the user typed, never for one that came with a file.

    Args:
        reference: module and object, such as "my_module:read".
        option: option that takes the reference, for messages; such as "--source".

    Returns:
        The object.

    Raises:
        ConfigError: the reference is malformed, the module cannot be imported, or it has no such object.
    """
    where = f"{option} {reference}"
    if not is_reference(reference):
        raise ConfigError("not a reference to an object in a Python module", where=where, expected="my_module:name")
    module_name, _, name = reference.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)  # last, so that a file there never shadows an installed package
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(f"the module {module_name} cannot be imported", where=where, got=error) from error
        raise ConfigError(
            f"there is no module {error.name}",
            where=where,
            expected=f"{error.name}.py in {folder}, or an installed package",
            hint=f"run the command in the folder of {error.name}.py, or add that folder to PYTHONPATH",
        ) from None
    except Exception as error:  # the user's file may raise anything
        got = f"{type(error).__name__}: {error}"
        raise ConfigError(f"the module {module_name} cannot be imported", where=where, got=got) from error
    if not hasattr(module, name):
        public = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise ConfigError(
            f"the module {module_name} has no {name}", where=where, expected=f"one of {', '.join(public) or 'none'}"
        )
    return getattr(module, name)
