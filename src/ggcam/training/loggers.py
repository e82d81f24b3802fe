"""Loggers of a training run that write nothing about the machine."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger


def create_loggers(folder: Path) -> list[Logger]:
    """Create the loggers of a run, which write to `logs/`.

    Args:
        folder: run folder.

    Returns:
        A CSV and a TensorBoard logger.
    """
    return [CSVLogger(folder, "logs"), _TensorBoardLogger(folder, "logs", version="tensorboard")]


class _TensorBoardLogger(TensorBoardLogger):
    """TensorBoard logger whose files are not named after the machine."""

    @property
    def experiment(self) -> Any:
        """The writer; TensorBoard puts the host's name into the name of the file when it is created."""
        with patch.object(socket, "gethostname", return_value="host"):
            return super().experiment
