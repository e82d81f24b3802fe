"""The evaluated cases of a run: what was predicted, and one by one what pictures are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from ggcam.data.case import SHORTCUT_MARKER, Region
from ggcam.data.prepared import PreparedData, label_matrix
from ggcam.errors import MissingFileError, RunFolderError
from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import attention_map
from ggcam.run_folder import PROBABILITY, RunFolder, predicted_classes

FINE_CELLS = 64
"""Cells, along the longer side, of a gaze map that is to be looked at."""


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """What predictions.parquet says.

    Attributes:
        case_ids: shape (n,).
        patients: shape (n,).
        class_names: k names.
        probabilities: shape (n, k).
        truth: shape (n, k), 1, 0 or NaN (unknown).
        several: whether a case may have several labels.
    """

    case_ids: Shaped[np.ndarray, " n"]
    patients: Shaped[np.ndarray, " n"]
    class_names: tuple[str, ...]
    probabilities: Float[np.ndarray, "n k"]
    truth: Float[np.ndarray, "n k"]
    several: bool

    @classmethod
    def from_table(cls, table: pd.DataFrame) -> PredictionTable:
        """From the table.

        Raises:
            KeyError: a column is missing.
        """
        names = predicted_classes(table)
        several = "label" not in table
        return cls(
            case_ids=table["case_id"].to_numpy(np.str_),
            patients=table["patient_id"].to_numpy(np.str_),
            class_names=names,
            probabilities=table[[PROBABILITY + name for name in names]].to_numpy(np.float64),
            truth=label_matrix(table, names, several),
            several=several,
        )

    @property
    def truth_probability(self) -> Float[np.ndarray, " n"]:
        """Probability that each case's truth got; of several labels, that of the one it was most wrong about."""
        given = np.where(self.truth == 1, self.probabilities, 1 - self.probabilities)
        known = np.isfinite(self.truth) if self.several else self.truth == 1
        return np.where(known, given, np.inf).min(axis=1, initial=1.0)

    @property
    def right(self) -> Shaped[np.ndarray, " n"]:
        """Whether the most probable class is the true one; of several labels, whether every known one is right."""
        if not self.several:
            return self.truth[np.arange(len(self.truth)), self.probabilities.argmax(axis=1)] == 1
        return (((self.probabilities > 0.5) == (self.truth == 1)) | np.isnan(self.truth)).all(axis=1)


@dataclass(frozen=True, eq=False)
class CaseView:
    """One evaluated case as pictures are made of it.

    Attributes:
        image: (H, W), of the frame.
        findings: its regions that mark a finding.
        gaze: (h, w) attention map on the grid of the CAM; None without gaze.
        cam: (k, h, w).
        fine_gaze: the same map on a grid of its own, to be looked at; None without gaze.
        readings: fixations of each reading, in pixels of the frame.
        markers: its regions that mark a simulated shortcut.
    """

    image: np.ndarray
    findings: tuple[Region, ...]
    gaze: np.ndarray | None
    cam: np.ndarray
    fine_gaze: np.ndarray | None = None
    readings: tuple[Fixations, ...] = ()
    markers: tuple[Region, ...] = ()


class CaseReader:
    """The evaluated cases of a run, one by one.

    Args:
        data: prepared folder that the cases belong to.
        cams: CAMs of the run, see `read_cams`.
        sigma_px: standard deviation of the gaze map's Gaussian in pixels of the frame; None uses `sigma_deg`.
        sigma_deg: the same in degrees of visual angle.
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
        """The case of this id."""
        cam, frame = self._cams[case_id], self._data.frame
        gaze, fine = None, None
        if case_id in self._data.gaze:
            finer = FINE_CELLS / max(frame.height_px, frame.width_px)
            gaze = self._map(case_id, cam.shape[1:])
            fine = self._map(case_id, (round(frame.height_px * finer), round(frame.width_px * finer)))
        regions = self._data.boxes.get(case_id, ())
        return CaseView(
            image=self._data.read_image(case_id),
            findings=tuple(region for region in regions if region.is_finding),
            gaze=gaze,
            cam=cam,
            fine_gaze=fine,
            readings=self._data.readings.get(case_id, ()),
            markers=tuple(region for region in regions if region.name == SHORTCUT_MARKER),
        )

    def _map(self, case_id: str, grid: tuple[int, ...]) -> np.ndarray:
        size = self._data.frame.shape
        return attention_map(self._data.gaze[case_id], (grid[0], grid[1]), size, self._sigma_px, self._sigma_deg)


def read_predictions(run: RunFolder) -> pd.DataFrame:
    """The table predictions.parquet, a row an evaluated case.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: the table is damaged.
    """
    _check_file(run, run.predictions)
    try:
        table = pd.read_parquet(run.predictions)
        table[["case_id", "patient_id", "predicted"]]
    except (ValueError, OSError, KeyError) as error:
        raise _damaged(run, run.predictions, error) from error
    return table


def read_cams(run: RunFolder) -> dict[str, Float[np.ndarray, "k h w"]]:
    """Case id -> CAM of each class.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: the file is damaged.
    """
    _check_file(run, run.cams)
    try:
        with np.load(run.cams) as arrays:
            return dict(zip(arrays["case_id"].tolist(), arrays["cam"].astype(np.float32), strict=True))
    except (ValueError, OSError, EOFError, KeyError, TypeError, BadZipFile) as error:
        raise _damaged(run, run.cams, error) from error


def _check_file(run: RunFolder, path: Path) -> None:
    if not path.is_file():
        raise MissingFileError("the run has not been evaluated", where=path, hint=f"ggcam evaluate {run.root}")


def _damaged(run: RunFolder, path: Path, error: Exception) -> RunFolderError:
    return RunFolderError(
        "the run's predictions or CAMs are damaged",
        where=path,
        got=error,
        hint=f"evaluate the run again: ggcam evaluate {run.root}",
    )
