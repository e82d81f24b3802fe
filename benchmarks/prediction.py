"""Logits and CAM of every class from one pass: against Grad-CAM, the bare forward pass, and other engines.

The backbones are timm's, with fresh weights, whose answers take as long as trained ones. The others get the same
network, with an ordinary classification head in the place of the CAM's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import numpy as np
import timm
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchcam.methods import GradCAM as TorchCAM

from benchmarks.side_by_side import Result, race
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier
from ggcam.models.engines import ONNX_ENGINES, Engine, TorchEngine
from ggcam.models.onnx_file import onnx_file

CPU = torch.device("cpu")
CLASSES = 3


class Bare(nn.Module):
    """What a user without a CAM would run: bytes in, logits out."""

    def __init__(self, name: str, options: dict):
        super().__init__()
        self.network = timm.create_model(name, in_chans=1, num_classes=CLASSES, **options)

    def forward(self, image: Tensor) -> Tensor:
        return self.network((image.float() / 255 - 0.449) / 0.226)


def torch_cam(bare: Bare, layer: nn.Module) -> Callable[[Tensor], None]:
    """The map of each image's most probable class, with torch-cam."""
    extractor = TorchCAM(bare, target_layer=layer)

    def explain(image: Tensor) -> None:
        scores = bare(image)
        extractor(scores.argmax(dim=1).tolist(), scores)

    return explain


def grad_cam(bare: Bare, layer: nn.Module) -> Callable[[Tensor], None]:
    """The same with pytorch-grad-cam, which also enlarges it to the image."""
    extractor = GradCAM(bare, [layer])

    def explain(image: Tensor) -> None:
        targets = [ClassifierOutputTarget(0)] * len(image)  # named beforehand, which spares it a forward pass
        extractor(image, targets)  # pyright: ignore[reportArgumentType]

    return explain


def run(short: bool = False) -> Iterator[Result]:
    """Two CNNs; `short` is to see that it works, and times nothing."""
    frame, sizes, rounds = ((64, 64), (1, 2), 1) if short else ((768, 640), (1, 8), 5)
    for name in ("test_resnet",) if short else ("resnet50", "tf_efficientnetv2_s"):
        ours = CAMClassifier(create_backbone(name, frame), CLASSES).eval()
        content = onnx_file(ours, frame, {})
        engine = TorchEngine(ours, CPU)
        others: dict[str, Engine] = {other: kind(content) for other, kind in ONNX_ENGINES.items()}
        for batch in sizes:
            image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (batch, 1, *frame), np.uint8))
            label = f"{name}, {frame[0]}x{frame[1]}, batch of {batch}"
            yield from _against_others(label, engine, name, image, rounds)
            for other, computes in others.items():
                yield race(
                    f"{other}: {label}",
                    lambda computes=computes, image=image: computes(image),
                    "torch",
                    lambda image=image: engine(image),
                    cases=batch,
                    rounds=rounds,
                )


def _against_others(label: str, engine: TorchEngine, name: str, image: Tensor, rounds: int) -> Iterator[Result]:
    bare = Bare(name, {}).eval().to(memory_format=torch.channels_last)
    last = dict(bare.network.named_children())["layer4" if "layer4" in dict(bare.network.named_children()) else "conv_head"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of both, about hooks on a whole stage
        for other, make in (("torch-cam's GradCAM", torch_cam), ("pytorch-grad-cam's GradCAM", grad_cam)):
            explain = make(bare, last)
            yield race(label, lambda: engine(image), other, lambda: explain(image), cases=len(image), rounds=rounds)

    @torch.inference_mode()
    def forward() -> Tensor:
        return bare(image.contiguous(memory_format=torch.channels_last))

    yield race(label, lambda: engine(image), "the bare forward pass", forward, cases=len(image), rounds=rounds)
