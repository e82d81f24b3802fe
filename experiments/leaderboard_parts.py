"""Parts and methods of the leader board: networks, and the configurations that each method may choose from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from experiments.leaderboard_data import SHORTCUT, nih, noisy, poet, simulated
from ggcam.data.prepared import PreparedData
from ggcam.study.plan import Arm, StudyPlan
from ggcam.training.config import TrainConfig

TRAIN_CASES = 400
"""Number of simulated training cases, which each seed draws anew: with few of them, what guides them matters."""

SEEDS = 5

STEPS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Factors on the weight around which a method is tuned; see :func:`experiments.leaderboard_tuning.tune`."""


def matches(path: str, pattern: str) -> bool:
    """Return whether a path in metrics.json matches a pattern, in which * stands for one name."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]+"), path) is not None


def by_weight(guidance: str, *options: str, around: float = 1.0) -> tuple[Arm, ...]:
    """Return configurations of a guidance with rising weights.

    Args:
        guidance: name of the guidance.
        options: its options.
        around: the weight in the middle. It lies where the CAM moves in runs as short as these; the published weights
            are for ten to a hundred times as many steps.

    Returns:
        Seven configurations.
    """
    return tuple(Arm(guidance, weight=float(f"{around * step:.2g}"), options=options) for step in STEPS)


def by_option(guidance: str, option: str, *values: float) -> tuple[Arm, ...]:
    """Return configurations of a guidance that differ in one option."""
    return tuple(Arm(guidance, options=(f"{option}={value}",)) for value in values)


METHODS: dict[str, tuple[Arm, ...]] = {
    "ggcam-swap": by_weight("ggcam-swap"),
    "ggcam-swap (fading)": by_weight("ggcam-swap", "probability=0.25", "fading=true"),
    "ggcam-cc": by_weight("ggcam-cc"),
    "ggcam": by_weight("ggcam"),
    "cyborg": by_option("cyborg", "balance", 0.5, 0.2, 0.05),
    "energy": by_weight("energy"),
    "gradia": by_weight("gradia"),
    "haics": by_weight("haics"),
    "rrr-star": by_weight("rrr-star", around=3.0),
    "res-g": by_weight("res-g"),
    "attention-consistency": by_weight("attention-consistency"),
    "composite": by_weight("composite"),
    "unet": by_weight("unet"),
    "mt-unet": by_weight("mt-unet"),
    "mentor": by_option("mentor", "pretraining", 0.2, 0.4, 0.6),
    "gazemtl": by_weight("gazemtl"),
    "abn": by_weight("abn", around=10.0),
    "gaze-attention": by_weight("gaze-attention"),
    "mil": by_weight("mil"),
    "gain": by_weight("gain", around=3.0),
    "gaze-crop": by_option("gaze-crop", "probability", 0.25, 0.5, 0.75),
    "eg-vit": by_option("eg-vit", "probability", 0.25, 0.5, 0.75),
    **{
        f"ggcam ({alignment})": by_weight("ggcam", f"alignment={alignment}")
        for alignment in ("bce", "kl", "cc", "nss", "ssim")
    },
    "rrr": by_weight("rrr", around=0.0003),
}
"""Row of the board -> the configurations of which the validation split chooses one."""

FOR_TRANSFORMERS = ("eg-vit",)
"""Rows that require a vision transformer."""

FOR_ONE_PART = ("rrr", *(row for row in METHODS if row.startswith("ggcam (")))
"""Rows that only the part `shortcut` has: a run of `rrr` takes six times as long as the others, and `ggcam` has many
distances."""

CONTROLLED = "ggcam-cc"
"""Row whose configuration the controls share."""

CONTROLS = ("shuffled-gaze", "centre")


@dataclass(frozen=True)
class Part:
    """One data set and network of the board.

    Attributes:
        data: loads the prepared data from the output folder, or creates them there from the folder of real images.
        base: training config of each run.
        place: metric of the validation split that stands for the place of the CAM; * stands for each finding.
        tuned_on: name of the part on which the configurations are chosen. Default: this one.
        train_cases: number of training cases, drawn by seed; None for all.
        all_methods: whether the rows are here that only one part has.
    """

    data: Callable[[Path, Path], PreparedData]
    base: TrainConfig
    place: str = "gaze_agreement/cc/cam"
    tuned_on: str | None = None
    train_cases: int | None = None
    all_methods: bool = False

    def plan(self, arms: Iterable[Arm], seeds: Iterable[int]) -> StudyPlan:
        """Return the runs of some arms with some seeds."""
        cases = () if self.train_cases is None else (self.train_cases,)
        return StudyPlan(self.base, tuple(arms), tuple(seeds), train_cases=cases)

    @property
    def methods(self) -> dict[str, tuple[Arm, ...]]:
        """The rows of the part, whose methods work with its network."""
        left_out = () if self.all_methods else FOR_ONE_PART
        if not self.base.backbone.startswith("vit_"):
            left_out += FOR_TRANSFORMERS
        return {row: arms for row, arms in METHODS.items() if row not in left_out}


def pretrained_cnn(raw: Path, epochs: int) -> TrainConfig:
    """Return the config of the CNN of all parts: EfficientNet-Lite0 from ImageNet, whose first two stages are fixed.

    Args:
        raw: folder of real images, with `weights/tf_efficientnet_lite0.pth`.
        epochs: number of epochs.

    Returns:
        The config, up to the fourth feature level (cells of 16 pixels).
    """
    return TrainConfig(
        backbone="tf_efficientnet_lite0",
        weights=raw / "weights" / "tf_efficientnet_lite0.pth",
        num_stages=4,
        freeze_stages=2,
        epochs=epochs,
        precision="32",
        typicality=False,
    )


def transformer() -> TrainConfig:
    """Return the config of the vision transformer: three blocks of ViT-Tiny from scratch, in bfloat16.

    Returns:
        The config. Blocks, epochs, batch size and learning rate were chosen on validation cases, without guidance.
    """
    return TrainConfig(
        backbone="vit_tiny_patch16_224",
        num_stages=3,
        epochs=6,
        batch_size=16,
        lr=5e-4,
        precision="bf16",
        typicality=False,
    )


def parts(raw: Path) -> dict[str, Part]:
    """Return the parts of the board.

    Args:
        raw: folder of real images.

    Returns:
        Name -> part.
    """
    cnn, vit = pretrained_cnn(raw, 6), transformer()
    return {
        "shortcut": Part(lambda out, _: simulated(out, SHORTCUT), cnn, train_cases=TRAIN_CASES, all_methods=True),
        "nih": Part(nih, pretrained_cnn(raw, 4), place="overlap/*/average_precision/cam"),
        "poet": Part(poet, pretrained_cnn(raw, 2)),
        "noisy": Part(lambda out, _: noisy(out), cnn, tuned_on="shortcut", train_cases=TRAIN_CASES),
        "clean": Part(lambda out, _: simulated(out, 0.0), cnn, tuned_on="shortcut", train_cases=TRAIN_CASES),
        "shortcut-vit": Part(lambda out, _: simulated(out, SHORTCUT), vit),
        "poet-vit": Part(poet, vit, tuned_on="shortcut-vit"),
    }
