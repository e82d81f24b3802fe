"""Versions of installed packages, recorded with every result."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def versions(*packages: str) -> dict[str, str]:
    """Look up the versions of packages.

    Args:
        packages: distribution names.

    Returns:
        Name -> version, or "not installed".
    """
    found: dict[str, str] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
