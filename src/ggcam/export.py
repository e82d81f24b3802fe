"""A trained run -> a file for another program."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ggcam.errors import ConfigError
from ggcam.models import released
from ggcam.run_folder import open_run_folder
from ggcam.training.description import ModelDescription, load_model


def export_released(root: Path, out: Path) -> None:
    """Write a run's network as a `NET.pt` that the original GG-CAM and :func:`ggcam.models.released.load` can load.

    The scalars of the loss, which play no part in predictions, go along where the run's guidance has them.

    Args:
        root: the run folder.
        out: the file to write.

    Raises:
        RunFolderError: it is no run folder, or training has not finished.
        ConfigError: the run's network is none of the original's.
    """
    run = open_run_folder(root)
    model = load_model(run)
    if not released.is_released(model):
        raise ConfigError(
            f"the original GG-CAM has no network to load this run's {ModelDescription.of(run).type} into",
            where=run.root,
            fix=f"train one of its own networks: --backbone {' or '.join(released.NETWORKS)}",
        )
    scalars = released.scalars_of(released.read_state(run.network))
    aside = out.with_name(out.name + ".part")
    torch.save(released.state_of(model, scalars), aside)
    os.replace(aside, out)


EXPORTERS: Mapping[str, Callable[[Path, Path], None]] = {"released": export_released}
"""Format on the command line -> what writes it, given a run folder and the file to write."""
