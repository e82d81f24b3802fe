"""The weights used to record the golden values; each parameter's name is its random seed."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch


def recorded_state(golden: Path, network: str) -> dict[str, torch.Tensor]:
    """Return the content of a network's NET.pt, such as "resnet_18"; the golden folder's README explains the rule."""
    names = json.loads((golden / f"net_{network}.state_dict.json").read_text())
    return {key: _draw(key, tuple(shape)) for key, shape in names}


def _draw(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    values = np.asarray(np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape))
    if key.endswith("running_var"):
        values = 1 + 0.5 * abs(values)
    elif key.endswith("running_mean"):
        values = 0.1 * values
    elif len(shape) >= 2:
        values = values * np.sqrt(2 / np.prod(shape[1:]))
    elif len(shape) == 1 and key.endswith("weight"):
        values = 1 + 0.1 * values
    else:
        values = 0.3 * values if not shape else 0.1 * values
    return torch.tensor(values, dtype=torch.float32)
