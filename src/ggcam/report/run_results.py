"""Read what a run folder holds into the form that its page is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from ggcam.data.case import Affine, Region
from ggcam.data.prepared import PreparedData, label_matrix, load_prepared
from ggcam.errors import MissingFileError, PreparedFolderError, RunFolderError
from ggcam.gaze.maps import attention_map
from ggcam.report.overlay import cam_overlay, draw_regions, draw_scanpath, enlarged, png_bytes, to_rgb
from ggcam.report.page import GALLERY_MOST, GalleryCase, RunResults
from ggcam.run_folder import RunFolder, read_json
from ggcam.versions import versions

LEAST_SIDE_PX = 224
"""Small frames are enlarged to this for the page."""


def read_results(run: RunFolder) -> RunResults:
    """Everything for the page of an evaluated run.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: what the evaluation left is damaged.
        PreparedFolderError: its data are gone, which the pictures need.
    """
    measured = _demand_keys(run.metrics, "data", "split", "patients")
    report = _demand_keys(run.report, "ours")
    data = data_of(run, Path(measured["data"]))
    return RunResults(
        run_id=run.root.name,
        metrics=measured,
        report=report,
        summary={
            "Guidance": str(run.settings["train"].get("guidance", "unknown")),
            "Network": run.description.get("backbone", run.description["type"]),
            "Frame": str(data.frame),
            "Split": measured["split"],
            "Patients": f"{measured['patients']:,}",
        },
        training_png=run.curves.read_bytes() if run.curves.is_file() else None,
        gallery=_gallery(run, data),
        config=(run.root / "config.toml").read_text(encoding="utf-8"),
        versions=versions("ggcam", "torch", "timm", "lightning", "numpy"),
    )


def _demand_keys(path: Path, *keys: str) -> dict[str, Any]:
    content = read_json(path)
    missing = [key for key in keys if key not in content]
    if missing:
        raise RunFolderError(
            f"a file of the run lacks {', '.join(missing)}", where=path, fix="evaluate the run again: ggcam evaluate"
        )
    return content


def data_of(run: RunFolder, root: Path | None = None) -> PreparedData:
    """The prepared folder that a run was trained on; or another one, on which it was evaluated.

    Raises:
        PreparedFolderError: it is not where it was, or damaged.
    """
    root = root or run.data_root
    if not root.exists():
        raise PreparedFolderError(
            "the run's data are not where they were",
            where=root,
            fix=f"put them back, or say where they are: ggcam evaluate {run.root} --data DATA",
        )
    return load_prepared(root)


@dataclass(frozen=True, eq=False)
class Shown:
    """One evaluated case as pictures are made of it.

    Attributes:
        image: (H, W), of the frame.
        findings: its regions that mark a finding.
        gaze: (h, w) attention map on the grid of the CAM; None without gaze.
        cam: (k, h, w).
    """

    image: np.ndarray
    findings: tuple[Region, ...]
    gaze: np.ndarray | None
    cam: np.ndarray


class ShownCases:
    """The evaluated cases of a run, one by one.

    Args:
        run: an evaluated run.
        data: its prepared folder.

    Raises:
        MissingFileError: the run has not been evaluated.
        RunFolderError: what the evaluation left is damaged.
    """

    def __init__(self, run: RunFolder, data: PreparedData):
        for path in (run.predictions, run.cams):
            if not path.is_file():
                raise MissingFileError("the run has not been evaluated", where=path, fix=f"ggcam evaluate {run.root}")
        try:
            self.table = pd.read_parquet(run.predictions)
            arrays = np.load(run.cams)
            self._cams = dict(zip(arrays["case_id"].tolist(), arrays["cam"].astype(np.float32), strict=True))
        except (ValueError, OSError, EOFError, KeyError, BadZipFile) as error:
            raise RunFolderError(
                "the run's predictions or CAMs are damaged",
                where=f"{run.predictions}, {run.cams}",
                got=error,
                fix=f"evaluate the run again: ggcam evaluate {run.root}",
            ) from error
        self._data = data
        self._blur = {name: run.settings["train"].get(name) for name in ("sigma_px", "sigma_deg")}

    def __getitem__(self, case_id: str) -> Shown:
        """The case of this id."""
        cam = self._cams[case_id]
        gaze = None
        if case_id in self._data.gaze:
            frame = self._data.frame
            size = (frame.height_px, frame.width_px)
            gaze = attention_map(self._data.gaze[case_id], cam.shape[1:], size, **self._blur)
        findings = tuple(region for region in self._data.boxes.get(case_id, ()) if region.is_finding)
        return Shown(self._data.read_image(case_id), findings, gaze, cam)


def _gallery(run: RunFolder, data: PreparedData) -> tuple[GalleryCase, ...]:
    """The first cases of each class in turn, so that every class is seen.

    Of several labels that a case has the one counts that fewest cases have; -1 stands for none, whose turn comes first.
    """
    cases = ShownCases(run, data)
    has = label_matrix(cases.table, data.class_names, data.multi_label) == 1
    counted = np.where(has.any(axis=1), np.where(has, has.sum(axis=0), len(has) + 1).argmin(axis=1), -1)
    table = cases.table.assign(counted=counted, truth=[", ".join(np.array(data.class_names)[row]) for row in has])
    turn = table.groupby("counted").cumcount()
    chosen = table.assign(turn=turn).sort_values(["turn", "counted"]).head(GALLERY_MOST)
    pictures = []
    for row in chosen.to_dict("records"):
        shown, predicted = cases[row["case_id"]], int(row["predicted"])
        label = int(row["counted"]) if row["counted"] >= 0 else predicted
        image = enlarged(shown.image, LEAST_SIDE_PX)
        scale = image.shape[0] / shown.image.shape[0]
        larger = Affine(scale_x=scale, scale_y=scale)
        findings = [region.moved(larger) for region in shown.findings]
        gaze = None
        if shown.gaze is not None:
            path = larger.apply(data.gaze[row["case_id"]])
            gaze = png_bytes(draw_scanpath(cam_overlay(image, shown.gaze), path))
        pictures.append(
            GalleryCase(
                name=row["case_id"],
                true_class=row["truth"] or "none of the labels",
                predicted_class=data.class_names[predicted],
                probability=float(row[f"probability_{data.class_names[predicted]}"]),
                image=png_bytes(draw_regions(to_rgb(image), findings)),
                cam=png_bytes(cam_overlay(image, shown.cam[label].astype(np.float64))),
                gaze=gaze,
                cam_class=data.class_names[label] if data.multi_label else None,
            )
        )
    return tuple(pictures)
