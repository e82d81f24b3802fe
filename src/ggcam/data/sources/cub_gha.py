"""CUB-GHA: gaze on the birds of CUB-200-2011, in five runs.

Rong et al., "Human attention in fine-grained classification", BMVC 2021; Wah et al., "The Caltech-UCSD Birds-200-2011
dataset", 2011.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from ggcam.data.case import Case, Source, Split
from ggcam.data.sources.fixation_rows import FixationRows, count_without_gaze, group_readings
from ggcam.data.sources.image_files import read_sizes
from ggcam.data.sources.official_split import split_off_validation
from ggcam.data.sources.regions import RegionRows, group_regions
from ggcam.data.sources.resized import scale_to_images
from ggcam.errors import DataError, MissingFileError, TableError
from ggcam.utils.documents import read_text
from ggcam.utils.sniff import sniff_wrong_content

NAME = "cub_gha"
EXPECTED_FILES = "Fixation_run*.txt, in the folder or in data_5runs, and CUB_200_2011 beside it, or named with --images"
MS_PER_S = 1000.0
MAX_BYTES = 2**30


def can_read(root: Path) -> bool:
    """Return whether a folder has the gaze of a run.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    return bool(_gaze_files(root))


def read(root: Path, images: Path | None = None, skip_missing: bool = False) -> Source:
    """Read the images of CUB-200-2011 that have gaze, each run as a reading.

    The first fixation of a run is where the eye was before the image appeared: it is left out and counted. The release
    holds only gaze inside the bird's box. Images may be resized copies. Of the published training images, one eighth is
    for validation. Fixations have no start, only an order.

    Args:
        root: folder with Fixation_run1.txt to Fixation_run5.txt, or with a folder data_5runs of them.
        images: folder of CUB-200-2011, with images.txt, image_class_labels.txt, classes.txt, train_test_split.txt,
            bounding_boxes.txt and images. Default: CUB_200_2011 in RAW, or RAW.
        skip_missing: leave out cases whose image is missing or unreadable, and count them.

    Returns:
        The cases in the order of images.txt. Each image counts as a patient.

    Raises:
        MissingFileError: a file or images are missing.
        TableError: a file has an invalid value; with the line.
        ImageError: images cannot be read.
        DataError: images have another aspect ratio than the gaze refers to.
    """
    gaze_files = _gaze_files(root)
    if not gaze_files:
        raise MissingFileError("there is no gaze", where=root, expected=EXPECTED_FILES)
    birds = images or (root / "CUB_200_2011" if (root / "CUB_200_2011").is_dir() else root)
    dropped: Counter[str] = Counter()
    paths = {image: fields[0] for image, fields in _read_table(birds / "images.txt", 1).items()}
    classes = _read_table(birds / "classes.txt", 1)
    class_ids = _read_table(birds / "image_class_labels.txt", 1)
    in_training = _read_table(birds / "train_test_split.txt", 1)
    boxes = _read_table(birds / "bounding_boxes.txt", 4)
    runs = [(path, _read_run(path)) for path in gaze_files]
    with_gaze = set().union(*(run for _, run in runs))
    dropped["gaze on an image that is not a case"] += len(with_gaze - paths.keys())
    dropped["image without gaze"] += len(paths.keys() - with_gaze)
    ids = [image for image in paths if image in with_gaze]
    files = [birds / "images" / paths[image] for image in ids]
    sizes = read_sizes(files, skip_missing, dropped, hint="pass the folder CUB_200_2011 with --images")
    usable = np.flatnonzero(sizes[:, 0]).tolist() if len(ids) else []
    ids, files, sizes = [ids[at] for at in usable], [files[at] for at in usable], sizes[usable]
    if not ids:
        raise DataError("none of the images with gaze exists", where=birds)
    _check_complete(ids, birds, classes, class_ids, in_training, boxes)
    index_of = {image: index for index, image in enumerate(ids)}
    readings = group_readings(_fixations(runs, index_of, sizes, files, dropped), sizes, dropped, root)
    count_without_gaze(readings, dropped)
    class_names = tuple(fields[0] for fields in classes.values())
    class_index = {class_id: index for index, class_id in enumerate(classes)}
    labels = [class_index[class_ids[image][0]] for image in ids]
    rows = _boxes(birds / "bounding_boxes.txt", boxes, ids, sizes / _stated_sizes(runs, ids))
    named = replace(rows, name=np.array([class_names[label] for label in labels], dtype=np.str_))
    regions = group_regions(named, sizes, dropped, birds / "bounding_boxes.txt")
    published: list[Split | None] = ["train" if in_training[image][0] == "1" else "test" for image in ids]
    case_ids = [Path(paths[image]).stem for image in ids]
    cases = tuple(
        Case(case_id, case_id, label, file, of_case, regions=found, split=split)
        for case_id, label, file, of_case, found, split in zip(
            case_ids, labels, files, readings, regions, split_off_validation(case_ids, published), strict=True
        )
    )
    return Source(NAME, class_names, cases, dict(+dropped), kind="other")


Run = dict[str, tuple[str, tuple[int, int], Float[np.ndarray, "_ 3"]]]
"""Image id -> position in the file; height and width; x, y and duration in milliseconds of each fixation."""


def _gaze_files(root: Path) -> list[Path]:
    return sorted(path for folder in (root, root / "data_5runs") for path in folder.glob("Fixation_run*.txt"))


def _lines(path: Path) -> list[str]:
    if path.is_file() and (instead := sniff_wrong_content(path)):
        raise TableError(f"not a table of CUB but {instead.what}", where=path, hint=instead.hint)
    return read_text(path, TableError, max_bytes=MAX_BYTES).splitlines()


def _read_table(path: Path, n_values: int) -> dict[str, list[str]]:
    """Read lines of an id and values, separated by spaces; the last value may contain spaces."""
    rows: dict[str, list[str]] = {}
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split(maxsplit=n_values)
        if not fields:
            continue
        if len(fields) != n_values + 1 or fields[0] in rows:
            raise TableError(
                "the line does not hold an id of its own and its values",
                where=f"{path}:{number}",
                expected=f"an id and {n_values} values",
                got=repr(line[:60]),
            )
        rows[fields[0]] = [field.strip() for field in fields[1:]]
    return rows


def _read_run(path: Path) -> Run:
    run: Run = {}
    for number, line in enumerate(_lines(path), start=1):
        fields = re.split(r"[\s,;]+", line.strip(" \t,;"))
        if fields == [""]:
            continue
        where = f"{path}:{number}"
        numbers = _numbers(fields[1:], path, f"line {number}")
        if len(numbers) < 2 or len(numbers) % 3 != 2 or (numbers[:2] < 1).any():
            raise TableError(
                "the line has another form",
                where=where,
                expected="image id, width, height, then x, y, duration of each fixation",
                got=f"{len(fields)} values: {line[:60]!r}",
            )
        if fields[0] in run:
            raise TableError("an image has two lines", where=where, got=fields[0])
        width, height = (int(side) for side in numbers[:2])
        run[fields[0]] = where, (height, width), numbers[2:].reshape(-1, 3)
    return run


def _numbers(fields: list[str], path: Path, place: str) -> Float[np.ndarray, " n"]:
    try:
        numbers = np.array(fields, dtype=np.float64)
    except ValueError:
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all():
        raise TableError("a value is not a finite number", where=f"{path}, {place}", got=" ".join(fields)[:60])
    return numbers


def _check_complete(ids: list[str], birds: Path, classes: dict[str, list[str]], *tables: dict[str, list[str]]) -> None:
    names = ("image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt")
    for name, table in zip(names, tables, strict=True):
        if missing := [image for image in ids if image not in table]:
            raise TableError(f"{len(missing):,} images are not in the file", where=birds / name, got=missing[0])
    if unknown := next((image for image in ids if tables[0][image][0] not in classes), None):
        raise TableError("the class of an image is not in classes.txt", where=birds / names[0], got=f"image {unknown}")


def _stated_sizes(runs: list[tuple[Path, Run]], ids: list[str]) -> np.ndarray:
    return np.array([next(run[image][1] for _, run in runs if image in run) for image in ids])


def _boxes(path: Path, boxes: dict[str, list[str]], ids: list[str], scale: Float[np.ndarray, "cases 2"]) -> RegionRows:
    """Return the box of each bird, without a name."""
    corners = np.array([_numbers(boxes[image], path, f"image {image}") for image in ids])
    corners[:, 2:] += corners[:, :2]
    case = np.arange(len(ids))
    scaled = corners * np.tile(scale[:, ::-1], 2)
    return RegionRows(
        case, np.full(len(ids), ""), np.full(len(ids), "box"), scaled, [f"{path}, {each}" for each in ids]
    )


def _fixations(
    runs: list[tuple[Path, Run]],
    index_of: dict[str, int],
    sizes: Shaped[np.ndarray, "cases 2"],
    files: list[Path],
    dropped: Counter[str],
) -> FixationRows:
    """Return the fixations of all runs after the first one of each image."""
    parts = []
    for path, run in runs:
        images = [image for image in run if image in index_of]
        at = np.array([index_of[image] for image in images], dtype=np.int64)
        stated = np.array([run[image][1] for image in images], dtype=np.int64).reshape(-1, 2)
        scale = scale_to_images(stated, sizes[at], [files[index] for index in at.tolist()])
        lengths = [max(len(run[image][2]) - 1, 0) for image in images]
        dropped["first fixation, from before the image appeared"] += sum(len(run[image][2]) > 0 for image in images)
        x, y, duration_ms = np.concatenate([np.empty((0, 3)), *(run[image][2][1:] for image in images)]).T
        by_y, by_x = np.repeat(scale, lengths, axis=0).T
        parts.append(
            FixationRows.build(
                np.repeat(at, lengths),
                x_px=x * by_x,
                y_px=y * by_y,
                duration_s=duration_ms / MS_PER_S,
                reading_id=path.stem.removeprefix("Fixation_"),
            )
        )
    return FixationRows.concatenate(parts)
