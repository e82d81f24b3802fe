"""The choice of the torch device."""

from __future__ import annotations

import torch

from ggcam.errors import ConfigError


def find_device(name: str | None = None) -> torch.device:
    """Return the torch device of a name and check that it works.

    Args:
        name: a torch device, such as "cpu" or "cuda:0"; None for :func:`best_device`.

    Returns:
        The device.

    Raises:
        ConfigError: the device does not exist on this machine.
    """
    try:
        device = torch.device(name or best_device())
        torch.ones(1, device=device).item()  # torch.device() alone accepts devices that do not exist
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"this machine has no device {name!r}",
            where="--device",
            expected=f"a torch device, such as {best_device()}",
            got=str(error)[:200],
        ) from error
    return device


def best_device() -> str:
    """Return "cuda" or "mps" where there is such a GPU, else "cpu"."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
