"""Cost of guidance in a training step (maps, loss and gradient), against the step without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from benchmarks.side_by_side import Result, race
from benchmarks.training_ways import Task, bare
from ggcam.gaze.batch import GazeBatch
from ggcam.gaze.visual_angle import fallback_px_per_degree
from ggcam.guidance import create_guidance
from ggcam.models.cam import CAMOutput


def run(short: bool = False) -> Iterator[Result]:
    """Time a batch of 4 with ResNet-18 in bfloat16. A ratio of 33 means that guidance adds 3 % to the step.

    Guidance is timed alone, because the difference of two whole steps is smaller than their noise.
    """
    frame, network, rounds = ((64, 64), "test_resnet", 1) if short else ((768, 640), "resnet18", 5)
    task = Task(network, frame, batch_size=4)
    batch = task.batch()
    sigma_px = torch.full_like(batch.points_px, fallback_px_per_degree(frame))
    gaze = GazeBatch(batch.points_px, batch.duration_s, sigma_px, frame)
    cam = torch.rand(4, 3, frame[0] // 32, frame[1] // 32, requires_grad=True)

    def guidance_step(name: str) -> Callable[[], None]:
        guidance = create_guidance(name)

        def step() -> None:
            output = CAMOutput(cam.mean(dim=(2, 3)), cam, cam)
            guidance(output, batch.label, gaze, output.logits.mean()).total.backward()

        return step

    for name in ("ggcam", "ggcam-cc"):
        yield race(
            f"{name} alone",
            guidance_step(name),
            f"a step of {network} without guidance",
            bare(task),
            cases=4,
            rounds=rounds,
            target=33,
        )
