"""The ONNX file of a run in int8: calibrated on the run's own images, and cached in the run folder as NET-int8.onnx."""

from __future__ import annotations

from functools import partial

from ggcam.data.prepared import PreparedData
from ggcam.errors import PreparedFolderError
from ggcam.inference.cached_onnx import read_or_make_onnx
from ggcam.inference.int8 import quantise
from ggcam.inference.onnx import OnnxFile
from ggcam.inference.run_images import first_split, run_data, split_images
from ggcam.inference.run_onnx import onnx_from_run
from ggcam.training.run import Run

CALIBRATION_CASES = 128
"""Maximum number of cases on which int8 is calibrated."""


def calibrated_int8(content: bytes, data: PreparedData) -> bytes:
    """Quantise a network, calibrated on validation cases, or on training cases if there are none.

    Args:
        content: the network as ONNX in float32.
        data: the data of its run.

    Returns:
        Bytes of the ONNX file.
    """
    split = first_split(data, "valid", "train") or "valid"  # a published split may have no validation part
    return quantise(content, (batch.pixels for batch in split_images(data, split, CALIBRATION_CASES)))


def cached_int8(run: Run) -> OnnxFile:
    """Return the best network of a run in int8: its NET-int8.onnx if that is up to date, else a new one, which is kept.

    Args:
        run: a trained run.

    Returns:
        The ONNX file.

    Raises:
        RunFolderError: the run is unfinished or damaged.
        PreparedFolderError: the data of the run do not exist.
        ConfigError: see :func:`ggcam.inference.onnx_conversion.to_onnx`.
    """
    return read_or_make_onnx(run.folder, "int8", partial(_quantise, run))


def _quantise(run: Run) -> bytes:
    try:
        data = run_data(run)
    except PreparedFolderError as error:
        raise PreparedFolderError(
            f"int8 is calibrated on the images of the run, which cannot be read: {error.what}",
            where=error.details.get("where"),
            hint="restore the folder, or pass another --precision",
        ) from error
    return calibrated_int8(onnx_from_run(run).content, data)
