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


def run(short: bool = False) -> Iterator[Result]:
    """Forward and backward of a ResNet-18 in float32."""
    batch, frame, backbone = (2, (64, 64), "test_resnet") if short else (BATCH, FRAME, "resnet18")
    model = CAMClassifier(create_backbone(backbone, frame, output_stride=16), 3)
    image, labels = torch.rand(batch, 1, *frame), torch.randint(0, 3, (batch,))
    points = torch.rand(batch, 60, 2) * frame[1]
    gaze = GazeBatch(points, torch.rand(batch, 60), torch.full_like(points, 9.0), frame)

    def step(name: str) -> Callable[[], None]:
        guidance = create_guidance(name)

        def once() -> None:
            output = model(image)
            classification = nn.functional.cross_entropy(output.logits, labels)
            guidance(output, labels, gaze, classification).total.backward()

        return once

    for name in ("ggcam", "ggcam-cc"):
        yield race(
            f"training step with {name}",
            step(name),
            "the same without guidance",
            step("none"),
            cases=batch,
            rounds=1 if short else 15,
            target=0.97,
        )
