"""What DICOM objects say about the network that computed them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ggcam.inference.bundle import is_bundle, open_bundle
from ggcam.inference.bundle_network import BundleNetwork
from ggcam.inference.cached_onnx import weights_sha256
from ggcam.inference.engines import Precision
from ggcam.inference.onnx import check_packages, read_metadata
from ggcam.training.run import open_run
from ggcam.utils.versions import versions

MANUFACTURER = "ggcam"


@dataclass(frozen=True)
class ModelIdentity:
    """A trained network, as DICOM objects identify it.

    Attributes:
        name: name of the network.
        weights_sha256: SHA-256 of the file of its weights, in hexadecimal digits.
        calibrated_on: number of validation images that the temperature was chosen on; 0 if it was not calibrated;
            None if the number is not known.
        temperature: what the logits of each class are divided by.
        thresholds: class -> probability from which an image counts as positive; without the classes that have none.
        version: version of ggcam.
        precision: what the network is computed in.
    """

    name: str
    weights_sha256: str
    calibrated_on: int | None
    temperature: tuple[float, ...]
    thresholds: Mapping[str, float]
    version: str = field(default_factory=lambda: versions("ggcam")["ggcam"])
    precision: Precision = "32"

    @property
    def key(self) -> tuple[str, ...]:
        """Texts that differ between networks whose DICOM objects may differ."""
        return self.version, *self.answers_key

    @property
    def answers_key(self) -> tuple[str, ...]:
        """Texts that differ between networks whose answers may differ; the same in every version of ggcam."""
        thresholds = str(sorted(self.thresholds.items()))
        return self.weights_sha256, str(self.temperature), thresholds, *self.lower_precision.values()

    @property
    def lower_precision(self) -> dict[str, str]:
        """The precision under the key "precision"; empty for float32, so that nothing changes there."""
        return {} if self.precision == "32" else {"precision": self.precision}


def read_model_identity(path: Path) -> ModelIdentity:
    """Read what identifies a trained network.

    Args:
        path: run folder, or ONNX file or bundle that `ggcam export` wrote.

    Returns:
        The identity, for the precision that the path has by itself. ONNX files have no thresholds.

    Raises:
        RunFolderError: the run is unfinished or damaged, or the path does not exist.
        WeightsError: the file is not an ONNX file written by ggcam.
        BundleError: the bundle is incomplete, has changed, or is of another version.
    """
    if path.is_file():
        check_packages("onnx", where=path)
        content = path.read_bytes()
        metadata = read_metadata(content)
        temperature = tuple(metadata.get("temperature", ()))
        calibrated_on = None if any(each != 1 for each in temperature) else 0
        digest = metadata.get("weights_sha256") or hashlib.sha256(content).hexdigest()
        name = metadata.get("network", "network")
        return ModelIdentity(name, digest, calibrated_on, temperature, {}, precision=metadata["precision"])
    if is_bundle(path):
        found = BundleNetwork(open_bundle(path))
        digest = found.bundle.weights_sha256
    else:
        found = open_run(path)
        if not found.folder.weights.is_file():
            found.load_model()  # says what an unfinished run lacks
        digest = weights_sha256(found.folder)
    calibration = found.calibration
    name = f"{found.spec.net} {found.spec.type}"
    return ModelIdentity(name, digest, calibration.cases, calibration.temperature, calibration.decision_thresholds)
