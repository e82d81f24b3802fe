"""Annotations in the JSON format of COCO: boxes, polygons and run-length encodings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ggcam.data.case import RegionMask
from ggcam.data.region_masks import Polygons, RunLengths
from ggcam.data.run_lengths import decompress_counts
from ggcam.errors import TableError
from ggcam.utils.documents import parse_json, read_text
from ggcam.utils.sniff import sniff_wrong_content

MAX_BYTES = 2 * 2**30
"""Largest file of annotations: 2 GiB, several times the size of COCO's own."""

MAX_COORDINATE = 1e9
"""Larger coordinates are not pixels, and could not be drawn."""

_MIN_POLYGON = 6
"""Numbers in the smallest polygon: three corners."""


@dataclass(frozen=True)
class CocoImage:
    """An image that a file of annotations lists.

    Attributes:
        file_name: path of the image, with '/'.
        height_px: height of the image.
        width_px: width of the image.
    """

    file_name: str
    height_px: int
    width_px: int


@dataclass(frozen=True)
class CocoAnnotation:
    """An object in an image.

    Attributes:
        image: index of the image.
        name: category.
        shape: mask of the object; or left, top, right and bottom edge of its box where it has no segmentation.
        where: position in the file, for messages.
    """

    image: int
    name: str
    shape: RegionMask | tuple[float, float, float, float]
    where: str


@dataclass(frozen=True)
class CocoFile:
    """The content of a file of annotations.

    Attributes:
        path: the file.
        images: the images, in the order of the file.
        categories: names of the categories, in the order of the file.
        annotations: the objects, in the order of the file.
    """

    path: Path
    images: tuple[CocoImage, ...]
    categories: tuple[str, ...]
    annotations: tuple[CocoAnnotation, ...]


def read_coco(path: Path, dropped: Counter[str]) -> CocoFile:
    """Read a file of annotations.

    An annotation with a segmentation (polygons, or run lengths, compressed or not) is a mask, and its box is not used.
    An annotation without one is a box. Polygons with fewer than three corners are left out and counted.

    Args:
        path: JSON file with images, annotations and categories.
        dropped: reason -> count; updated.

    Returns:
        The content.

    Raises:
        MissingFileError: the file does not exist.
        TableError: the file is not JSON, lacks a part, or an entry is invalid; with its position.
    """
    hint = "pass a JSON file with images, annotations and categories, as COCO describes it"
    if path.is_file() and (instead := sniff_wrong_content(path)):
        raise TableError(f"not a file of annotations but {instead.what}", where=path, hint=instead.hint)
    content = parse_json(read_text(path, TableError, hint, MAX_BYTES), path, TableError, hint)
    parts = {}
    for name in ("images", "annotations", "categories"):
        part = content.get(name) if isinstance(content, dict) else None
        if not isinstance(part, list):
            raise TableError(f"the file has no list of {name}", where=path, hint=hint)
        parts[name] = [
            (f"{path}: {name}[{index}]", _object(entry, path, name, index)) for index, entry in enumerate(part)
        ]
    images: list[CocoImage] = []
    index_of: dict[object, int] = {}
    for where, entry in parts["images"]:
        if _id(entry, "id", where) in index_of:
            raise TableError("an image id is repeated", where=where, got=entry["id"])
        index_of[entry["id"]] = len(images)
        images.append(_image(entry, where))
    categories: dict[object, str] = {}
    for where, entry in parts["categories"]:
        name = entry.get("name")
        if not isinstance(name, str) or not name.strip():
            raise TableError("a category has no name", where=where, got=repr(name))
        if _id(entry, "id", where) in categories:
            raise TableError("a category id is repeated", where=where, got=entry["id"])
        categories[entry["id"]] = name.strip()
    annotations = []
    for where, entry in parts["annotations"]:
        image, category = index_of.get(_id(entry, "image_id", where)), categories.get(_id(entry, "category_id", where))
        if category is None:
            raise TableError(
                "the category is not in the list of categories",
                where=where,
                expected=f"one of {', '.join(map(str, sorted(categories, key=str)))}",
                got=f"category_id = {entry['category_id']}",
            )
        if image is None:
            dropped["annotation of an image that the file does not list"] += 1
            continue
        shape = _shape(entry, images[image], where, dropped)
        if shape is not None:
            annotations.append(CocoAnnotation(image, category, shape, where))
    return CocoFile(path, tuple(images), tuple(categories.values()), tuple(annotations))


def _object(entry: object, path: Path, name: str, index: int) -> Mapping[str, Any]:
    if not isinstance(entry, dict):
        raise TableError("an entry is not an object", where=f"{path}: {name}[{index}]", got=repr(entry)[:80])
    return entry


def _id(entry: Mapping[str, Any], key: str, where: str) -> int | str:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TableError(f"{key} is missing, or not a number", where=where, got=repr(value))
    return value


def _image(entry: Mapping[str, Any], where: str) -> CocoImage:
    name, height, width = entry.get("file_name"), entry.get("height"), entry.get("width")
    if not isinstance(name, str) or not name.strip():
        raise TableError("an image has no file_name", where=where, got=repr(name))
    if not isinstance(height, int) or not isinstance(width, int) or min(height, width) < 1:
        raise TableError("an image has no height and width", where=where, got=f"{height!r}, {width!r}")
    return CocoImage(name.replace("\\", "/"), height, width)


def _shape(
    entry: Mapping[str, Any], image: CocoImage, where: str, dropped: Counter[str]
) -> RegionMask | tuple[float, float, float, float] | None:
    """Return the mask or the box of an annotation; None if there is nothing to draw."""
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, dict):
        return _run_lengths(segmentation, image, f"{where}.segmentation")
    if segmentation:
        if not isinstance(segmentation, list):
            raise TableError("the segmentation is neither polygons nor run lengths", where=where, got=segmentation)
        polygons = [_numbers(each, f"{where}.segmentation") for each in segmentation]
        whole = tuple(polygon for polygon in polygons if len(polygon) >= _MIN_POLYGON)
        dropped["polygon with fewer than three corners"] += len(polygons) - len(whole)
        if odd := next((polygon for polygon in whole if len(polygon) % 2), None):
            raise TableError("a polygon has an odd number of coordinates", where=where, got=len(odd))
        return Polygons(whole) if whole else None
    if not entry.get("bbox"):
        dropped["annotation without a box or segmentation"] += 1
        return None
    box = _numbers(entry["bbox"], f"{where}.bbox")
    if len(box) != 4:
        raise TableError("a box is not x, y, width, height", where=where, got=list(box))
    if min(box[2:]) < 0:
        raise TableError("the width or height of a box is negative", where=where, got=list(box))
    return box[0], box[1], box[0] + box[2], box[1] + box[3]


def _numbers(values: object, where: str) -> tuple[float, ...]:
    if not isinstance(values, list) or not all(map(_is_coordinate, values)):
        raise TableError("not a list of finite numbers", where=where, got=repr(values)[:80])
    return tuple(map(float, values))


def _is_coordinate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_COORDINATE


def _run_lengths(segmentation: Mapping[str, Any], image: CocoImage, where: str) -> RunLengths:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [image.height_px, image.width_px]:
        raise TableError(
            "the run lengths belong to an image of another size",
            where=where,
            expected=[image.height_px, image.width_px],
            got=size,
        )
    if isinstance(counts, str):
        try:
            counts = list(decompress_counts(counts))
        except ValueError as error:
            raise TableError("the compressed run lengths are damaged", where=where, got=error) from None
    if not isinstance(counts, list) or not all(isinstance(count, int) and count >= 0 for count in counts):
        raise TableError("the run lengths are not numbers of pixels", where=where, got=repr(counts)[:80])
    if sum(counts) != image.height_px * image.width_px:
        raise TableError(
            "the run lengths do not cover the image",
            where=where,
            expected=f"{image.height_px * image.width_px:,} pixels",
            got=f"{sum(counts):,}",
        )
    return RunLengths(tuple(counts), image.height_px, image.width_px, where)
