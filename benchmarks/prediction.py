"""Logits and CAM of every class from one pass: against Grad-CAM, the bare forward pass, and other engines.

The backbones are timm's, with fresh weights, whose answers take as long as trained ones. The others get the same
network, with an ordinary classification head in the place of the CAM's.
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
from ggcam.inference.backends import ONNX_ENGINES, TorchEngine
from ggcam.inference.int8 import quantise
from ggcam.inference.onnx import onnx_file
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier

CLASSES = 3

Compute = Callable[[Tensor], object]


class Bare(nn.Module):
    """What a user without a CAM would run: bytes in, logits out."""

    def __init__(self, name: str):
        super().__init__()
        self.network = timm.create_model(name, in_chans=1, num_classes=CLASSES)
        self.eval().to(memory_format=torch.channels_last)

    def forward(self, image: Tensor) -> Tensor:
        image = (image.float() / 255 - 0.449) / 0.226
        return self.network(image.contiguous(memory_format=torch.channels_last))

    @property
    def last_layer(self) -> nn.Module:
        """Where Grad-CAM is told to look."""
        parts = dict(self.network.named_children())
        return parts["layer4"] if "layer4" in parts else parts["conv_head"]


def torch_cam(name: str) -> Compute:
    """The map of each image's most probable class, with torch-cam."""
    bare = Bare(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extractor = TorchCAM(bare, target_layer=bare.last_layer)

    def explain(image: Tensor) -> object:
        scores = bare(image)
        return extractor(scores.argmax(dim=1).tolist(), scores)

    return explain


def grad_cam(name: str) -> Compute:
    """The same with pytorch-grad-cam, which also enlarges the map to the image, and finds the class itself."""
    bare = Bare(name)
    extractor = GradCAM(bare, [bare.last_layer])
    return lambda image: extractor(image, None)  # pyright: ignore[reportArgumentType]


def bare_forward(name: str) -> Compute:
    """Logits alone."""
    bare = Bare(name)

    @torch.inference_mode()
    def forward(image: Tensor) -> Tensor:
        return bare(image)

    return forward


@torch.no_grad()
def settled(model: CAMClassifier, frame: tuple[int, int]) -> CAMClassifier:
    """In evaluation, with batch norm that knows what it gets: a fresh deep network makes much of every rounding."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches seen
    model.train()(torch.randint(0, 256, (4, 1, *frame), dtype=torch.uint8))
    return model.eval()


def images(shape: tuple[int, ...]) -> Tensor:
    """Of noise, in bytes."""
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


OTHERS: dict[str, tuple[Callable[[str], Compute], float]] = {
    "torch-cam's GradCAM": (torch_cam, 3),
    "pytorch-grad-cam's GradCAM": (grad_cam, 3),
    "the bare forward pass": (bare_forward, 0.95),
}
"""What else a user would run -> how to make it, and what the ratio should be at least."""


def run(short: bool = False) -> Iterator[Result]:
    """Two CNNs, single images and batches; `short` is to see that it works, and times nothing."""
    frame, sizes, rounds = ((64, 64), (1, 2), 1) if short else ((768, 640), (1, 4), 5)
    for name in ("test_resnet",) if short else ("resnet50", "tf_efficientnetv2_s"):
        yield from of_network(name, frame, sizes, rounds)


def of_network(name: str, frame: tuple[int, int], sizes: tuple[int, ...], rounds: int) -> Iterator[Result]:
    """Every contest of one network; each makes its contestants anew, as Grad-CAM holds on to all that it has seen."""
    model = settled(CAMClassifier(create_backbone(name, frame), CLASSES), frame)
    content = onnx_file(model, frame, {})
    in_int8 = quantise(content, iter(images((4, 1, *frame)).numpy()[:, None]))
    torch_engine = partial(TorchEngine, model, torch.device("cpu"))
    contests: list[tuple[str, Callable[[], Compute], str, Callable[[], Compute], float | None]] = [
        *(("torch", torch_engine, other, partial(make, name), target) for other, (make, target) in OTHERS.items()),
        *((engine, partial(kind, content), "torch", torch_engine, None) for engine, kind in ONNX_ENGINES.items()),
        *(
            (f"{engine}, int8", partial(kind, in_int8), engine, partial(kind, content), None)
            for engine, kind in ONNX_ENGINES.items()
        ),
    ]
    for engine, make, other, make_other, target in contests:
        computes, other_computes = make(), make_other()
        for batch in sizes:
            image = images((batch, 1, *frame))
            yield race(
                f"{engine}: {name}, {frame[0]}x{frame[1]}, {batch} at once",
                partial(computes, image),
                other,
                partial(other_computes, image),
                cases=batch,
                rounds=rounds,
                target=target,
            )
