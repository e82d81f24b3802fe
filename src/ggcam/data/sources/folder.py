"""A folder of images: one folder a class, or a labels.csv; with or without a table of fixations."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ggcam.data.case import Source
from ggcam.data.sources.labelled_images import list_labelled_images, has_labelled_images
from ggcam.data.sources.fixation_table import COLUMNS, parse_columns, read_fixation_table
from ggcam.data.sources.coordinates import CoordinateSystem
from ggcam.gaze.fixations import Fixations

NAME = "folder"
EXPECTED_FILES = "labels.csv with the columns image, label; or one folder of images a class"
can_read = has_labelled_images


def read(root: Path, labels: Path | None = None, fixations: Path | None = None, skip_missing: bool = False) -> Source:
    """Read images whose class a table or their folder names, with fixations in pixels of the images.

    For other points than these, see the source "table".

    Args:
        root: the folder of the images.
        labels: see :func:`ggcam.data.sources.labelled_images.list_labelled_images`.
        fixations: table with the columns image (path in `root`), x_px, y_px (continuous pixels from the image's
            top-left corner), and if wanted start_s, duration_s (1 by default: every fixation counts the same), reader
            and label; by default `root/fixations.csv` or `root/fixations.parquet`, if there is one.
        skip_missing: leave out and count the listed images that are missing.

    Returns:
        The cases in the order of the table, or of the paths.

    Raises:
        MissingFileError: the folder, a table that was named, or listed images are not there.
        TableError: a table lacks a column, or holds a value that cannot be.
        DataError: no image, fewer than two classes, or two images that would share a case id.
    """
    dropped: Counter[str] = Counter()
    images = list_labelled_images(root, labels, skip_missing, dropped)
    tables = (fixations,) if fixations else (root / "fixations.csv", root / "fixations.parquet")
    readings: list[dict[str, Fixations]] = [{} for _ in images.images]
    for table in [table for table in tables if fixations or table.is_file()][:1]:
        readings = read_fixation_table(table, images, dropped, parse_columns("x=x_px,y=y_px", COLUMNS), CoordinateSystem())
        dropped["case without gaze (kept)"] = sum(not of_case for of_case in readings)
    return images.source(NAME, readings, dropped)
