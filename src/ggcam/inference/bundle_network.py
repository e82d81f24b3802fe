"""The network of a bundle in torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ggcam.data.framing import FRAMINGS
from ggcam.errors import BundleError, WeightsError
from ggcam.inference.bundle import NETWORK, Bundle
from ggcam.inference.devices import find_device
from ggcam.inference.network import Network
from ggcam.inference.precision import PrecisionName
from ggcam.inference.probabilities import BatchPredictor
from ggcam.inference.torch_engine import open_torch
from ggcam.models.cam import CAMClassifier
from ggcam.models.feature_distance import FeatureDistance, load_feature_distance
from ggcam.models.weight_files import read_state_dict
from ggcam.training.calibration import Calibration, load_calibration
from ggcam.training.model_spec import ModelSpec
from ggcam.training.typicality import Typicality, load_typicality


@dataclass(frozen=True)
class BundleNetwork:
    """What a prediction with torch needs of a bundle.

    Attributes:
        bundle: the opened bundle.
    """

    bundle: Bundle

    @cached_property
    def spec(self) -> ModelSpec:
        """Description of the network.

        Raises:
            RunFolderError: a value is missing or has the wrong type.
        """
        return ModelSpec.from_dict(self.bundle.network, where=self.bundle.root / NETWORK)

    @cached_property
    def calibration(self) -> Calibration:
        """Temperatures and thresholds.

        Raises:
            RunFolderError: the file is damaged.
        """
        return load_calibration(self.bundle.calibration, len(self.spec.class_names))

    @cached_property
    def typicality(self) -> Typicality | None:
        """What the training images look like; None where the run did not know.

        Raises:
            RunFolderError: the file is damaged.
        """
        return None if self.bundle.typicality is None else load_typicality(self.bundle.typicality)

    def load_model(self) -> CAMClassifier:
        """Build the network and load its weights.

        Returns:
            The network in evaluation mode, on the CPU.

        Raises:
            BundleError: the weights belong to another network, or are damaged.
        """
        model = self.spec.build()
        try:
            model.load_state_dict(read_state_dict(self.bundle.weights))
        except (WeightsError, RuntimeError) as error:
            raise BundleError(
                "the weights cannot be loaded into the network",
                where=self.bundle.weights,
                got=f"{type(error).__name__}: {error}"[:300],
            ) from error
        return model.eval()

    def load_feature_distance(self, model: CAMClassifier) -> FeatureDistance | None:
        """Load what measures how far the features of an image are from those of the training images.

        Args:
            model: the network.

        Returns:
            The module, on the CPU; None where the run did not know what its training images look like.

        Raises:
            MissingFileError: a file is missing.
            RunFolderError: a file is damaged, or does not fit the network.
        """
        path = self.bundle.typicality
        return None if path is None else load_feature_distance(path, model.backbone.num_features)


def open_in_torch(bundle: Bundle, device: str | None = None, precision: PrecisionName = "32") -> Network:
    """Open a bundle for prediction with torch.

    Args:
        bundle: the opened bundle.
        device: torch device; None for a GPU where there is one.
        precision: "32", "bf16", or "auto" for the faster of the two.

    Returns:
        The network.

    Raises:
        ConfigError: the device does not exist.
        BundleError: the weights belong to another network, or are damaged.
        RunFolderError: a description in the bundle is damaged.
    """
    found = BundleNetwork(bundle)
    spec, model = found.spec, found.load_model()
    chosen = open_torch(model, find_device(device), found.load_feature_distance(model), precision, spec)
    framing = FRAMINGS[spec.framing](spec.frame, spec.used_bits, spec.channels)
    predictor = BatchPredictor(chosen.engine, spec.multi_label, found.calibration.temperature)
    return Network(spec.class_names, framing, predictor, "torch", found.typicality, chosen.precision)
