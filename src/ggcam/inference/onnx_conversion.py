"""Convert a classifier to an ONNX file, and check that ONNX Runtime computes the same as torch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor, nn

from ggcam.errors import ConfigError, join_limited
from ggcam.inference.onnx import DISTANCE, INPUT, OUTPUTS, PREFIX, TOLERANCE, Pixels, check_packages
from ggcam.models.cam import CAMClassifier
from ggcam.models.feature_distance import FeatureDistance
from ggcam.utils.telemetry import import_onnxruntime


class _OnnxOutputs(nn.Module):
    """A classifier that returns logits and CAMs, and the distance of its features where it is measured."""

    def __init__(self, model: CAMClassifier, distance: FeatureDistance | None):
        super().__init__()
        self.model, self.distance = model, distance

    def forward(self, image: Shaped[Tensor, "b i H W"]) -> tuple[Tensor, ...]:
        output = self.model(image)
        own = (output.logits, output.cam)
        return own if self.distance is None else (*own, self.distance(output.features))


def to_onnx(
    model: CAMClassifier,
    image_size: tuple[int, int],
    metadata: Mapping[str, Any],
    pixels: Pixels = "uint8",
    channels: int = 1,
    distance: FeatureDistance | None = None,
) -> bytes:
    """Convert a classifier to ONNX and check that ONNX Runtime computes the same as torch.

    Args:
        model: classifier on the CPU; it is set to evaluation mode.
        image_size: height and width of the images in pixels; the batch size stays free.
        metadata: key -> JSON-serialisable value, stored in the file.
        pixels: type of the images.
        channels: number of channels of the images: 1 for grey, 3 for RGB.
        distance: measures the distance of features, which becomes a third output; None for no such output.

    Returns:
        Bytes of the ONNX file.

    Raises:
        ConfigError: a package is not installed, ONNX cannot represent the network, or the outputs differ from torch's
            by more than `TOLERANCE`.
    """
    check_packages("onnx", "onnxscript", "onnxruntime", where="--format onnx")
    network = _OnnxOutputs(model, distance).eval()
    example = torch.zeros(2, channels, *image_size, dtype=getattr(torch, pixels))
    try:
        with _quiet(), torch.inference_mode(False), torch.no_grad():
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=list(OUTPUTS) if distance is None else [*OUTPUTS, DISTANCE],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    except Exception as error:  # torch raises many exception types
        raise ConfigError(
            "this network cannot be written as ONNX",
            where="--format onnx",
            got=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:300],
            hint="use another backbone, or predict with --engine torch",
        ) from error
    assert program is not None
    proto = program.model_proto
    _remove_notes(proto)
    for name, value in {**metadata, "pixels": pixels, "size": list(image_size), "channels": channels}.items():
        proto.metadata_props.add(key=PREFIX + name, value=json.dumps(value))
    content = proto.SerializeToString()
    check_parity(content, model, example, distance)
    return content


def _remove_notes(message: Any) -> None:
    """Remove the exporter's notes from a protobuf message: stack traces with the paths of the files on this machine."""
    from google.protobuf.message import Message

    for field in ("metadata_props", "doc_string"):
        if field in message.DESCRIPTOR.fields_by_name:
            message.ClearField(field)
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in (value,) if isinstance(value, Message) else value:
                _remove_notes(inner)


def check_parity(
    content: bytes,
    model: CAMClassifier,
    example: Shaped[Tensor, "b i H W"],
    distance: FeatureDistance | None = None,
) -> None:
    """Check that ONNX Runtime computes the same as torch.

    On images unlike its training images, a deep network can amplify rounding errors until even two memory layouts of
    torch disagree. Such images are ignored. Four images are compared, because the network was traced with two.

    Args:
        content: bytes of the ONNX file.
        model: classifier that was converted.
        example: an image batch of the type and size that the file takes; its values are not used.
        distance: what computes the third output, if there is one.

    Raises:
        ConfigError: the outputs differ by more than `TOLERANCE`, or torch disagrees with itself on every image.
    """
    image = _test_images(torch.iinfo(example.dtype).max, *example.shape[1:]).to(example.dtype)
    session = import_onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {INPUT: image.numpy()})
    network = _OnnxOutputs(model, distance)
    with torch.inference_mode():
        reference, other_layout = network(image), deepcopy(network).to(memory_format=torch.channels_last)(image)
    for name, expected, repeated, computed in zip(names, reference, other_layout, found, strict=True):
        expected, repeated = (each.reshape(len(image), -1) for each in (expected, repeated))
        computed = torch.from_numpy(computed).reshape(len(image), -1)
        largest = expected.abs().amax(dim=1)
        allowed = TOLERANCE * largest.clamp_min(1)
        stable = (expected - repeated).abs().amax(dim=1) <= allowed / 2
        difference = (expected - computed).abs().amax(dim=1)
        if not stable.any() or not (difference <= allowed)[stable].all():  # this way round, NaN fails as well
            raise ConfigError(
                f"ONNX Runtime and torch differ in the {name} of this network"
                if stable.any()
                else f"the {name} of this network depend on rounding, so the ONNX file cannot be checked",
                where="--format onnx",
                expected=f"a difference of at most {TOLERANCE:g}, or {TOLERANCE:g} times the largest value",
                got=f"{join_limited([f'{value:.2g}' for value in difference])}, with largest values of "
                f"{join_limited([f'{value:.3g}' for value in largest])}",
                hint="predict with --engine torch",
            )


def _test_images(white: int, channels: int, height: int, width: int) -> Int64[Tensor, "4 {channels} {height} {width}"]:
    """Noise over the full range, dark noise, bright noise, and a smooth image like an X-ray."""
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, white + 1, (4, channels, height, width)))
    down, across = (torch.hann_window(side, periodic=False, dtype=torch.float64) for side in (height, width))
    noise[1] //= 4
    noise[2] = white - noise[2] // 4
    noise[3] = ((down[:, None] * across).sqrt() * 0.9 * white + noise[3] / 20).long()
    return noise


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, whose warnings and logs are for its developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
