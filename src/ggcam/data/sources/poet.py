"""POET: gaze of five observers on photographs of PASCAL VOC 2012, with boxes of the objects.

Papadopoulos et al., "Training object class detectors from eye tracking data", ECCV 2014.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ggcam.data.case import Case, Source
from ggcam.data.sources.fixation_rows import FixationRows, count_without_gaze, group_readings
from ggcam.data.sources.image_files import read_sizes
from ggcam.data.sources.label_sets import sort_classes
from ggcam.data.sources.regions import RegionRows, group_regions
from ggcam.data.sources.resized import scale_to_images
from ggcam.errors import ConfigError, DataError, MissingFileError
from ggcam.utils.limits import Limits
from ggcam.utils.sniff import sniff_wrong_content
from ggcam.utils.worker_process import WorkerError, call_in_worker

NAME = "poet"
EXPECTED_FILES = "etData_<class>.mat, in the folder or in etData, and the images in JPEGImages, or named with --images"
PREFIX = "etData_"
MS_PER_S = 1000.0
LIMITS = Limits(seconds=60, memory_bytes=2 * 2**30)
"""Time and memory for reading a file, a hundred times what the largest file of POET takes."""


@dataclass(frozen=True, eq=False)
class _Record:
    """An image of a class with the gaze of its observers.

    Attributes:
        class_name: class of the file.
        image: id in PASCAL VOC, the name of the image without suffix.
        size: height and width of the image in pixels.
        boxes: xmin, ymin, xmax, ymax of each object, first and last pixel counted from 1.
        readings: number of each observer -> start_ms, end_ms, x, y of each fixation, the first one included.
        where: position in the file, for messages.
    """

    class_name: str
    image: str
    size: tuple[int, int]
    boxes: Float[np.ndarray, "_ 4"]
    readings: dict[str, Float[np.ndarray, "_ 4"]]
    where: str


def can_read(root: Path) -> bool:
    """Return whether a folder has the gaze of a class.

    Args:
        root: folder of raw data.

    Returns:
        True if :func:`read` can be expected to read it.
    """
    return bool(_gaze_files(root))


def read(root: Path, images: Path | None = None, skip_missing: bool = False) -> Source:
    """Read the images of all classes whose gaze is there, with the gaze of the right eye.

    The first fixation of an observer is where the eye was before the image appeared: it is left out and counted. So is
    an image that belongs to several classes. The images may be resized copies. What `response` means is not documented,
    and it is not read.

    Args:
        root: folder with etData_<class>.mat, or with a folder etData of them.
        images: folder with <id>.jpg, or with a folder JPEGImages of them. Default: RAW/JPEGImages, or RAW.
        skip_missing: leave out cases whose image is missing or unreadable, and count them.

    Returns:
        The cases in the order of the files; a class for each file. Each image counts as a patient.

    Raises:
        MissingFileError: there is no gaze, or images are missing.
        ImageError: images cannot be read.
        DataError: a file is damaged or has another layout, there are fewer than two classes, or images have another
            aspect ratio than the gaze refers to.
    """
    files = _gaze_files(root)
    if not files:
        raise MissingFileError("there is no gaze", where=root, expected=EXPECTED_FILES)
    dropped: Counter[str] = Counter()
    records = [record for path in files for record in _read_in_worker(path)]
    class_names = sort_classes({record.class_name for record in records}, root)
    occurrences = Counter(record.image for record in records)
    dropped["record of an image in several classes"] += sum(n for n in occurrences.values() if n > 1)
    records = [record for record in records if occurrences[record.image] == 1]
    folder = _image_folder(images or root)
    paths = [folder / f"{record.image}.jpg" for record in records]
    sizes = read_sizes(paths, skip_missing, dropped, hint="pass the folder of VOC 2012 with --images")
    usable = np.flatnonzero(sizes[:, 0]).tolist()
    records, paths, sizes = [records[at] for at in usable], [paths[at] for at in usable], sizes[usable]
    if not records:
        raise DataError("none of the images exists", where=folder)
    scale = scale_to_images(np.array([record.size for record in records]), sizes, paths)
    readings = group_readings(_fixations(records, scale, dropped), sizes, dropped, root)
    count_without_gaze(readings, dropped)
    regions = group_regions(_boxes(records, scale), sizes, dropped, root)
    cases = tuple(
        Case(
            case_id=record.image,
            patient_id=record.image,
            label=class_names.index(record.class_name),
            image=path,
            readings=of_case,
            regions=boxes,
        )
        for record, path, of_case, boxes in zip(records, paths, readings, regions, strict=True)
    )
    return Source(NAME, class_names, cases, dict(+dropped), kind="other")


def _gaze_files(root: Path) -> list[Path]:
    return sorted(path for folder in (root, root / "etData") for path in folder.glob(f"{PREFIX}*.mat"))


def _image_folder(root: Path) -> Path:
    return root / "JPEGImages" if (root / "JPEGImages").is_dir() else root


def _read_in_worker(path: Path) -> list[_Record]:
    """Read the records of a class in another process, because some damaged files crash the decoder."""
    try:
        return call_in_worker(_read_records, path, LIMITS, path)
    except WorkerError as error:
        if error.reason == "not started":
            what = "no process for reading files of MATLAB could start"
            raise ConfigError(what, got=error.detail, hint="free some memory") from None
        raise _damaged(path, error.detail) from None


def _damaged(path: Path, reason: str) -> DataError:
    return DataError("the file of MATLAB is damaged or cut off", where=path, got=reason, hint="download it again")


def _read_records(path: Path) -> list[_Record]:
    """Read the records of a class."""
    from scipy.io import loadmat

    if content := sniff_wrong_content(path):
        raise DataError(f"not a file of MATLAB but {content.what}", where=path, hint=content.hint)
    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False, variable_names=["etData"])
    except Exception as error:  # a decoder of a binary format may raise anything for a damaged file
        raise _damaged(path, type(error).__name__) from error
    if "etData" not in content:
        raise DataError("the file has no variable etData", where=path, hint="pass the original download")
    class_name = path.stem.removeprefix(PREFIX)
    entries = np.atleast_1d(content["etData"])
    return [_read_record(entry, class_name, f"{path}: record {index}") for index, entry in enumerate(entries, start=1)]


def _read_record(entry: Any, class_name: str, where: str) -> _Record:
    try:
        height, width = (int(side) for side in np.atleast_1d(entry.dimensions)[:2])
        boxes = np.asarray(entry.gtbb, dtype=np.float64).reshape(-1, 4)
        observers = enumerate(np.atleast_1d(entry.fixations), start=1)
        readings = {str(number): _read_fixations(observer) for number, observer in observers}
        image = str(entry.filename)
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(
            "the record has another layout than that of POET",
            where=where,
            expected="filename, dimensions, gtbb, and fixations with imgCoord.fixR.time and .pos",
            got=error,
        ) from None
    if min(height, width) < 1 or not image or "/" in image or "\\" in image:
        raise DataError("the record has no valid size or name", where=where, got=f"{image!r}, {height}x{width}")
    return _Record(class_name, image, (height, width), boxes, readings, where)


def _read_fixations(observer: Any) -> Float[np.ndarray, "_ 4"]:
    right = observer.imgCoord.fixR
    times, positions = (np.asarray(each, dtype=np.float64).reshape(-1, 2) for each in (right.time, right.pos))
    return np.concatenate([times, positions], axis=1)


def _fixations(records: Sequence[_Record], scale: Float[np.ndarray, "n 2"], dropped: Counter[str]) -> FixationRows:
    """Return the fixations of all observers after the first one of each."""
    readings = [(case, number, each) for case, record in enumerate(records) for number, each in record.readings.items()]
    dropped["first fixation, from before the image appeared"] += sum(len(each) > 0 for _, _, each in readings)
    lengths = [max(len(each) - 1, 0) for _, _, each in readings]
    case = np.repeat([case for case, _, _ in readings], lengths)
    start_ms, end_ms, x, y = np.concatenate([np.empty((0, 4)), *(each[1:] for _, _, each in readings)]).T
    return FixationRows.build(
        case,
        x_px=x * scale[case, 1],
        y_px=y * scale[case, 0],
        start_s=start_ms / MS_PER_S,
        duration_s=(end_ms - start_ms) / MS_PER_S,
        reading_id=np.repeat([number for _, number, _ in readings], lengths),
    )


def _boxes(records: Sequence[_Record], scale: Float[np.ndarray, "n 2"]) -> RegionRows:
    """Return the boxes; the first pixel, counted from 1, begins at 0."""
    case = np.repeat(np.arange(len(records)), [len(record.boxes) for record in records])
    boxes = np.concatenate([np.empty((0, 4)), *(record.boxes for record in records)])
    return RegionRows(
        case,
        np.array([records[at].class_name for at in case.tolist()], dtype=np.str_),
        np.full(len(case), "box"),
        (boxes - [1, 1, 0, 0]) * np.tile(scale[case][:, ::-1], 2),
        [records[at].where for at in case.tolist()],
    )
