"""NET.onnx and NET-int8.onnx in a run folder, which an engine has needed before. Reading them needs no torch."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ggcam.errors import WeightsError
from ggcam.inference.engines import Precision
from ggcam.inference.onnx import OnnxFile
from ggcam.run_folder import RunFolder
from ggcam.training.calibration import load_calibration
from ggcam.training.typicality import Typicality, load_typicality
from ggcam.utils.atomic import atomic_write
from ggcam.utils.digest import file_sha256
from ggcam.utils.versions import versions

log = logging.getLogger(__name__)


def read_cached_onnx(folder: RunFolder, precision: Precision = "32") -> OnnxFile | None:
    """Read NET.onnx; None if it is missing, damaged, or does not fit the other files of the run.

    Args:
        folder: the run folder.
        precision: "int8" for NET-int8.onnx.

    Returns:
        The file, or None. Also None if the package `onnx` is not installed.

    Raises:
        RunFolderError: the calibration of the run, or its description of the training images, is damaged.
    """
    path = _path(folder, precision)
    if not path.is_file() or not folder.weights.is_file() or importlib.util.find_spec("onnx") is None:
        return None
    file = OnnxFile(path.read_bytes())
    try:
        metadata = file.metadata
    except WeightsError:
        return None
    names = metadata.get("class_names")
    if names is None or names != folder.model_settings.get("class_names"):
        return None
    same_precision = (metadata["precision"] == "int8") == (precision == "int8")
    same_version = metadata.get("version_ggcam") == versions("ggcam")["ggcam"]
    temperature = load_calibration(folder.calibration, len(names)).temperature
    same_temperature = metadata.get("temperature") == list(temperature)
    same_typicality = metadata.get("typicality") == typicality_values(load_typicality(folder.typicality))
    same_weights = metadata.get("weights_sha256") == weights_sha256(folder)
    same = same_precision and same_version and same_temperature and same_typicality and same_weights
    return file if same else None


def read_or_make_onnx(folder: RunFolder, precision: Precision, make: Callable[[], bytes]) -> OnnxFile:
    """Read NET.onnx or NET-int8.onnx; where it is missing or outdated, make and write it.

    Where the run folder is read-only, the file is not kept, with a warning in the log.

    Args:
        folder: the run folder.
        precision: "int8" for NET-int8.onnx.
        make: returns the content of the file.

    Returns:
        The file.

    Raises:
        RunFolderError: as for :func:`read_cached_onnx`.
        Exception: any exception that `make` raises.
    """
    file = read_cached_onnx(folder, precision)
    if file is None:
        file, path = OnnxFile(make()), _path(folder, precision)
        try:
            atomic_write(path, file.content)
        except OSError as error:
            log.warning("%s was not written: %s", path, error.strerror)
    return file


def _path(folder: RunFolder, precision: Precision) -> Path:
    return folder.onnx_int8 if precision == "int8" else folder.onnx


def typicality_values(typicality: Typicality | None) -> dict[str, Any] | None:
    """Return what the training images look like as JSON values.

    Args:
        typicality: the description; None where the run does not know.

    Returns:
        The same as JSON, or None.
    """
    return None if typicality is None else json.loads(json.dumps(asdict(typicality)))


def weights_sha256(folder: RunFolder) -> str:
    """Compute the SHA-256 of the file of a run's weights.

    Args:
        folder: the run folder.

    Returns:
        64 hexadecimal digits.
    """
    return file_sha256(folder.weights)
