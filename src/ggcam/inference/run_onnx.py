"""The ONNX file of a run: converted from its weights, and cached in the run folder as NET.onnx."""

from __future__ import annotations

from functools import partial
from typing import Any

from ggcam.data.framing import FRAMINGS
from ggcam.inference.cached_onnx import read_cached_onnx, read_or_make_onnx, typicality_values, weights_sha256
from ggcam.inference.onnx import OnnxFile
from ggcam.inference.onnx_conversion import to_onnx
from ggcam.training.run import Run
from ggcam.utils.versions import versions


def onnx_from_run(run: Run) -> OnnxFile:
    """Return the best network of a run as ONNX: its NET.onnx if that is up to date, else a new conversion.

    Args:
        run: a trained run.

    Returns:
        The ONNX file.

    Raises:
        RunFolderError: the run is unfinished or damaged.
        ConfigError: see :func:`ggcam.inference.onnx_conversion.to_onnx`.
    """
    return read_cached_onnx(run.folder) or OnnxFile(_convert(run))


def cached_onnx(run: Run) -> OnnxFile:
    """Return the same as :func:`onnx_from_run`, and keep a new conversion as NET.onnx where the folder is writable.

    Args:
        run: a trained run.

    Returns:
        The ONNX file.

    Raises:
        RunFolderError: the run is unfinished or damaged.
        ConfigError: see :func:`ggcam.inference.onnx_conversion.to_onnx`.
    """
    return read_or_make_onnx(run.folder, "32", partial(_convert, run))


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
        **({} if run.typicality is None else {"typicality": typicality_values(run.typicality)}),
        "weights_sha256": weights_sha256(run.folder),
        "use": "for research use; not a medical device",
        **{f"version_{name}": version for name, version in versions("ggcam", "torch").items()},
    }
    return to_onnx(model, spec.frame.shape, metadata, channels=spec.channels, distance=run.load_feature_distance(model))
