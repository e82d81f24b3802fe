"""ONNX files of classifiers: pixels in, logits and CAMs out, and metadata that say how to use the file.

The standardisation of the pixels is part of the graph. Needs the optional packages of `pip install ggcam[onnx]`,
but not torch; :mod:`ggcam.inference.onnx_conversion` writes the files.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ggcam.errors import ConfigError, WeightsError
from ggcam.report.result_schemas import OnnxNote
from ggcam.utils.documents import parse_json
from ggcam.utils.structure import structure

Pixels = Literal["uint8", "uint16"]
"""Type of the images that a file takes; the largest value of the type is white."""

INPUT, OUTPUTS = "image", ("logits", "cam")
"""Names of the input, shape (batch, channels, H, W), and outputs, (batch, classes) and (batch, classes, h, w)."""

DISTANCE = "distance"
"""Name of the output, shape (batch,), that says how far the features of an image are from the training images'."""

TOLERANCE = 1e-4
"""Maximum difference between an output of the file and torch's, relative to the largest value (but at least to 1)."""

PREFIX = "ggcam."
"""Prefix of this package's keys in a file's metadata."""


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file in memory.

    Attributes:
        content: its bytes.
    """

    content: bytes

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What :func:`read_metadata` returns for the file; reading 94 MB of weights for it takes 55 ms."""
        return read_metadata(self.content)


def check_packages(*names: str, where: object) -> None:
    """Check that packages of the extra `onnx` are installed.

    Args:
        *names: packages to look for.
        where: option or file that needs them, for the error message.

    Raises:
        ConfigError: a package is not installed.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed",
            where=where,
            hint="pip install 'ggcam[onnx]'",
        )


def read_metadata(content: bytes) -> dict[str, Any]:
    """Read the metadata that :func:`ggcam.inference.onnx_conversion.to_onnx` stored in a file.

    Args:
        content: bytes of the file.

    Returns:
        Key -> value; "pixels", "size", "channels" and "precision", "32" or "int8", are always there.

    Raises:
        WeightsError: the bytes are not an ONNX file, or not one written by ggcam, or the file names other files.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(content)
        metadata = {
            prop.key.removeprefix(PREFIX): parse_json(prop.value, "metadata of the ONNX file", WeightsError)
            for prop in model.metadata_props
            if prop.key.startswith(PREFIX)
        }
    except WeightsError:
        raise
    except Exception as error:  # the exception type of protobuf differs between its releases
        raise WeightsError("not an ONNX file, or a damaged one", got=f"{error}"[:200]) from error
    if outside := next(_external_files(model), None):
        raise WeightsError(
            "the ONNX file reads its weights from another file",
            expected="all weights in one file, as `ggcam export` writes it",
            got=outside,
        )
    if "pixels" not in metadata:
        raise WeightsError(
            "the ONNX file has no metadata of ggcam", hint="write it with `ggcam export RUN --format onnx`"
        )
    structure(metadata, OnnxNote, "metadata of the ONNX file", error=WeightsError)
    in_int8 = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    # Earlier versions knew grey images.
    return {"channels": 1, **metadata, "precision": "int8" if in_int8 else "32"}


def _external_files(message: Any) -> Iterator[str]:
    """Yield the paths of other files that a protobuf message names, in all messages inside it."""
    import onnx
    from google.protobuf.message import Message

    if isinstance(message, onnx.TensorProto) and (message.external_data or message.data_location):
        yield ", ".join(f"{entry.key}={entry.value}" for entry in message.external_data) or "no name"
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in (value,) if isinstance(value, Message) else value:
                yield from _external_files(inner)
