"""The evaluated cases of a run: their predictions, and what is needed to draw each one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped

from ggcam.data.case import SHORTCUT_MARKER, Region
from ggcam.data.prepared import PreparedData
from ggcam.data.schema import label_matrix
from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import attention_map
from ggcam.run_folder import PROBABILITY, predicted_classes

FINE_CELLS = 64
"""Cells of a displayed gaze map along the longer side."""


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """Content of predictions.parquet.

    Attributes:
        case_ids: shape (n,).
        patients: shape (n,).
        class_names: names of the k classes.
        probabilities: shape (n, k).
        truth: shape (n, k), 1, 0 or NaN (unknown).
        multi_label: whether a case may have several labels.
    """

    case_ids: Shaped[np.ndarray, " n"]
    patients: Shaped[np.ndarray, " n"]
    class_names: tuple[str, ...]
    probabilities: Float[np.ndarray, "n k"]
    truth: Float[np.ndarray, "n k"]
    multi_label: bool

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> PredictionTable:
        """Parse the table.

        Args:
            table: one row per evaluated case.

        Returns:
            Its content.

        Raises:
            KeyError: a column is missing.
        """
        names = predicted_classes(table)
        multi_label = "label" not in table
        return cls(
            case_ids=table["case_id"].to_numpy(np.str_),
            patients=table["patient_id"].to_numpy(np.str_),
            class_names=names,
            probabilities=table[[PROBABILITY + name for name in names]].to_numpy(np.float64),
            truth=label_matrix(table, names, multi_label),
            multi_label=multi_label,
        )

    @property
    def truth_probability(self) -> Float[np.ndarray, " n"]:
        """Probability of each case's true class; in multi-label data the lowest one that a known label's truth has."""
        given = np.where(self.truth == 1, self.probabilities, 1 - self.probabilities)
        known = np.isfinite(self.truth) if self.multi_label else self.truth == 1
        return np.where(known, given, np.inf).min(axis=1, initial=1.0)

    @property
    def correct(self) -> Bool[np.ndarray, " n"]:
        """Whether the most probable class is the true one; in multi-label data, whether every known label is right."""
        if not self.multi_label:
            return self.truth[np.arange(len(self.truth)), self.probabilities.argmax(axis=1)] == 1
        return (((self.probabilities > 0.5) == (self.truth == 1)) | np.isnan(self.truth)).all(axis=1)


@dataclass(frozen=True, eq=False)
class CaseView:
    """What is needed to draw one evaluated case.

    Attributes:
        image: shape (H, W), in the frame.
        findings: regions that mark a finding.
        gaze: shape (h, w), gaze map on the grid of the CAM; None without gaze.
        cam: shape (k, h, w).
        fine_gaze: the same gaze map on a finer grid; None without gaze.
        readings: fixations of each reading, in pixels of the frame.
        markers: regions that mark a simulated shortcut.
    """

    image: np.ndarray
    findings: tuple[Region, ...]
    gaze: np.ndarray | None
    cam: np.ndarray
    fine_gaze: np.ndarray | None = None
    readings: tuple[Fixations, ...] = ()
    markers: tuple[Region, ...] = ()


class CaseReader:
    """Reads the evaluated cases of a run one by one.

    Args:
        data: prepared folder that the cases belong to.
        cams: CAMs of the run, see :func:`ggcam.report.run_files.read_cams`.
        sigma_px: standard deviation of the gaze map's Gaussian in pixels of the frame; None to use `sigma_deg`.
        sigma_deg: standard deviation in degrees of visual angle.
    """

    def __init__(
        self,
        data: PreparedData,
        cams: Mapping[str, Float[np.ndarray, "k h w"]],
        sigma_px: float | None = None,
        sigma_deg: float = 1.0,
    ):
        self._cams = cams
        self._data = data
        self._sigma_px, self._sigma_deg = sigma_px, sigma_deg

    def __getitem__(self, case_id: str) -> CaseView:
        """Read the case with an id."""
        cam, frame = self._cams[case_id], self._data.frame
        gaze, fine_gaze = None, None
        if case_id in self._data.gaze:
            scale = FINE_CELLS / max(frame.height_px, frame.width_px)
            gaze = self._gaze_map(case_id, cam.shape[1:])
            fine_gaze = self._gaze_map(case_id, (round(frame.height_px * scale), round(frame.width_px * scale)))
        regions = self._data.boxes.get(case_id, ())
        return CaseView(
            image=self._data.read_image(case_id),
            findings=tuple(region for region in regions if region.is_finding),
            gaze=gaze,
            cam=cam.astype(np.float32),
            fine_gaze=fine_gaze,
            readings=self._data.readings.get(case_id, ()),
            markers=tuple(region for region in regions if region.name == SHORTCUT_MARKER),
        )

    def _gaze_map(self, case_id: str, grid: tuple[int, ...]) -> np.ndarray:
        gaze, size = self._data.gaze[case_id], self._data.frame.shape
        return attention_map(gaze, (grid[0], grid[1]), size, sigma_px=self._sigma_px, sigma_deg=self._sigma_deg)
