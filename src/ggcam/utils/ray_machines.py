"""What the machines of a Ray cluster must have in common with the one that a command runs on."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ggcam.errors import ConfigError
from ggcam.utils.versions import versions


@dataclass(frozen=True)
class Surroundings:
    """What the work on another machine needs there.

    Attributes:
        files: files that the machine must see.
        versions: versions of the packages that the outcome depends on.
        folder: the current folder, to which paths may be relative.
        variables: environment variables of ggcam.
    """

    files: tuple[Path, ...]
    versions: tuple[tuple[str, str], ...]
    folder: str
    variables: tuple[tuple[str, str], ...]

    def set_up(self) -> None:
        """Check this machine and set up this process, once.

        Raises:
            ConfigError: the machine has other versions, or does not see the files.
        """
        _set_up(self)


def surroundings(files: Iterable[Path], packages: Sequence[str]) -> Surroundings:
    """Describe what the work of this process needs on another machine.

    Args:
        files: files that the machine must see.
        packages: packages that must have the same versions there.

    Returns:
        The description.
    """
    variables = tuple((name, value) for name, value in os.environ.items() if name.startswith("GGCAM_"))
    return Surroundings(tuple(files), tuple(versions(*packages).items()), os.getcwd(), variables)


@contextmanager
def visible_file(folder: Path) -> Iterator[Path]:
    """Keep a new file in a folder inside the block; a machine that does not see it has another folder of that name.

    Other files there whose names end with its name are removed with it.

    Args:
        folder: the folder.

    Yields:
        Absolute path of the file.
    """
    # A leftover is removed like those of `atomic_path`.
    path = folder.resolve() / f"visible.{secrets.randbits(64)}.part"
    path.touch()
    try:
        yield path
    finally:
        for each in path.parent.glob(f"*{path.name}"):
            each.unlink(missing_ok=True)


def alive_machines(ray: Any) -> list[dict[str, float]]:
    """List the machines of a cluster.

    Args:
        ray: the connected module, from :func:`ggcam.utils.ray_cluster.ray_cluster`.

    Returns:
        The resources of each machine, such as CPU and GPU.
    """
    return [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]


@cache
def _set_up(needed: Surroundings) -> None:
    os.environ.update(needed.variables)
    with suppress(OSError):  # not needed where all paths are absolute
        os.chdir(needed.folder)
    where = f"machine {import_module('ray').util.get_node_ip_address()} of the Ray cluster"
    found = tuple(versions(*dict(needed.versions)).items())
    if found != needed.versions:
        raise ConfigError(
            "a machine of the cluster has other versions than this one",
            where=where,
            expected=_in_words(needed.versions, found),
            got=_in_words(found, needed.versions),
            hint="install the same versions on all machines",
        )
    for path in needed.files:
        if not path.exists():
            raise ConfigError(
                "a machine of the cluster does not see the files of this one",
                where=where,
                expected=path,
                hint="keep the data and the output folder on a disk that all machines share, at the same path",
            )


def _in_words(packages: Sequence[tuple[str, str]], others: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages if (name, version) not in others)
