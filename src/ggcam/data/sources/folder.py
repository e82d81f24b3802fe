"""Images in one folder per class, or listed in labels.csv; optionally with fixations, boxes and masks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ggcam.data.case import Source
from ggcam.data.sources.coordinates import CoordinateSystem
from ggcam.data.sources.fixation_rows import count_without_gaze
from ggcam.data.sources.fixation_table import FIXATION_COLUMNS, parse_columns, read_fixation_table
from ggcam.data.sources.labelled_images import Uncertain, has_labelled_images, list_labelled_images
from ggcam.data.sources.region_files import find_region_files, read_regions
from ggcam.gaze.fixations import Fixations

NAME = "folder"
EXPECTED_FILES = "labels.csv with the columns image, label; or one folder of images per class"
can_read = has_labelled_images


def read(
    root: Path,
    labels: Path | None = None,
    fixations: Path | None = None,
    regions: Path | None = None,
    masks: Path | None = None,
    uncertain: Uncertain | None = None,
    skip_missing: bool = False,
) -> Source:
    """Read images labelled by a table or by their folders, with fixations and regions in pixels of the images.

    For coordinates in other units, see the source "table".

    Args:
        root: folder with the images.
        labels: table with the columns image (path in RAW) and label; or labels, joined by |; or label_<class> for each
            of several labels with 1, 0 or nothing; optionally patient_id and split. Default: labels.csv in RAW, or one
            folder per class.
        fixations: table with the columns image (path in RAW), x_px, y_px (continuous pixels from the top-left corner
            of the image), and optionally start_s, duration_s (1 if missing), reader, label. Default: fixations.csv or
            fixations.parquet in RAW, if there is one.
        regions: boxes and ellipses: a table with the columns image, name, x0_px, y0_px, x1_px, y1_px and optionally
            kind, or that of VinDr-CXR, RSNA or ChestX-ray14; or a JSON file with COCO annotations. Default:
            regions.csv, regions.parquet or boxes.csv in RAW, if there is one.
        masks: folder with <finding>/<name of the image>.png, nonzero inside; the names left_lung, right_lung and
            mediastinum are anatomy. Default: masks in RAW, if it holds such folders.
        uncertain: meaning of -1 in the columns label_<class>, as in CheXpert. Default: -1 is refused.
        skip_missing: leave out listed images that are missing or have no label, and count them.

    Returns:
        The cases in the order of the table, or of their paths.

    Raises:
        MissingFileError: the folder, a given table, or listed images do not exist.
        TableError: a table lacks a column, or has an invalid value.
        ConfigError: there are several tables of regions.
        DataError: there are no images, fewer than two classes, or two images with the same case id.
    """
    dropped: Counter[str] = Counter()
    regions, masks = find_region_files(root, regions, masks)
    images = list_labelled_images(root, labels, skip_missing, dropped, uncertain, masks)
    defaults = [path for path in (root / "fixations.csv", root / "fixations.parquet") if path.is_file()]
    table = fixations or next(iter(defaults), None)
    if table is None:
        readings: list[dict[str, Fixations]] = [{} for _ in images.images]
    else:
        columns = parse_columns("x=x_px,y=y_px", FIXATION_COLUMNS)
        readings = read_fixation_table(table, images, dropped, columns, CoordinateSystem())
        count_without_gaze(readings, dropped)
    return images.to_source(NAME, readings, dropped, read_regions(images, regions, masks, dropped))
