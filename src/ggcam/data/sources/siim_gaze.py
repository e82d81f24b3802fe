"""The gaze files of SIIM-ACR: clusters of 60 Hz samples, as JSON or as a pickle that is read without running it."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from ggcam.errors import DataError, MissingFileError, TableError, join_limited
from ggcam.utils.sniff import sniff_mistake

GazeClusters = Mapping[str, Float[np.ndarray, "n 3"]]
"""Image id (SOPInstanceUID) -> first and second coordinate as the file has them, 0 to 1 on the image, and samples."""

_ADMITTED = frozenset({"list", "tuple", "dict", "set", "frozenset", "int", "float", "bool", "str", "complex"})
_FIELDS = ("gaze_x", "gaze_y", "time")


def read_gaze_clusters(path: Path) -> GazeClusters:
    """Read `<source>_gaze_data.pkl` or its JSON form.

    The pickle: {"<StudyUID>/<SeriesUID>/<SOPUID>.dcm" or "<SOPUID>": [(first, second, samples), ...]}. The JSON: a list
    of {"image_id": "<SOPUID>", "gaze_x": [first, ...], "gaze_y": [second, ...], "time": [samples, ...]}.

    Args:
        path: ends in `.json`, or else is taken for a pickle.

    Returns:
        For each image an array of shape (n, 3), float64, in the order of the file; n is 0 where nobody looked.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is no JSON; or the pickle is damaged, or holds more than containers, words and numbers.
        TableError: an entry is not of the form above; with its place.
    """
    if not path.is_file():
        raise MissingFileError("there is no such gaze file", where=path)
    if instead := sniff_mistake(path):
        raise DataError(f"this is no gaze file but {instead.what}", where=path, hint=instead.hint)
    entries = _from_json(path) if path.suffix == ".json" else _from_pickle(path)
    found: dict[str, Float[np.ndarray, "n 3"]] = {}
    for place, key, clusters in entries:
        where = f"{path}: {place}"
        image_id = PurePosixPath(key).name.removesuffix(".dcm") if isinstance(key, str) else ""
        if not image_id:
            raise TableError("an entry names no image", where=where, expected="an image id", got=repr(key))
        if image_id in found:
            raise TableError("an image has two entries", where=where, got=image_id)
        found[image_id] = _checked(clusters, where)
    if not found:
        raise TableError("the gaze file has no entry", where=path)
    return found


def _from_json(path: Path) -> list[tuple[str, object, object]]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError("the gaze file is no JSON", where=path, got=error) from None
    if not isinstance(content, list):
        raise TableError("the gaze file is not a list", where=path, got=type(content).__name__)
    entries = []
    for at, entry in enumerate(content):
        missing = [name for name in ("image_id", *_FIELDS) if not isinstance(entry, dict) or name not in entry]
        if missing:
            raise TableError("an entry lacks a field", where=f"{path}: entry {at}", got=f"no {join_limited(missing)}")
        columns = [entry[name] for name in _FIELDS]
        if not all(isinstance(column, list) for column in columns) or len({len(column) for column in columns}) > 1:
            raise TableError(
                "gaze_x, gaze_y and time are not three lists of one length",
                where=f"{path}: entry {at}",
                got=join_limited(len(column) if isinstance(column, list) else repr(column) for column in columns),
            )
        entries.append((f"entry {at}", entry["image_id"], list(zip(*columns, strict=True))))
    return entries


def _from_pickle(path: Path) -> list[tuple[str, object, object]]:
    try:
        content = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    except _ForbiddenError as error:
        raise DataError(
            "the pickle holds more than containers, words and numbers, and is not opened",
            where=path,
            got=f"the object {error}",
            hint="take the JSON form, or write one from a machine where you trust the file",
        ) from None
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError("the gaze file is no whole pickle", where=path, got=error or type(error).__name__) from None
    if not isinstance(content, dict):
        raise TableError("the gaze file is not a dictionary", where=path, got=type(content).__name__)
    return [(f"entry {key!r}", key, clusters) for key, clusters in content.items()]


class _ForbiddenError(Exception):
    pass


class _PlainUnpickler(pickle.Unpickler):
    """Builds containers, words and numbers, and never calls anything: a pickle from a download may hold any program."""

    def find_class(self, module: str, name: str) -> type:
        if module in ("builtins", "__builtin__") and name in _ADMITTED:
            import builtins

            return getattr(builtins, name)
        raise _ForbiddenError(f"{module}.{name}")


def _checked(clusters: object, where: str) -> Float[np.ndarray, "n 3"]:
    try:
        array = np.array(clusters, dtype=np.float64).reshape(-1, 3) if clusters else np.empty((0, 3))
    except (TypeError, ValueError):
        raise TableError(
            "gaze is not a list of three numbers each", where=where, expected="(first, second, samples)"
        ) from None
    bad = ~np.isfinite(array).all(axis=1) | (array[:, 2] < 0)
    if bad.any():
        raise TableError(
            "a cluster is not finite, or has fewer than 0 samples", where=where, got=tuple(array[bad][0].tolist())
        )
    return array
