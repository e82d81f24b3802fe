"""VinDr-CXR: chest X-rays with boxes by several radiologists.

Nguyen et al., "VinDr-CXR: an open dataset of chest X-rays with radiologist's annotations", Scientific Data 9, 429
(2022); the table is that of the VinBigData challenge.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from ggcam.data.case import Case, Source
from ggcam.data.sources.image_files import check_present, images_by_id, read_sizes
from ggcam.data.sources.label_sets import multi_labels
from ggcam.data.sources.region_tables import VINDR_COLUMNS, read_vindr_table, vindr_regions
from ggcam.data.sources.regions import RegionRows, group_regions
from ggcam.data.tables import Table, column_names
from ggcam.errors import ConfigError, DataError, GGCamError, join_limited

NAME = "vindr"
TABLE = "train.csv"
EXPECTED_FILES = f"{TABLE} with the columns {', '.join(VINDR_COLUMNS)}, beside train/<image_id>.dicom"


def can_read(root: Path) -> bool:
    """Return whether a folder has the table of boxes.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    try:
        return (root / TABLE).is_file() and set(VINDR_COLUMNS) <= set(column_names(root / TABLE))
    except GGCamError:  # another file of this name
        return False


def read(
    root: Path,
    images: Path | None = None,
    labels: Path | None = None,
    min_readers: int = 1,
    skip_missing: bool = False,
) -> Source:
    """Read the images of the table, with the findings and boxes of all radiologists.

    A finding is present if enough radiologists drew a box of it; the boxes of all of them are kept, repeated ones once.

    Args:
        root: folder with train.csv.
        images: folder with <image_id>.dicom (or .dcm, .png, .jpg) at any depth. Default: RAW.
        labels: table with the columns image_id, class_name, x_min, y_min, x_max, y_max and optionally rad_id, class_id.
            Default: train.csv in RAW.
        min_readers: number of radiologists who must have drawn a finding for it to be present.
        skip_missing: leave out cases whose image is missing or unreadable, and count them.

    Returns:
        The cases in the order of the table. The data set does not identify patients: each image counts as one.

    Raises:
        ConfigError: `min_readers` is below 1, or the table does not name the radiologists.
        MissingFileError: a file or images are missing.
        TableError: the table has an invalid value.
        ImageError: images cannot be read.
        DataError: there are fewer than two findings, or boxes belong to images of another size.
    """
    dropped: Counter[str] = Counter()
    rows, findings = read_vindr_table(labels or root / TABLE)
    if min_readers < 1 or (min_readers > 1 and "rad_id" not in rows):
        raise ConfigError(
            "the number of radiologists must be at least 1, and the table must name them in a column rad_id",
            where=f"--min-readers, {rows.path}",
            got=min_readers,
        )
    agreed = _agreed(findings, min_readers)
    dropped[f"box of a finding that fewer than {min_readers} radiologists drew"] += int((~agreed).sum())
    findings = findings.select(agreed)
    class_names = _class_names(findings)
    found = images_by_id(images or root, dropped)
    names = list(dict.fromkeys(rows["image_id"].tolist()))
    dropped["image that the table does not list"] += len(found.keys() - set(names))
    files = [found.get(name, (images or root) / f"{name}.dicom") for name in names]
    present = check_present(files, skip_missing, dropped, "pass the folder of the images with --images")
    names = [name for name, keep in zip(names, present, strict=True) if keep]
    files = [file for file, keep in zip(files, present, strict=True) if keep]
    if not names:
        raise DataError("none of the images in the table exists", where=images or root)
    index_of = {name: index for index, name in enumerate(names)}
    case = np.array([index_of.get(name, -1) for name in findings["image_id"].tolist()], dtype=np.int64)
    sizes = np.zeros((len(files), 2), dtype=np.int64)
    boxed = np.unique(case[case >= 0])
    sizes[boxed] = read_sizes([files[at] for at in boxed.tolist()], True, Counter(), hint="")
    names_of = [[] for _ in names]
    for at, name in zip(case.tolist(), findings["class_name"].tolist(), strict=True):
        if at >= 0:
            names_of[at].append(name)
    usable = (case >= 0) & (sizes[case, 0] > 0)
    boxes = vindr_regions(findings.select(usable))
    regions = group_regions(
        RegionRows(case[usable], boxes.name, boxes.kind, boxes.corners, boxes.where), sizes, dropped, rows.path
    )
    cases = tuple(
        Case(case_id=name, patient_id=name, label=label, image=file, regions=of_case)
        for name, label, file, of_case in zip(names, multi_labels(names_of, class_names), files, regions, strict=True)
    )
    return Source(NAME, class_names, cases, dict(+dropped), kind="chest")


def _agreed(findings: Table, min_readers: int) -> np.ndarray:
    """Return which rows are of a finding that enough radiologists drew in that image."""
    readers = findings["rad_id"].tolist() if "rad_id" in findings else [""] * len(findings)
    keys = list(zip(findings["image_id"].tolist(), findings["class_name"].tolist(), strict=True))
    drawn = Counter(key for key, _ in set(zip(keys, readers, strict=True)))
    return np.array([drawn[key] >= min_readers for key in keys], dtype=bool)


def _class_names(findings: Table) -> tuple[str, ...]:
    """Return the findings in the order of their numbers, or of their names without numbers."""
    numbers = findings.numbers("class_id") if "class_id" in findings else np.zeros(len(findings))
    ordered = sorted(set(zip(numbers.tolist(), findings["class_name"].tolist(), strict=True)))
    names = tuple(dict.fromkeys(name for _, name in ordered))
    if len(names) < 2:
        raise DataError(
            "a classifier of several labels needs at least two findings",
            where=findings.path,
            got=join_limited(names) or "none",
        )
    return names
