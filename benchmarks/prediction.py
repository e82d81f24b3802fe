"""Logits and CAMs of all classes in one pass, against Grad-CAM, the plain forward pass, and other engines.

The backbones are timm's with random weights, which take as long as trained ones. The other methods get the same network
with an ordinary classification head instead of the CAM head.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import timm
import torch
from pytorch_grad_cam import GradCAM
from torch import Tensor, nn
from torchcam.methods import GradCAM as TorchCAM

from benchmarks.side_by_side import Result, race
from ggcam.inference.engines import ONNX_ENGINES
from ggcam.inference.int8 import quantise
from ggcam.inference.onnx import OnnxFile
from ggcam.inference.onnx_conversion import to_onnx
from ggcam.inference.torch_engine import TorchEngine
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier

CLASSES = 3

Compute = Callable[[np.ndarray], object]


class PlainNetwork(nn.Module):
    """The network without a CAM: 8-bit images in, logits out."""

    def __init__(self, name: str):
        super().__init__()
        self.network = timm.create_model(name, in_chans=1, num_classes=CLASSES)
        self.eval().to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        image = (image.float() / 255 - 0.449) / 0.226
        return self.network(image.contiguous(memory_format=torch.channels_last))

    @property
    def last_layer(self) -> nn.Module:
        """Layer of which Grad-CAM computes the map."""
        parts = dict(self.network.named_children())
        return parts["layer4"] if "layer4" in parts else parts["conv_head"]


def torch_cam(name: str) -> Compute:
    """Return Grad-CAM of the most probable class with torch-cam."""
    bare = PlainNetwork(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extractor = TorchCAM(bare, target_layer=bare.last_layer)

    def explain(image: np.ndarray) -> object:
        scores = bare(torch.from_numpy(image))
        return extractor(scores.argmax(dim=1).tolist(), scores)

    return explain


def grad_cam(name: str) -> Compute:
    """Return Grad-CAM of the most probable class with pytorch-grad-cam, which also resizes the map to the image."""
    bare = PlainNetwork(name)
    extractor = GradCAM(bare, [bare.last_layer])
    return lambda image: extractor(torch.from_numpy(image), None)  # pyright: ignore[reportArgumentType]


def plain_forward(name: str) -> Compute:
    """Return the forward pass alone."""
    bare = PlainNetwork(name)

    @torch.inference_mode()
    def forward(image: np.ndarray) -> Tensor:
        return bare(torch.from_numpy(image))

    return forward


@torch.no_grad()
def with_settled_batch_norm(model: CAMClassifier, frame: tuple[int, int]) -> CAMClassifier:
    """Return the model in evaluation mode with batch statistics: without them, a random network amplifies rounding."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # cumulative mean over all batches
    model.train()(torch.randint(0, 256, (4, 1, *frame), dtype=torch.uint8))
    return model.eval()


def images(shape: tuple[int, ...]) -> np.ndarray:
    """Return 8-bit images of noise."""
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


OTHERS: dict[str, tuple[Callable[[str], Compute], float]] = {
    "torch-cam's GradCAM": (torch_cam, 3),
    "pytorch-grad-cam's GradCAM": (grad_cam, 3),
    "the plain forward pass": (plain_forward, 0.95),
}
"""Name of another method -> function that creates it, and target ratio."""


def run(short: bool = False) -> Iterator[Result]:
    """Time two CNNs with single images and batches."""
    frame, sizes, rounds = ((64, 64), (1, 2), 1) if short else ((768, 640), (1, 4), 5)
    for name in ("test_resnet",) if short else ("resnet50", "tf_efficientnetv2_s"):
        yield from compare_network(name, frame, sizes, rounds)


def compare_network(name: str, frame: tuple[int, int], sizes: tuple[int, ...], rounds: int) -> Iterator[Result]:
    """Run every comparison of one network, each with new objects, as Grad-CAM keeps what it has seen in memory."""
    model = with_settled_batch_norm(CAMClassifier(create_backbone(name, frame), CLASSES), frame)
    file = OnnxFile(to_onnx(model, frame, {}))
    in_int8 = OnnxFile(quantise(file.content, iter(images((4, 1, *frame))[:, None])))
    torch_engine = partial(TorchEngine, model, torch.device("cpu"))
    comparisons: list[tuple[str, Callable[[], Compute], str, Callable[[], Compute], float | None]] = [
        *(("torch", torch_engine, other, partial(make, name), target) for other, (make, target) in OTHERS.items()),
        *((engine, partial(kind, file), "torch", torch_engine, None) for engine, kind in ONNX_ENGINES.items()),
        *(
            (f"{engine}, int8", partial(kind, in_int8), engine, partial(kind, file), None)
            for engine, kind in ONNX_ENGINES.items()
        ),
    ]
    for engine, make, other, make_other, target in comparisons:
        computes, other_computes = make(), make_other()
        for batch in sizes:
            image = images((batch, 1, *frame))
            yield race(
                f"{engine}: {name}, {frame[0]}x{frame[1]}, batch of {batch}",
                partial(computes, image),
                other,
                partial(other_computes, image),
                cases=batch,
                rounds=rounds,
                target=target,
            )
