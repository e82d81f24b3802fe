"""The ONNX file of a run: converted from its weights, and cached in the run folder as NET.onnx."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
from dataclasses import asdict
from typing import Any

from ggcam.data.framing import FRAMINGS
from ggcam.errors import WeightsError
from ggcam.inference.onnx import read_metadata
from ggcam.inference.onnx_conversion import to_onnx
from ggcam.run_folder import RunFolder
from ggcam.training.run import Run
from ggcam.utils.atomic import atomic_write
from ggcam.utils.versions import versions

log = logging.getLogger(__name__)


def onnx_from_run(run: Run) -> bytes:
    """Return the best network of a run as ONNX: its NET.onnx if that is up to date, else a new conversion.

    Args:
        run: a trained run.

    Returns:
        Bytes of the ONNX file.

    Raises:
        RunFolderError: the run is unfinished or damaged.
        ConfigError: see :func:`ggcam.inference.onnx_conversion.to_onnx`.
    """
    return read_cached_onnx(run) or _convert(run)


def cached_onnx(run: Run) -> bytes:
    """Return the same as :func:`onnx_from_run`, and write a new conversion to NET.onnx.

    Where the run folder is read-only, the file is not kept, with a warning in the log.

    Args:
        run: a trained run.

    Returns:
        Bytes of the ONNX file.

    Raises:
        RunFolderError: the run is unfinished or damaged.
        ConfigError: see :func:`ggcam.inference.onnx_conversion.to_onnx`.
    """
    content = read_cached_onnx(run)
    if content is None:
        content = _convert(run)
        try:
            atomic_write(run.folder.onnx, content)
        except OSError as error:  # the folder may be read-only; predicting does not need the file
            log.warning("%s was not written: %s", run.folder.onnx, error.strerror)
    return content


def read_cached_onnx(run: Run) -> bytes | None:
    """Return the content of NET.onnx, or None if it is missing, damaged, or not made from the run's current weights.

    Args:
        run: a trained run.

    Returns:
        Bytes of the ONNX file, or None. Also None if the package `onnx` is not installed.
    """
    folder = run.folder
    if not folder.onnx.is_file() or not folder.weights.is_file() or importlib.util.find_spec("onnx") is None:
        return None
    content = folder.onnx.read_bytes()
    try:
        metadata = read_metadata(content)
    except WeightsError:
        return None
    same_version = metadata.get("version_ggcam") == versions("ggcam")["ggcam"]
    same_temperature = metadata.get("temperature") == list(run.calibration.temperature)
    same_typicality = metadata.get("typicality") == _typicality(run)
    same_weights = metadata.get("weights_sha256") == weights_sha256(folder)
    return content if same_version and same_temperature and same_typicality and same_weights else None


def _convert(run: Run) -> bytes:
    spec, model = run.spec, run.load_model()  # first, because it says what an unfinished run lacks
    metadata: dict[str, Any] = {
        "class_names": list(spec.class_names),
        "multi_label": spec.multi_label,
        "network": f"{spec.net} {spec.type}",
        "image": f"{'grey' if spec.channels == 1 else 'red, green, blue'}; 0 is black, the largest value of the type "
        "is white; DICOM files: over their display window",
        "framing": spec.framing,
        "used_bits": spec.used_bits,
        "fit": FRAMINGS[spec.framing].description,
        "logits": f"probabilities are the {'sigmoid' if spec.multi_label else 'softmax'} of logits / temperature",
        "temperature": list(run.calibration.temperature),
        "cam": "evidence for each class in each cell of a grid over the image; its mean is the logit minus the bias",
        **({} if run.typicality is None else {"typicality": _typicality(run)}),
        "weights_sha256": weights_sha256(run.folder),
        "use": "for research use; not a medical device",
        **{f"version_{name}": version for name, version in versions("ggcam", "torch").items()},
    }
    return to_onnx(model, spec.frame.shape, metadata, channels=spec.channels, distance=run.load_feature_distance(model))


def _typicality(run: Run) -> dict[str, Any] | None:
    """Return what the training images look like as JSON values."""
    return None if run.typicality is None else json.loads(json.dumps(asdict(run.typicality)))


def weights_sha256(folder: RunFolder) -> str:
    """Compute the SHA-256 of the file of a run's weights.

    Args:
        folder: the run folder.

    Returns:
        64 hexadecimal digits.
    """
    with folder.weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
