"""What the DICOM objects of one image share: its source, its prediction, and their identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32
from pydicom.dataset import Dataset

from ggcam.dicom_output.codes import CODING_SCHEME, long_string
from ggcam.dicom_output.model_identity import MANUFACTURER, ModelIdentity
from ggcam.dicom_output.options import KIND_NAMES, KINDS, DicomOptions, Kind
from ggcam.dicom_output.uids import derive_uid, result_uid
from ggcam.inference.result import PredictionResult

_FIRST_SERIES_NUMBER = 9001


@dataclass(frozen=True, eq=False)
class Subject:
    """One predicted image and the objects to make of it.

    Attributes:
        reference: attributes of the source image; see :func:`ggcam.dicom_output.source.read_source`.
        result: its prediction.
        model: the network that computed it.
        options: which objects to make.
    """

    reference: Dataset
    result: PredictionResult
    model: ModelIdentity
    options: DicomOptions

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the frames of the map."""
        return tuple(self.result.probabilities)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Class -> probability from which the image counts as positive; without the classes that have none."""
        return self.model.thresholds

    @cached_property
    def cams(self) -> Float32[np.ndarray, "k h w"]:
        """The CAM of each class at the size of the source image; NaN in margins that the network did not see."""
        return np.stack([self.result.cam[name] for name in self.class_names])

    @cached_property
    def unseen(self) -> Bool[np.ndarray, "h w"]:
        """Where the network did not see the image; the same for each class."""
        return np.isnan(self.cams[0])

    @cached_property
    def cam_range(self) -> tuple[float, float]:
        """Smallest and largest value of the CAMs of all classes; 0 and 0 if the network saw nothing of the image."""
        seen = self.cams[:, ~self.unseen]
        return (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)

    def unit_cam(self, class_name: str) -> Float32[np.ndarray, "h w"]:
        """Scale the CAM of a class from its own range to 0..1.

        Args:
            class_name: the class.

        Returns:
            0 where the network did not see the image, and everywhere if the CAM is constant.
        """
        cam = self.cams[self.class_names.index(class_name)]
        seen = cam[~self.unseen]
        if _is_flat(seen):
            return np.zeros_like(cam)
        return np.where(self.unseen, np.float32(0), (cam - seen.min()) / (seen.max() - seen.min()))

    def peak(self, class_name: str) -> tuple[int, int, float] | None:
        """Find the largest value of a CAM.

        Args:
            class_name: the class.

        Returns:
            Row and column of the pixel, and the value; None if the CAM is constant.
        """
        cam = self.cams[self.class_names.index(class_name)]
        if _is_flat(cam[~self.unseen]):
            return None
        row, column = np.unravel_index(int(np.nanargmax(cam)), cam.shape)
        return int(row), int(column), float(cam[row, column])

    def uid(self, *parts: str) -> str:
        """Derive a UID from the source image and the network.

        Args:
            *parts: what distinguishes it from the other UIDs of the image.
        """
        return derive_uid(str(self.reference.SOPInstanceUID), *self.model.key, *parts)

    def series(self, kind: Kind) -> dict[str, Any]:
        """Return the arguments by which highdicom identifies an object, its series and its equipment.

        Args:
            kind: kind of the object.
        """
        return {
            "series_instance_uid": self.uid("series", kind, str(self.options)),
            "series_number": _FIRST_SERIES_NUMBER + KINDS.index(kind),
            "series_description": long_string(f"ggcam {KIND_NAMES[kind]}, for research use"),
            "sop_instance_uid": result_uid(str(self.reference.SOPInstanceUID), self.model, self.options, kind),
            "instance_number": max(1, int(self.reference.get("InstanceNumber") or 1)),
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": long_string(self.model.name),
            "software_versions": long_string(self.model.version),
            "device_serial_number": self.model.weights_sha256,  # exactly the 64 characters that fit
            "content_qualification": "RESEARCH",
            "specific_character_set": "ISO_IR 192",
            "coding_schemes": [CODING_SCHEME],
        }


def _is_flat(values: Float32[np.ndarray, " n"]) -> bool:
    """Return whether values differ by no more than interpolating a constant map makes them."""
    return not values.size or bool(np.ptp(values) <= 1e-6 * np.abs(values).max())
