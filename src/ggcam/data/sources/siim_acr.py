"""SIIM-ACR pneumothorax with the gaze of Saab et al.: chest X-rays, lesions drawn by hand, one radiologist's gaze.

The images and `train-rle.csv` are those of the SIIM-ACR Pneumothorax Segmentation challenge. The gaze is that of Saab
et al., "Observational supervision for medical image classification using gaze data", MICCAI 2021 (there: CXR-P).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from ggcam.data.case import Case, Region, Source
from ggcam.data.sources.axis_order import Points, check_axis_order
from ggcam.data.sources.image_files import images_by_id, read_sizes
from ggcam.data.sources.fixation_rows import FixationRows, group_readings
from ggcam.data.sources.siim_gaze import read_gaze_clusters
from ggcam.data.sources.siim_lesions import Lesions, bounding_box, decode_run_lengths, read_lesions
from ggcam.errors import ConfigError, DataError, MissingFileError, join_limited
from ggcam.gaze.fixations import Fixations

NAME = "siim_acr"
EXPECTED_FILES = "train-rle.csv and one *gaze*.json or *gaze*.pkl, beside dicom-images-train"
CLASS_NAMES = ("no pneumothorax", "pneumothorax")
LESION = "pneumothorax"
SAMPLES_PER_S = 60.0

AxisOrder = Literal["row-first", "column-first"]


def can_read(root: Path) -> bool:
    """Whether the folder holds the run-length table."""
    return (root / "train-rle.csv").is_file()


def read(
    root: Path,
    images: Path | None = None,
    labels: Path | None = None,
    fixations: Path | None = None,
    axis_order: AxisOrder = "row-first",
    skip_missing: bool = False,
) -> Source:
    """Read the images that the run-length table lists, with lesions as boxes and gaze where there is any.

    The first coordinate of the gaze files is the row and the second the column, each a share of the image, although
    their description calls them x and y. That is verified: gaze must lie on lungs and lesions more than its transpose
    does. A cluster of n samples lasts n/60 s, nominally; when it began is not known, only the order.

    Each image is a patient of its own, named by its study: the challenge tells no more.

    Args:
        root: the folder of train-rle.csv.
        images: the folder below which the images are found by their name, `<SOPInstanceUID>.dcm` (or .png, .jpg);
            `root` by default.
        labels: the run-length table; `root/train-rle.csv` by default.
        fixations: the gaze file, JSON or pickle; by default the one file of `root`, or of `root/gaze_data`, with "gaze"
            in its name.
        axis_order: "column-first" if the first coordinate of your file is the column.
        skip_missing: leave out and count the cases whose image is missing or unreadable.

    Returns:
        The cases in the order of the table.

    Raises:
        ConfigError: there are several gaze files.
        MissingFileError: a file or images are not there.
        TableError: a file holds what it must not.
        ImageError: images cannot be read.
        DataError: the axes are exchanged, or the file is damaged.
    """
    dropped: Counter[str] = Counter()
    lesions = read_lesions(labels or root / "train-rle.csv")
    gaze_path = fixations or _find_gaze(root)
    gaze = read_gaze_clusters(gaze_path)
    found = images_by_id(images or root, dropped)
    ids = list(lesions)
    files = [found.get(image_id, (images or root) / f"{image_id}.dcm") for image_id in ids]
    sizes = read_sizes(files, skip_missing, dropped, hint="say with --images where dicom-images-train lies")
    usable = np.flatnonzero(sizes[:, 0]).tolist()
    ids, files, sizes = [ids[at] for at in usable], [files[at] for at in usable], sizes[usable]
    if not ids:
        raise DataError("not one image of the table is there", where=images or root)
    dropped["image that the table does not list"] += len(found.keys() - lesions.keys())
    dropped["gaze on an image that is no case"] += len(gaze.keys() - set(ids))

    points = {image_id: _row_first(gaze[image_id], axis_order) for image_id in ids if image_id in gaze}
    masks = (
        (points[image_id], _lesion(lesions[image_id], height, width))
        for image_id, (height, width) in zip(ids, sizes.tolist(), strict=True)
        if image_id in points
    )
    other = "row-first" if axis_order == "column-first" else "column-first"
    check_axis_order(masks, gaze_path, f"say --axis-order {other}; or, if the images were turned, take the originals")
    readings = _readings(points, ids, sizes, dropped, gaze_path)
    dropped["case without gaze (kept)"] = sum(not of_case for of_case in readings)
    cases = tuple(
        Case(
            case_id=image_id,
            patient_id=_study(file),
            label=int(bool(lesions[image_id])),
            image=file,
            readings=of_case,
            regions=_boxes(lesions[image_id], height, width, dropped),
        )
        for image_id, file, of_case, (height, width) in zip(ids, files, readings, sizes.tolist(), strict=True)
    )
    return Source(NAME, CLASS_NAMES, cases, {reason: count for reason, count in dropped.items() if count})


def _find_gaze(root: Path) -> Path:
    folders = (root, root / "gaze_data")
    found = sorted(
        path for folder in folders for path in folder.glob("*gaze*") if path.suffix in (".json", ".pkl", ".pickle")
    )
    if len(found) > 1:
        raise ConfigError(
            "there are several gaze files", where=root, got=join_limited(found), hint="name one: --fixations"
        )
    if not found:
        raise MissingFileError(
            "there is no gaze file", where=root, expected="*gaze*.json or *gaze*.pkl", hint="name it: --fixations FILE"
        )
    return found[0]


def _study(file: Path) -> str:
    """Folder of the study, `<StudyUID>/<SeriesUID>/<SOPUID>.dcm`; the image's own name in a flat folder."""
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


def _lesion(lesions: Lesions, height_px: int, width_px: int) -> Bool[np.ndarray, "h w"] | None:
    """All lesions of an image together; None if it has none."""
    masks = [decode_run_lengths(runs, height_px, width_px, where) for where, runs in lesions]
    return np.logical_or.reduce(masks) if masks else None


def _boxes(lesions: Lesions, height_px: int, width_px: int, dropped: Counter[str]) -> tuple[Region, ...]:
    boxes = [bounding_box(decode_run_lengths(runs, height_px, width_px, where)) for where, runs in lesions]
    dropped["lesion without area"] += boxes.count(None)
    return tuple(Region(LESION, "box", *box) for box in boxes if box is not None)
