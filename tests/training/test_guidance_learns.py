"""Every guidance method learns: its losses fall, and the map that it makes a claim about moves toward the gaze."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from ggcam.data.batches import Batch
from ggcam.guidance import GUIDANCES, Guidance, create_guidance
from ggcam.guidance.decoder import DecoderGuidance
from ggcam.guidance.functional import pearson
from ggcam.models.backbones import create_backbone
from ggcam.models.cam import CAMClassifier, CAMOutput
from ggcam.models.heads import HEADS
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining

FRAME, CASES, STEPS, SIGMA_PX = (64, 64), 12, 40, 6.0

WEIGHTS = {"abn": 10.0, "energy": 1.5, "rrr": 10.0, "gain": 3.0}
"""Weights of the guidance term; 1 for all others."""

CAM_METHODS = (
    *("ggcam", "ggcam-cc", "cyborg", "energy", "gradia", "haics", "rrr-star", "res-g"),
    *("attention-consistency", "composite", "gain"),
)
"""Methods that claim that the CAM of the true class resembles the gaze, on the plain head."""

RATIO = 0.85
"""Largest distance of such a CAM from the gaze, relative to that of a network that was trained without guidance."""


class Layers(nn.Sequential):
    """A small CNN with a cell for each 8 pixels."""

    num_features, stride = 16, 8

    def __init__(self) -> None:
        channels = [1, 8, 16, 16]
        super().__init__(
            *(
                layer
                for inside, out in pairwise(channels)
                for layer in (nn.Conv2d(inside, out, 3, 2, 1), nn.BatchNorm2d(out), nn.ReLU())
            )
        )


@cache
def spots() -> Batch:
    """Noise with a faint bright or dark spot that is looked at, and with a marker that tells the class more clearly.

    Every sixth case has no gaze.
    """
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(CASES) % 2
    image = 110 + 20 * torch.rand(CASES, 1, *FRAME, generator=generator)
    points = 24 + 32 * torch.rand(CASES, 1, 2, generator=generator)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    for case in range(CASES):
        x, y = points[case, 0]
        spot = ((rows - y) ** 2 + (columns - x) ** 2 < 64).float()
        image[case, 0] += spot * (30 if label[case] else -30)
    image[:, 0, :12, :12] = torch.where(label == 1, 250.0, 5.0)[:, None, None]
    return Batch(
        image=image.to(torch.uint8),
        label=label,
        points_px=points,
        duration_s=(torch.arange(CASES) % 6 > 0).float()[:, None],
        px_per_degree=torch.full_like(points, torch.nan),
        row=torch.arange(CASES),
        point_label=torch.full((CASES, 1), -1),
    )


class Trained:
    """A short training run, with the losses before each step.

    Attributes:
        module: the network and its guidance after the last step.
        before: agreement of the method's map with the gaze before the first step; see `map_agreement`.
        classification: classification loss before each step.
        dissimilarity: distance of the method's map from the gaze before each step.
    """

    def __init__(self, name: str):
        torch.manual_seed(0)
        guidance = create_guidance(name, WEIGHTS.get(name, 1.0))
        backbone = create_backbone("test_vit", FRAME) if guidance.needs else Layers()
        model = CAMClassifier(backbone, 2, head=HEADS[guidance.head](backbone.num_features, 2))
        config = TrainConfig(guidance=name, sigma_px=SIGMA_PX)
        self.module = GuidedTraining(model, guidance, config, FRAME).train()
        self.before = self.map_agreement()
        trained = [each for each in self.module.parameters() if each.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=1e-3 if guidance.needs else 1e-2)
        self.classification: list[float] = []
        self.dissimilarity: list[float] = []
        for step in range(STEPS):
            guidance.progress = step / STEPS
            losses = self.module.compute_losses(spots())
            optimizer.zero_grad()
            losses.total.backward()
            optimizer.step()
            self.classification.append(losses.classification.item())
            self.dissimilarity.append(losses.guidance.item())

    def map_agreement(self) -> float | None:
        """Correlation of the method's map with the gaze, mean over the cases with gaze; None for one without a map."""
        make_map = MAPS.get(self.module.config.guidance)
        if make_map is None:
            return None
        data = spots()
        with torch.no_grad():
            found = make_map(self.module.guidance, self.module.model(data.image), data.label)
            density = self.module.build_attention(data).density((8, 8))
        return pearson(found, density)[data.duration_s[:, 0] > 0].mean().item()

    def distance(self, name: str) -> float:
        """The distance of another method, for this network."""
        guidance, data = create_guidance(name), spots()
        guidance.initialize(self.module.model)
        attention = self.module.build_attention(data)
        output = guidance.forward_pass(self.module.model, data.image, data.label, attention)
        return guidance(output, data.label, attention, torch.zeros(())).guidance.item()


@cache
def trained(name: str) -> Trained:
    with torch.random.fork_rng():
        return Trained(name)


def cam(_guidance: Guidance, output: CAMOutput, label: Tensor) -> Tensor:
    return output.cam_for_labels(label)


def decoded(guidance: Guidance, output: CAMOutput, _label: Tensor) -> Tensor:
    assert isinstance(guidance, DecoderGuidance)
    return guidance.decode(output).sigmoid()


MAPS: dict[str, Callable[[Guidance, CAMOutput, Tensor], Tensor]] = {
    **dict.fromkeys((*CAM_METHODS, "mil"), cam),
    **dict.fromkeys(("unet", "mt-unet", "mentor"), decoded),
    "abn": lambda _guidance, output, _label: output.extra["attention_logits"].sigmoid(),
    "gaze-attention": lambda _guidance, output, _label: output.extra["pooling"],
    "original": lambda _guidance, output, _label: output.cam[:, 0],  # the CAM of class 0, a defect
}


@pytest.mark.parametrize("name", [name for name in GUIDANCES if name != "original"])  # which hardly classifies
def test_the_classification_loss_falls(name):
    found = trained(name).classification
    assert found[-1] < 0.8 * found[0]


@pytest.mark.parametrize("name", [name for name in GUIDANCES if name not in ("none", "eg-vit", "gaze-crop", "rrr")])
def test_the_distance_from_the_gaze_falls(name):
    found = trained(name).dissimilarity
    assert found[-1] < found[0] - 0.1 * abs(found[0])


@pytest.mark.parametrize("name", MAPS)
def test_the_map_moves_toward_the_gaze(name):
    run = trained(name)
    after = run.map_agreement()
    assert run.before is not None
    assert after is not None
    assert after > run.before + 0.2


@pytest.mark.parametrize("name", [*CAM_METHODS, "rrr"])
def test_the_distance_is_smaller_than_without_guidance(name):
    assert trained(name).distance(name) < RATIO * trained("none").distance(name)
