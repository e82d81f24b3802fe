"""A classifier as an ONNX file: pixels of the frame in, logits and CAM out, and in its metadata all else one must know.

The file holds the standardisation too: whoever runs it hands over the pixels as they are. ONNX is an extra of this
package: `pip install ggcam[onnx]`.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

from ggcam.errors import ConfigError, WeightsError, join_limited
from ggcam.models.cam import CAMClassifier

Pixels = Literal["uint8", "uint16"]
"""Type of the images that a file takes; its largest value is white."""

INPUT, OUTPUTS = "image", ("logits", "cam")
"""Names in the file: (batch, 1, H, W) in; (batch, classes) and (batch, classes, h, w) out."""

TOLERANCE = 1e-4
"""By how much an output of the file may differ from torch's, as a share of its largest value (which counts as 1 where
it is smaller)."""

_PREFIX = "ggcam."
"""Of this package's names in a file's metadata."""


class _LogitsAndCAM(nn.Module):
    """The classifier without the features among its outputs: nobody wants them in a file."""

    def __init__(self, model: CAMClassifier):
        super().__init__()
        self.model = model

    def forward(self, image: Shaped[Tensor, "b i H W"]) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k h w"]]:
        output = self.model(image)
        return output.logits, output.cam


def check_packages(*names: str, where: object) -> None:
    """Demand packages of the extra `onnx`.

    Raises:
        ConfigError: one of them is not installed.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"this needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            where=where,
            hint="pip install 'ggcam[onnx]'",
        )


def onnx_file(
    model: CAMClassifier, image_size: tuple[int, int], notes: Mapping[str, Any], pixels: Pixels = "uint8"
) -> bytes:
    """Write a classifier down as ONNX and compare what ONNX Runtime makes of it with torch.

    Args:
        model: on the CPU; it is set to evaluation mode.
        image_size: height and width of the images in pixels; the batch may have any size.
        notes: for the file's metadata: name -> whatever JSON can say.
        pixels: type of the images.

    Returns:
        The content of the file.

    Raises:
        ConfigError: a package is missing, the network has a part that ONNX lacks, or the file's answers differ from
            torch's by more than :data:`TOLERANCE`.
    """
    check_packages("onnx", "onnxscript", "onnxruntime", where="--format onnx")
    network = _LogitsAndCAM(model).eval()
    example = torch.zeros(2, 1, *image_size, dtype=getattr(torch, pixels))
    try:
        with _quiet(), torch.inference_mode(False), torch.no_grad():
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    except Exception as error:  # torch raises dozens of kinds
        raise ConfigError(
            "this network cannot be written as ONNX",
            where="--format onnx",
            got=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"[:300],
            hint="choose another backbone, or predict with --engine torch",
        ) from error
    assert program is not None
    proto = program.model_proto
    for name, value in {**notes, "pixels": pixels, "size": list(image_size)}.items():
        proto.metadata_props.add(key=_PREFIX + name, value=json.dumps(value))
    content = proto.SerializeToString()
    check_parity(content, model, example)
    return content


def read_notes(content: bytes) -> dict[str, Any]:
    """The metadata that :func:`onnx_file` wrote into a file.

    Raises:
        WeightsError: it is no ONNX file, or none of ours.
    """
    import onnx

    try:
        props = onnx.load_model_from_string(content).metadata_props
        notes = {
            prop.key.removeprefix(_PREFIX): json.loads(prop.value) for prop in props if prop.key.startswith(_PREFIX)
        }
    except Exception as error:  # protobuf's own kind, which differs between its releases
        raise WeightsError("this is no ONNX file, or a damaged one", got=f"{error}"[:200]) from error
    if "pixels" not in notes:
        raise WeightsError("the ONNX file has no notes of ggcam's", hint="write it with `ggcam export --format onnx`")
    return notes


def check_parity(content: bytes, model: CAMClassifier, example: Shaped[Tensor, "b 1 H W"]) -> None:
    """Demand that ONNX Runtime answers as torch does, on images on which torch itself is sure of its answer.

    Of an image unlike those it was trained on, a deep network may make numbers that no two orders of summation agree
    on, torch's own neither: such an image tells nothing. Four images, because the network was traced with two.

    Raises:
        ConfigError: it does not, or torch is sure of none.
    """
    import onnxruntime

    image = _trial_images(torch.iinfo(example.dtype).max, *example.shape[2:]).to(example.dtype)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.run(list(OUTPUTS), {INPUT: image.numpy()})
    with torch.inference_mode():
        ours, again = model(image), deepcopy(model).to(memory_format=torch.channels_last)(image)
    for name, one, other, theirs in zip(OUTPUTS, ours[:2], again[:2], found, strict=True):
        largest = one.abs().flatten(1).amax(dim=1)
        allowed = TOLERANCE * largest.clamp_min(1)
        sure = (one - other).abs().flatten(1).amax(dim=1) <= allowed / 2
        difference = (one - torch.from_numpy(theirs)).abs().flatten(1).amax(dim=1)
        if not sure.any() or not (difference <= allowed)[sure].all():  # so that NaN is refused too
            raise ConfigError(
                f"ONNX Runtime's {name} of this network differ from torch's"
                if sure.any()
                else f"this network's {name} hang on the rounding, so that nothing can be compared",
                where="--format onnx",
                expected=f"a difference below {TOLERANCE:g}, or that share of the largest value",
                got=f"{join_limited([f'{value:.2g}' for value in difference])}, where the largest values are "
                f"{join_limited([f'{value:.3g}' for value in largest])}",
                hint="predict with --engine torch",
            )


def _trial_images(white: int, height: int, width: int) -> Int64[Tensor, "4 1 {height} {width}"]:
    """Noise over the whole range and over its ends, and something as smooth as an X-ray."""
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, white + 1, (4, 1, height, width)))
    down, across = (torch.hann_window(side, periodic=False, dtype=torch.float64) for side in (height, width))
    noise[1] //= 4
    noise[2] = white - noise[2] // 4
    noise[3] = ((down[:, None] * across).sqrt() * 0.9 * white + noise[3] / 20).long()
    return noise


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of, and logs, what concerns its own developers."""
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
