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
    sigma_deg=0.7,  # the released kernel of 500 raw pixels: 75.5 pixels, where a degree has 107
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
"""What all six share."""

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
and that it follows the total loss); `baseline`: no guidance, and nothing else changed."""


def preset_in(arguments: Sequence[str]) -> TrainConfig:
    """The preset that a command line asks for, to which its other flags are then applied.

    Returns:
        The default config where none is asked for, or none of the known: that is for the parser to say.
    """
    for flag, following in pairwise([*arguments, ""]):
        name, _, value = flag.partition("=")
        if name == "--preset":
            return PRESETS.get(value or following, TrainConfig())
    return TrainConfig()
