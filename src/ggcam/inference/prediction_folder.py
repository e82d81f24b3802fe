"""The folder that `ggcam predict` writes: tables that grow with each batch, so that an interrupted call can go on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ggcam.errors import ConfigError, GGCamError
from ggcam.inference.engines import EngineName, Precision
from ggcam.utils.csv_file import GrowingCsv, read_whole_rows
from ggcam.utils.csv_text import csv_cell
from ggcam.utils.digest import file_sha256
from ggcam.utils.documents import read_json
from ggcam.utils.json_files import write_json
from ggcam.utils.structure import structure

UNFINISHED = "unfinished.json"
"""File that describes a call until it is finished."""

PREDICTIONS, ERRORS, DICOM = "predictions.csv", "errors.csv", "dicom.csv"
"""Tables in the folder beside the overlays."""

ERROR_COLUMNS = ("image", "error")
DICOM_COLUMNS = ("image", "kind", "file", "made_up", "error")

_NETWORK_FILES = ("NET.pt", "*.safetensors", "calibration.json", "typicality.json", "params_*_.txt")


@dataclass(frozen=True)
class Call:
    """What decides the content of the folder, besides the images.

    Attributes:
        network: digest of the network, see :func:`network_digest`.
        engine: name of the engine in use.
        columns: columns of predictions.csv.
        dicom: fingerprint of what writes the DICOM objects, empty without any.
        precision: what the network is computed in.
        reduced_resolution: whether large images are decoded at a lower resolution.
    """

    network: str
    engine: EngineName
    columns: tuple[str, ...]
    dicom: str = ""
    precision: Precision = "32"
    reduced_resolution: bool = False


def network_digest(path: Path) -> str:
    """Compute a digest of the files that decide what a network predicts.

    Args:
        path: run folder, bundle or ONNX file.

    Returns:
        64 hexadecimal digits.
    """
    files = [path] if path.is_file() else sorted(found for name in _NETWORK_FILES for found in path.rglob(name))
    digest = hashlib.sha256()
    for file in files:
        digest.update(bytes.fromhex(file_sha256(file)))
    return digest.hexdigest()


def unfinished_call(folder: Path) -> Call | None:
    """Read what an interrupted call has left.

    Args:
        folder: the folder.

    Returns:
        The call; None if there is none.

    Raises:
        ConfigError: the file that describes it is damaged.
    """
    path = folder / UNFINISHED
    if not path.is_file():
        return None
    try:
        return structure(read_json(path, ConfigError), Call, where=path, error=ConfigError)
    except GGCamError as error:
        raise ConfigError(
            "the description of an unfinished call is damaged", where=path, got=error.what, hint=_START_OVER
        ) from error


class PredictionFolder:
    """The tables of one call.

    Args:
        root: an existing folder.
        call: the call.
        images: the images to predict -> name of the overlay.
        unfinished: what an interrupted call has left, to go on with; None to start over.

    Raises:
        ConfigError: the unfinished call was another one.
    """

    def __init__(self, root: Path, call: Call, images: Mapping[Path, str], unfinished: Call | None):
        self._root = root
        kept = [] if unfinished is None else self._finished_rows(call, images, unfinished)
        done = {row["image"] for row in kept}
        dicom = [row for row in self._dicom_rows() if row["image"] in done]
        # In this order, so that after a kill at any moment only finished images are listed in predictions.csv.
        self._predictions = GrowingCsv(root / PREDICTIONS, call.columns, kept)
        self._dicom = GrowingCsv(root / DICOM, DICOM_COLUMNS, dicom)
        self._errors = GrowingCsv(root / ERRORS, ERROR_COLUMNS)  # what could not be read is tried again
        write_json(root / UNFINISHED, asdict(call))
        self.kept: Sequence[Mapping[str, str]] = kept
        """Rows of predictions.csv that an interrupted call has left."""
        self.missing = [path for path in images if csv_cell(str(path)) not in done]
        """The images that are to be predicted."""

    def append(
        self,
        predictions: Sequence[Mapping[str, object]],
        errors: Sequence[Mapping[str, object]],
        dicom: Sequence[Mapping[str, object]],
    ) -> None:
        """Append the rows of a batch, whose overlays and DICOM objects have been written.

        Args:
            predictions: rows of predictions.csv.
            errors: rows of errors.csv.
            dicom: rows of dicom.csv.
        """
        self._errors.append(errors)
        self._dicom.append(dicom)
        self._predictions.append(predictions)  # last: an image that is listed there is finished

    def finish(self) -> None:
        """Note that nothing is missing."""
        (self._root / UNFINISHED).unlink(missing_ok=True)

    def _finished_rows(self, call: Call, images: Mapping[Path, str], unfinished: Call) -> list[dict[str, str]]:
        """Return the rows of finished images."""
        if different := [name for name, value in asdict(call).items() if value != asdict(unfinished)[name]]:
            raise ConfigError(
                "the folder has the unfinished predictions of another call",
                where=self._root,
                got=f"other {' and '.join(_IN_WORDS[name] for name in different)}",
                hint=_START_OVER,
            )
        rows = read_whole_rows(self._root / PREDICTIONS, call.columns)
        names = {str(csv_cell(str(path))): overlay for path, overlay in images.items()}
        if strangers := [row["image"] for row in rows if row["image"] not in names]:
            raise ConfigError(
                "the folder has unfinished predictions of other images",
                where=self._root,
                got=f"{len(strangers):,} images that are not to be predicted now, such as {strangers[0]}",
                hint=_START_OVER,
            )
        failed = {row["image"] for row in self._dicom_rows() if row["error"]}
        return [row for row in rows if row["image"] not in failed and self._has_overlay(row, names)]

    def _has_overlay(self, row: Mapping[str, str], names: Mapping[str, str]) -> bool:
        overlay = row.get("overlay")
        return overlay is None or (overlay == names[row["image"]] and (self._root / overlay).is_file())

    def _dicom_rows(self) -> list[dict[str, str]]:
        return read_whole_rows(self._root / DICOM, DICOM_COLUMNS)


_START_OVER = "repeat the interrupted command to go on with it, pass --overwrite to start over, or choose another --out"
_IN_WORDS = {
    "network": "network",
    "engine": "--engine",
    "precision": "--precision",
    "reduced_resolution": "--reduced-resolution",
    "columns": "columns",
    "dicom": "DICOM options, or anonymised objects, whose identities are new in each call",
}
