"""What guidance adds to a training step: the same network and batch with and without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from benchmarks.side_by_side import Result, race
from ggcam.gaze.maps import GazeBatch
from ggcam.guidance import create_guidance
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier

FRAME, BATCH = (256, 224), 16


def run() -> Iterator[Result]:
    """Forward and backward of a ResNet-18 in float32."""
    model = CAMClassifier(create_backbone("resnet18", FRAME, output_stride=16), 3)
    image, labels = torch.rand(BATCH, 1, *FRAME), torch.randint(0, 3, (BATCH,))
    points = torch.rand(BATCH, 60, 2) * 224
    gaze = GazeBatch(points, torch.rand(BATCH, 60), torch.full_like(points, 9.0), FRAME)

    def step(name: str) -> Callable[[], None]:
        guidance = create_guidance(name)

        def once() -> None:
            output = model(image)
            classification = nn.functional.cross_entropy(output.logits, labels)
            guidance(output, labels, gaze, classification).total.backward()

        return once

    for name in ("ggcam", "ggcam-cc"):
        yield race(f"training step with {name}", step(name), "the same without guidance", step("none"), cases=BATCH)
