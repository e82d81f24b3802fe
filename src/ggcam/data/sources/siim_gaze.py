"""Gaze files of SIIM-ACR: clusters of 60 Hz samples, as JSON or as a pickle that is read without running it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from ggcam.errors import DataError, MissingFileError, TableError, join_limited
from ggcam.utils.documents import parse_json
from ggcam.utils.safe_pickle import load_builtins
from ggcam.utils.sniff import sniff_wrong_content

GazeClusters = Mapping[str, Float[np.ndarray, "n 3"]]
"""Image id (SOPInstanceUID) -> first coordinate, second coordinate (fractions of the image), and number of samples."""

_FIELDS = ("gaze_x", "gaze_y", "time")


def read_gaze_clusters(path: Path) -> GazeClusters:
    """Read `<source>_gaze_data.pkl` or its JSON form.

    The pickle: {"<StudyUID>/<SeriesUID>/<SOPUID>.dcm" or "<SOPUID>": [(first, second, samples), ...]}. The JSON: a list
    of {"image_id": "<SOPUID>", "gaze_x": [first, ...], "gaze_y": [second, ...], "time": [samples, ...]}.

    Args:
        path: a JSON file if it ends in `.json`, otherwise a pickle.

    Returns:
        For each image an array of shape (n, 3), float64, in the order of the file; n is 0 for an image without gaze.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is not JSON; or the pickle is damaged, or contains more than plain containers and numbers.
        TableError: an entry does not have the form above; with its position.
    """
    if not path.is_file():
        raise MissingFileError("the gaze file does not exist", where=path)
    if content := sniff_wrong_content(path):
        raise DataError(f"not a gaze file but {content.what}", where=path, hint=content.hint)
    entries = _read_json(path) if path.suffix == ".json" else _read_pickle(path)
    clusters_by_image: dict[str, Float[np.ndarray, "n 3"]] = {}
    for position, key, clusters in entries:
        where = f"{path}: {position}"
        image_id = PurePosixPath(key).name.removesuffix(".dcm") if isinstance(key, str) else ""
        if not image_id:
            raise TableError("an entry does not name an image", where=where, expected="an image id", got=repr(key))
        if image_id in clusters_by_image:
            raise TableError("an image has two entries", where=where, got=image_id)
        clusters_by_image[image_id] = _to_array(clusters, where)
    if not clusters_by_image:
        raise TableError("the gaze file has no entries", where=path)
    return clusters_by_image


def _read_json(path: Path) -> list[tuple[str, object, object]]:
    """Position, image id and clusters of each entry."""
    content = parse_json(path.read_bytes(), path)
    if not isinstance(content, list):
        raise TableError("the gaze file is not a list", where=path, got=type(content).__name__)
    entries = []
    for index, entry in enumerate(content):
        missing = [name for name in ("image_id", *_FIELDS) if not isinstance(entry, dict) or name not in entry]
        if missing:
            raise TableError(
                "an entry lacks a field", where=f"{path}: entry {index}", got=f"no {join_limited(missing)}"
            )
        columns = [entry[name] for name in _FIELDS]
        if not all(isinstance(column, list) for column in columns) or len({len(column) for column in columns}) > 1:
            raise TableError(
                "gaze_x, gaze_y and time must be three lists of the same length",
                where=f"{path}: entry {index}",
                got=join_limited(len(column) if isinstance(column, list) else repr(column) for column in columns),
            )
        entries.append((f"entry {index}", entry["image_id"], list(zip(*columns, strict=True))))
    return entries


def _read_pickle(path: Path) -> list[tuple[str, object, object]]:
    """Position, image id and clusters of each entry."""
    content = load_builtins(path)
    if not isinstance(content, dict):
        raise TableError("the gaze file is not a dictionary", where=path, got=type(content).__name__)
    return [(f"entry {key!r}", key, clusters) for key, clusters in content.items()]


def _to_array(clusters: object, where: str) -> Float[np.ndarray, "n 3"]:
    try:
        array = np.array(clusters, dtype=np.float64).reshape(-1, 3) if clusters else np.empty((0, 3))
    except (TypeError, ValueError, OverflowError):
        raise TableError(
            "gaze must be a list of three numbers per cluster", where=where, expected="(first, second, samples)"
        ) from None
    invalid = ~np.isfinite(array).all(axis=1) | (array[:, 2] < 0)
    if invalid.any():
        raise TableError(
            "a cluster is not finite, or has a negative number of samples",
            where=where,
            got=tuple(array[invalid][0].tolist()),
        )
    return array
