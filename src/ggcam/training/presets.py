"""Training configs by name, with the original GG-CAM's networks and schedule. Light: nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal, get_args

from ggcam.training.config import TrainConfig

Preset = Literal[
    "effnet-ggcam", "resnet-ggcam", "effnet-original", "resnet-original", "effnet-baseline", "resnet-baseline"
]

_ORIGINAL = TrainConfig(
    sigma_deg=0.7,  # the original's kernel of 500 raw pixels: a sigma of 75.5 pixels, at 107 pixels per degree
    epochs=1024,
    max_hours=23.5,
    batch_size=4,
    optimizer="adam",
    weight_decay=0.0,
    schedule="plateau",
    patience=40,
    min_lr=1e-8,
    reload_best=True,
    early_stop_patience=83,
    clip_norm=0.0,
)
"""The options that all six presets share."""

_NETWORKS: Mapping[str, TrainConfig] = {
    "effnet": replace(_ORIGINAL, backbone="original-effnet-s", lr=6e-3),
    "resnet": replace(_ORIGINAL, backbone="original-resnet-50", lr=5e-3),
}


def _preset(name: str) -> TrainConfig:
    network, arm = name.split("-")
    if arm == "original":
        return replace(_NETWORKS[network], guidance="original", monitor="total", precision="32")
    return replace(_NETWORKS[network], guidance="none" if arm == "baseline" else arm)


PRESETS: Mapping[str, TrainConfig] = {name: _preset(name) for name in get_args(Preset)}
"""Name -> config. `ggcam`: the published method, corrected; `original`: the published code, defects included (its loss,
and the total loss as the monitored metric); `baseline`: no guidance, and nothing else changed."""


def preset_in(arguments: Sequence[str]) -> TrainConfig:
    """Return the preset that a command line names, to which its other options are then applied.

    Args:
        arguments: the command line, without the name of the program.

    Returns:
        The config of the preset; the default config without a preset, or with an unknown one, which the parser reports.
    """
    for flag, following in pairwise([*arguments, ""]):
        name, _, value = flag.partition("=")
        if name == "--preset":
            return PRESETS.get(value or following, TrainConfig())
    return TrainConfig()
