"""SIIM-ACR pneumothorax with the gaze of Saab et al.: outlined lesions and one radiologist's gaze.

The images and `train-rle.csv` are those of the SIIM-ACR Pneumothorax Segmentation challenge. The gaze is that of Saab
et al., "Observational supervision for medical image classification using gaze data", MICCAI 2021 (called CXR-P there).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from ggcam.data.case import Case, Source
from ggcam.data.sources.axis_order import Points, check_axis_order
from ggcam.data.sources.fixation_rows import FixationRows, count_without_gaze, group_readings
from ggcam.data.sources.image_files import images_by_id, read_sizes
from ggcam.data.sources.siim_gaze import read_gaze_clusters
from ggcam.data.sources.siim_lesions import lesion_mask, read_lesions
from ggcam.errors import ConfigError, DataError, MissingFileError, join_limited
from ggcam.gaze.fixations import Fixations

NAME = "siim_acr"
EXPECTED_FILES = "train-rle.csv and one *gaze*.json or *gaze*.pkl, beside dicom-images-train"
CLASS_NAMES = ("no pneumothorax", "pneumothorax")
LESION = "pneumothorax"
SAMPLES_PER_S = 60.0

AxisOrder = Literal["row-first", "column-first"]


def can_read(root: Path) -> bool:
    """Return whether a folder has the table of run lengths.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    return (root / "train-rle.csv").is_file()


def read(
    root: Path,
    images: Path | None = None,
    labels: Path | None = None,
    fixations: Path | None = None,
    axis_order: AxisOrder = "row-first",
    skip_missing: bool = False,
) -> Source:
    """Read the images listed in the table of run lengths, with lesions as masks, and gaze where there is any.

    The first coordinate in the gaze files is the row and the second the column, both as fractions of the image,
    although their documentation calls them x and y. This is verified: more gaze must lie on the lungs and lesions than
    if the coordinates were exchanged. A cluster of n samples lasts n/60 s nominally; its start is unknown, only the
    order is known.

    The challenge does not identify patients: each study counts as one patient.

    Args:
        root: folder with train-rle.csv.
        images: folder with the images at any depth, named `<SOPInstanceUID>.dcm` (or .png, .jpg). Default: RAW.
        labels: table of run lengths. Default: train-rle.csv in RAW.
        fixations: gaze file, JSON or pickle. Default: the only file with "gaze" in its name in RAW or RAW/gaze_data.
        axis_order: which coordinate comes first in the gaze file.
        skip_missing: leave out cases whose image is missing or unreadable, and count them.

    Returns:
        The cases in the order of the table.

    Raises:
        ConfigError: there are several gaze files.
        MissingFileError: a file or images are missing.
        TableError: a table or the gaze file has invalid content.
        ImageError: images cannot be read.
        DataError: the axes are exchanged, or a file is damaged.
    """
    dropped: Counter[str] = Counter()
    lesions = read_lesions(labels or root / "train-rle.csv")
    gaze_path = fixations or _find_gaze_file(root)
    gaze = read_gaze_clusters(gaze_path)
    found = images_by_id(images or root, dropped)
    ids = list(lesions)
    files = [found.get(image_id, (images or root) / f"{image_id}.dcm") for image_id in ids]
    sizes = read_sizes(files, skip_missing, dropped, hint="pass the folder of dicom-images-train with --images")
    usable = np.flatnonzero(sizes[:, 0]).tolist()
    ids, files, sizes = [ids[at] for at in usable], [files[at] for at in usable], sizes[usable]
    if not ids:
        raise DataError("none of the images in the table exists", where=images or root)
    dropped["image that the table does not list"] += len(found.keys() - lesions.keys())
    dropped["gaze on an image that is not a case"] += len(gaze.keys() - set(ids))

    points = {image_id: _row_first(gaze[image_id], axis_order) for image_id in ids if image_id in gaze}
    masks = [
        lesion_mask(lesions[image_id], height, width, dropped)
        for image_id, (height, width) in zip(ids, sizes.tolist(), strict=True)
    ]
    drawn = (
        (points[image_id], mask.read(height, width) if mask else None)
        for image_id, mask, (height, width) in zip(ids, masks, sizes.tolist(), strict=True)
        if image_id in points
    )
    other = "row-first" if axis_order == "column-first" else "column-first"
    check_axis_order(drawn, gaze_path, f"pass --axis-order {other}; or use the original images if these were rotated")
    readings = _readings(points, ids, sizes, dropped, gaze_path)
    count_without_gaze(readings, dropped)
    cases = tuple(
        Case(
            case_id=image_id,
            patient_id=_study_uid(file),
            label=int(bool(lesions[image_id])),
            image=file,
            readings=of_case,
            region_masks={LESION: mask} if mask else {},
        )
        for image_id, file, of_case, mask in zip(ids, files, readings, masks, strict=True)
    )
    return Source(NAME, CLASS_NAMES, cases, dict(+dropped), kind="chest")


def _find_gaze_file(root: Path) -> Path:
    folders = (root, root / "gaze_data")
    found = sorted(
        path for folder in folders for path in folder.glob("*gaze*") if path.suffix in (".json", ".pkl", ".pickle")
    )
    if len(found) > 1:
        raise ConfigError(
            "there are several gaze files", where=root, got=join_limited(found), hint="pass one with --fixations"
        )
    if not found:
        raise MissingFileError(
            "there is no gaze file",
            where=root,
            expected="*gaze*.json or *gaze*.pkl",
            hint="pass one with --fixations FILE",
        )
    return found[0]


def _study_uid(file: Path) -> str:
    """Return the study of `<StudyUID>/<SeriesUID>/<SOPUID>.dcm`; the name of the image in a flat folder."""
    study = file.parent.parent.name
    return study if study.count(".") > 2 else file.stem


def _row_first(clusters: Float[np.ndarray, "n 3"], axis_order: AxisOrder) -> Points:
    return clusters if axis_order == "row-first" else clusters[:, [1, 0, 2]]


def _readings(
    points: dict[str, Points], ids: list[str], sizes: Int[np.ndarray, "cases 2"], dropped: Counter[str], where: Path
) -> list[dict[str, Fixations]]:
    counts = [len(points.get(image_id, ())) for image_id in ids]
    case = np.repeat(np.arange(len(ids)), counts)
    row, column, samples = np.concatenate([np.empty((0, 3)), *(points[i] for i in ids if i in points)]).T
    rows = FixationRows.build(
        case=case,
        x_px=column * sizes[case, 1],
        y_px=row * sizes[case, 0],
        duration_s=samples / SAMPLES_PER_S,
    )
    return group_readings(rows, sizes, dropped, where)
