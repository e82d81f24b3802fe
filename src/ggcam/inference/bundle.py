"""Bundles: one folder with a trained network for other people, which is opened without running anything in it.

`model.safetensors` (weights), `model.onnx` (the same network), `network.json` (its description), `calibration.json`,
`typicality.json` and `typicality.npz` (what the training images look like), `config.toml` (options of the training),
`README.md` (model card), `LICENSE`, and `bundle.json`, which lists the files with their SHA-256. The card and the
licence are not listed: whoever publishes the bundle edits them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from ggcam.errors import BundleError
from ggcam.utils.digest import file_sha256
from ggcam.utils.documents import read_json
from ggcam.utils.foreign_paths import is_file_name
from ggcam.utils.structure import structure

FORMAT, VERSION = "ggcam bundle", 1
"""What `bundle.json` says it is, and the version of the layout."""

MANIFEST = "bundle.json"
WEIGHTS, ONNX, NETWORK = "model.safetensors", "model.onnx", "network.json"
CALIBRATION, TYPICALITY, CONFIG = "calibration.json", "typicality.json", "config.toml"
REQUIRED = (WEIGHTS, ONNX, NETWORK, CALIBRATION, CONFIG)
"""Files of every bundle; the description of the training images is missing where the run has none."""

_AGAIN = "get the bundle again from where it came, or export it again: ggcam export RUN --format bundle"


class Manifest(TypedDict):
    """Content of bundle.json."""

    format: str
    version: int
    name: str
    weights_sha256: str
    files: dict[str, str]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are complete and unchanged.

    Attributes:
        root: the folder.
        name: name of the run that it was made from.
        weights_sha256: SHA-256 of the run's file of weights, by which a network is identified.
        files: name -> SHA-256.
    """

    root: Path
    name: str
    weights_sha256: str
    files: dict[str, str]

    @property
    def weights(self) -> Path:
        """Parameters of the network, as safetensors."""
        return self.root / WEIGHTS

    @property
    def onnx(self) -> Path:
        """The network as ONNX."""
        return self.root / ONNX

    @property
    def calibration(self) -> Path:
        """Temperatures and thresholds."""
        return self.root / CALIBRATION

    @property
    def typicality(self) -> Path | None:
        """What the training images look like; None where the run did not know."""
        return self.root / TYPICALITY if TYPICALITY in self.files else None

    @property
    def network(self) -> dict[str, Any]:
        """Description of the network."""
        return read_json(self.root / NETWORK, BundleError, _AGAIN)


def is_bundle(path: Path) -> bool:
    """Return whether a folder says that it is a bundle.

    Args:
        path: the folder.
    """
    return (path / MANIFEST).is_file()


def open_bundle(path: Path) -> Bundle:
    """Open a bundle, and check that its files are there and unchanged.

    Args:
        path: the folder.

    Returns:
        The bundle.

    Raises:
        MissingFileError: the folder has no bundle.json.
        BundleError: it is of another version, a file is missing or has changed, or it names files elsewhere.
    """
    where = path / MANIFEST
    content = read_json(where, BundleError, _AGAIN)
    if content.get("format") != FORMAT:
        raise BundleError("not a bundle of ggcam", where=where, expected=FORMAT, got=content.get("format"))
    if content.get("version") != VERSION:
        raise BundleError(
            "the bundle is of another version",
            where=where,
            expected=VERSION,
            got=content.get("version"),
            hint="use the version of ggcam that wrote it, which its README.md names",
        )
    manifest = structure(content, Manifest, where, error=BundleError, hint=_AGAIN)
    for name in manifest["files"]:
        if not is_file_name(name):
            raise BundleError("the bundle names a file outside its folder", where=where, got=repr(name))
    if missing := [name for name in REQUIRED if name not in manifest["files"]]:
        raise BundleError("the bundle does not list all of its files", where=where, expected=", ".join(missing))
    for name, expected in manifest["files"].items():
        _check_unchanged(path / name, expected)
    return Bundle(path, manifest["name"], manifest["weights_sha256"], manifest["files"])


def _check_unchanged(path: Path, expected: str) -> None:
    if not path.is_file():
        raise BundleError("a file of the bundle is missing", where=path, hint=_AGAIN)
    found = file_sha256(path)
    if found != expected:
        raise BundleError(
            "a file of the bundle has changed since it was written",
            where=path,
            expected=f"SHA-256 {expected}",
            got=found,
            hint=_AGAIN,
        )
