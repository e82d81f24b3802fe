"""What DICOM objects say about the network that computed them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ggcam.inference.onnx import check_packages, read_metadata
from ggcam.inference.run_onnx import weights_sha256
from ggcam.training.run import open_run
from ggcam.utils.versions import versions

MANUFACTURER = "ggcam"
AIM = "youden"
"""Of the thresholds of a run, those with the largest sensitivity + specificity are reported."""


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
    """

    name: str
    weights_sha256: str
    calibrated_on: int | None
    temperature: tuple[float, ...]
    thresholds: Mapping[str, float]
    version: str = field(default_factory=lambda: versions("ggcam")["ggcam"])

    @property
    def key(self) -> tuple[str, ...]:
        """Texts that differ between networks whose results may differ."""
        return self.version, self.weights_sha256, str(self.temperature), str(sorted(self.thresholds.items()))


def read_model_identity(path: Path) -> ModelIdentity:
    """Read what identifies a trained network.

    Args:
        path: run folder, or ONNX file that `ggcam export --format onnx` wrote.

    Returns:
        The identity. ONNX files have no thresholds.

    Raises:
        RunFolderError: the run is unfinished or damaged, or the path does not exist.
        WeightsError: the file is not an ONNX file written by ggcam.
    """
    if path.is_file():
        check_packages("onnx", where=path)
        content = path.read_bytes()
        metadata = read_metadata(content)
        temperature = tuple(metadata.get("temperature", ()))
        calibrated_on = None if any(each != 1 for each in temperature) else 0
        digest = metadata.get("weights_sha256") or hashlib.sha256(content).hexdigest()
        return ModelIdentity(metadata.get("network", "network"), digest, calibrated_on, temperature, {})
    run = open_run(path)
    if not run.folder.weights.is_file():
        run.load_model()  # says what an unfinished run lacks
    thresholds = run.calibration.thresholds.get(AIM, {})
    return ModelIdentity(
        f"{run.spec.net} {run.spec.type}",
        weights_sha256(run.folder),
        run.calibration.cases,
        run.calibration.temperature,
        {name: value for name, value in thresholds.items() if value is not None},
    )
