"""Small batches, networks and slow references that the tests of the guidance methods share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ggcam.data.batches import Batch
from ggcam.gaze.batch import GazeBatch
from ggcam.guidance import Guidance
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier, CAMHead, CAMOutput
from ggcam.models.heads import HEADS

FRAME, GRID = (64, 48), (8, 6)
CASES, CLASSES, FEATURES = 4, 3, 5
SILENT = 2
"""The case of `batch` that has no gaze."""


def output_and_gaze(cases: int = 3, seed: int = 0) -> tuple[CAMOutput, Tensor, GazeBatch]:
    """The output of a CAM head for random features, labels, and ten fixations in each case."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(cases, FEATURES, *GRID, generator=generator)
    labels = torch.randint(0, CLASSES, (cases,), generator=generator)
    points = torch.rand(cases, 10, 2, generator=generator) * torch.tensor([48.0, 64.0])
    gaze = GazeBatch(points, torch.rand(cases, 10, generator=generator), torch.full_like(points, 6.0), FRAME)
    return CAMHead(FEATURES, CLASSES)(features), labels, gaze


def random_maps(seed: int = 0, cases: int = CASES) -> tuple[CAMOutput, Tensor, Tensor]:
    """The output of a CAM head, labels, and attention maps, of which the last one is all zero."""
    output, labels, gaze = output_and_gaze(cases, seed)
    density = gaze.density(GRID)
    density[-1] = 0
    return output, labels, density


class Features(nn.Module):
    """A backbone of as many features as those of `output_and_gaze`: the image itself."""

    num_features = FEATURES

    def forward(self, image: Tensor) -> Tensor:
        return image


class Cells(nn.Module):
    """A backbone that computes the features of each cell of 8x8 pixels, without batch norm."""

    num_features = FEATURES
    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, FEATURES, 8, stride=8), nn.Tanh(), nn.Conv2d(FEATURES, FEATURES, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)


def network_for(guidance: Guidance, seed: int = 0) -> CAMClassifier:
    """A tiny network with the head of a guidance; a transformer where the guidance needs one."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone = create_backbone("test_vit", FRAME) if "transformer" in guidance.needs else Cells()
        return CAMClassifier(backbone, CLASSES, head=HEADS[guidance.head](backbone.num_features, CLASSES))


def batch(seed: int = 0, several_labels: bool = False) -> Batch:
    """Images with gaze; case SILENT has none."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(CASES, 10, 2, generator=generator) * torch.tensor([48.0, 64.0])
    duration = torch.rand(CASES, 10, generator=generator) + 0.1
    duration[SILENT] = 0
    label = torch.tensor([0, 2, 1, 1])
    if several_labels:
        label = torch.tensor([[1.0, 0, 1], [0, 0, torch.nan], [0, 1, 0], [1, 1, 1]])
    return Batch(
        image=torch.randint(0, 256, (CASES, 1, *FRAME), dtype=torch.uint8, generator=generator),
        label=label,
        points_px=points,
        duration_s=duration,
        px_per_degree=torch.full_like(points, 4.0),
        row=torch.arange(CASES),
        point_label=torch.full((CASES, 10), -1),
    )


def arrays(output: CAMOutput, labels: Tensor, density: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """The CAM of each case's label and its attention map, as arrays of float64."""
    cams, maps = output.cam.detach().double().numpy(), density.double().numpy()
    return [(cams[i, label], maps[i]) for i, label in enumerate(labels.tolist())]


def evidence(cam: np.ndarray) -> np.ndarray:
    """What is above 0, divided by its maximum."""
    positive = np.maximum(cam, 0)
    return positive / positive.max() if positive.max() > 0 else positive


def peak(density: np.ndarray) -> np.ndarray:
    """A map divided by its maximum."""
    return density / density.max() if density.max() > 0 else density


def inside(density: np.ndarray, threshold: float = 0.15) -> np.ndarray:
    """The cells with at least a fraction of the largest attention."""
    return (density >= threshold * density.max()) & (density > 0)
