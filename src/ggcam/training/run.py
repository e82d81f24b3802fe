"""An opened run: its network, its training options and its data, read once and checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ggcam.errors import PreparedFolderError, RunFolderError, WeightsError
from ggcam.models import original, original_weights
from ggcam.models.cam import CAMClassifier
from ggcam.models.feature_distance import FeatureDistance, load_feature_distance
from ggcam.models.weight_files import read_state_dict
from ggcam.report.result_schemas import RunMetrics
from ggcam.run_folder import RunFolder, open_run_folder
from ggcam.training.calibration import Calibration, load_calibration
from ggcam.training.config import TrainConfig, config_from_dict
from ggcam.training.model_spec import ModelSpec
from ggcam.training.typicality import Typicality, load_typicality
from ggcam.utils.documents import read_text

if TYPE_CHECKING:  # a network is loaded without pandas, and pandas takes as long to import as the network to load
    import pandas as pd

    from ggcam.data.prepared import PreparedData


@dataclass(frozen=True, eq=False)
class Run:
    """A training run in its folder.

    Attributes:
        folder: paths of the run's files.
        spec: description of the network.
        config: options of the training.
    """

    folder: RunFolder
    spec: ModelSpec
    config: TrainConfig

    @property
    def name(self) -> str:
        """Name of the run, which is that of its folder."""
        return self.folder.root.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of the class of each output."""
        return self.spec.class_names

    @cached_property
    def history(self) -> pd.DataFrame:
        """Losses, validation metrics and learning rate: one row per epoch.

        Raises:
            MissingFileError: the run has not finished an epoch.
            RunFolderError: the file is damaged.
        """
        from ggcam.report.run_files import read_history

        return read_history(self.folder)

    @property
    def metrics(self) -> RunMetrics:
        """Content of metrics.json, as the last evaluation left it.

        Raises:
            MissingFileError: the run has not been evaluated.
            RunFolderError: the file is damaged.
        """
        from ggcam.report.run_files import read_metrics

        return read_metrics(self.folder)

    @property
    def divergence(self) -> str | None:
        """Why the run has no trained network, if its training diverged; None otherwise."""
        path = self.folder.divergence
        return read_text(path, RunFolderError).strip() if path.is_file() else None

    @cached_property
    def calibration(self) -> Calibration:
        """How logits become probabilities and decisions; temperature 1 where the run was not calibrated.

        Raises:
            RunFolderError: the file is damaged.
        """
        return load_calibration(self.folder.calibration, len(self.class_names))

    @cached_property
    def typicality(self) -> Typicality | None:
        """What the training images look like; None where the run does not know.

        Raises:
            RunFolderError: the file is damaged.
        """
        return load_typicality(self.folder.typicality)

    def load_feature_distance(self, model: CAMClassifier) -> FeatureDistance | None:
        """Load what measures how far the features of an image are from those of the training images.

        Args:
            model: the network of the run.

        Returns:
            The module, on the CPU; None where the run does not know what its training images look like.

        Raises:
            MissingFileError: one of the two files is missing.
            RunFolderError: a file is damaged, or does not fit the network.
        """
        if self.typicality is None:
            return None
        return load_feature_distance(self.folder.typicality, model.backbone.num_features)

    def data(self, root: Path | str | None = None) -> PreparedData:
        """Load the prepared folder that the run was trained on.

        The folder is loaded as it is: `ggcam.data.views.apply_view` applies the run's own split (`config.view`).

        Args:
            root: another prepared folder to load instead.

        Returns:
            The prepared data.

        Raises:
            PreparedFolderError: the folder does not exist or is damaged.
        """
        from ggcam.data.prepared import load_prepared

        root = self.folder.data_root if root is None else Path(root)
        if not root.exists():
            raise PreparedFolderError(
                "the data of the run do not exist",
                where=root,
                hint=f"restore the folder, or pass another one: ggcam evaluate {self.folder.root} --data DATA",
            )
        return load_prepared(root)

    def load_model(self) -> CAMClassifier:
        """Load the best network of the run.

        Returns:
            The network in evaluation mode, on the CPU.

        Raises:
            RunFolderError: training has not finished, or the weights are damaged or belong to another network.
        """
        weights = self.folder.weights
        if not weights.is_file():
            reason = self.divergence
            raise RunFolderError(
                "the run has no trained network" + (" yet" if reason is None else ""),
                where=weights,
                got=None if reason is None else "\n    ".join(reason.splitlines()),
                hint=f"finish it: ggcam train --resume {self.folder.root}" if reason is None else None,
            )
        model = self.spec.build()
        try:
            state = read_state_dict(weights, checksums=True)
            if original.is_original(model):
                original_weights.load_state_dict(model, state)
            else:
                model.load_state_dict(state)
        except (WeightsError, RuntimeError) as error:
            raise RunFolderError(
                "the weights cannot be loaded into the network",
                where=weights,
                got=f"{type(error).__name__}: {error}"[:300],
            ) from error
        return model.eval()


def open_run(path: Path | str) -> Run:
    """Open a run folder. No weights are loaded, and no code that the folder names is imported.

    Args:
        path: the folder that `ggcam train` or `ggcam.train` wrote.

    Returns:
        The run; it may be unfinished.

    Raises:
        RunFolderError: the folder is not a run folder, or is damaged.
        ConfigError: its config.toml has an unknown key or an invalid value.

    Example:
        >>> run = open_run("run/mine")  # doctest: +SKIP
        >>> run.config.guidance, run.class_names  # doctest: +SKIP
        ('ggcam-cc', ('Normal', 'CHF', 'pneumonia'))
    """
    folder = open_run_folder(Path(path))
    return Run(
        folder,
        ModelSpec.from_dict(folder.model_settings, where=folder.root / "params_<Net>_.txt"),
        config_from_dict(folder.settings["train"], where=folder.config),
    )
