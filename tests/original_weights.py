"""The weights with which the golden values were recorded: drawn from each parameter's name."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import torch


def drawn_state(golden: Path, network: str) -> dict[str, torch.Tensor]:
    """The content of the original's NET.pt, such as "resnet_18"; the rule is in the golden folder's README."""
    names = json.loads((golden / f"net_{network}.state_dict.json").read_text())
    return {key: _drawn(key, tuple(shape)) for key, shape in names}


def _drawn(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    z = np.asarray(np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape))
    if key.endswith("running_var"):
        z = 1 + 0.5 * abs(z)
    elif key.endswith("running_mean"):
        z = 0.1 * z
    elif len(shape) >= 2:
        z = z * np.sqrt(2 / np.prod(shape[1:]))
    elif len(shape) == 1 and key.endswith("weight"):
        z = 1 + 0.1 * z
    else:
        z = 0.3 * z if not shape else 0.1 * z
    return torch.tensor(z, dtype=torch.float32)
