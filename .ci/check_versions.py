"""Check that no version in pyproject.toml or constraints.txt has a vulnerability of advisories.toml.

`python .ci/check_versions.py` prints each one that has, and ends with exit code 1 if there is one. It needs no network.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]


def least_versions(pyproject: dict[str, Any]) -> Iterator[tuple[str, Version | None]]:
    """Yield each dependency with its least version; None where it has none."""
    project = pyproject["project"]
    for dependency in chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(dependency)
        if requirement.name != project["name"]:
            bounds = [Version(part.version) for part in requirement.specifier if part.operator in (">=", "==", "~=")]
            yield canonicalize_name(requirement.name), max(bounds, default=None)


def pinned_versions(constraints: str) -> Iterator[tuple[str, Version]]:
    """Yield each package of the constraints with its version."""
    for line in constraints.split():
        name, _, version = line.partition("==")
        yield canonicalize_name(name), Version(version)


def problems(
    versions: Sequence[tuple[str, Version | None]], advisories: Sequence[dict[str, str]], file: str
) -> Iterator[str]:
    """Yield a sentence for each version with a known vulnerability, and for each dependency without a least version."""
    for name, version in versions:
        if version is None:
            yield f"{file}: {name} has no least version"
            continue
        for advisory in advisories:
            if name == advisory["package"] and "accepted" not in advisory and version < Version(advisory["fixed"]):
                yield f"{file}: {name} {version} is below {advisory['fixed']} ({advisory['id']})"


def main() -> int:
    advisories = tomllib.loads((ROOT / ".ci" / "advisories.toml").read_text(encoding="utf-8"))["advisory"]
    least = list(least_versions(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))))
    pinned = list(pinned_versions((ROOT / "constraints.txt").read_text(encoding="utf-8")))
    found = [*problems(least, advisories, "pyproject.toml"), *problems(pinned, advisories, "constraints.txt")]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
