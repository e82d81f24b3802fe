"""Masks of findings: mask files, polygons and run lengths, all drawn when their pixels are needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ggcam.data.case import RegionMask
from ggcam.data.images import read_pixels
from ggcam.data.run_lengths import draw_counts, draw_runs, parse_relative_runs
from ggcam.errors import ImageError

Box = tuple[float, float, float, float]
"""Left, top, right and bottom edge in continuous pixels."""


@dataclass(frozen=True)
class MaskFiles:
    """A mask in one image file, or the union of several. A pixel that is not 0 is inside.

    Attributes:
        paths: image files of the raw image's size.
    """

    paths: tuple[Path, ...]

    def read(self, height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
        """Read the files; see :meth:`ggcam.data.case.RegionMask.read`."""
        mask = np.zeros((height_px, width_px), dtype=bool)
        for path in self.paths:
            pixels = read_pixels(path)
            if pixels.shape[:2] != mask.shape:
                raise _other_size(str(path), (height_px, width_px), pixels.shape[:2])
            mask |= pixels.reshape(height_px, width_px, -1).any(axis=2)
        return mask


@dataclass(frozen=True)
class Polygons:
    """The union of polygons. A pixel is inside if its centre is, by the even-odd rule.

    Attributes:
        polygons: x0, y0, x1, y1, ... of each polygon in continuous pixels (origin at the top-left corner of the image).
    """

    polygons: tuple[tuple[float, ...], ...]

    def read(self, height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
        """Draw the polygons; see :meth:`ggcam.data.case.RegionMask.read`."""
        mask = np.zeros((height_px, width_px), dtype=bool)
        for polygon in self.polygons:
            mask |= draw_polygon(np.reshape(polygon, (-1, 2)), height_px, width_px)
        return mask


@dataclass(frozen=True)
class RunLengths:
    """COCO's run-length encoding; see :func:`ggcam.data.run_lengths.draw_counts`.

    Attributes:
        counts: lengths of the runs.
        height_px: height of the image.
        width_px: width of the image.
        where: position in the file, for messages.
    """

    counts: tuple[int, ...]
    height_px: int
    width_px: int
    where: str = field(repr=False)

    def read(self, height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
        """Decode the runs; see :meth:`ggcam.data.case.RegionMask.read`."""
        if (self.height_px, self.width_px) != (height_px, width_px):
            raise _other_size(self.where, (height_px, width_px), (self.height_px, self.width_px))
        try:
            return draw_counts(self.counts, height_px, width_px)
        except ValueError as error:
            raise ImageError("the run lengths do not fit the image", where=self.where, got=error) from None


@dataclass(frozen=True)
class RelativeRuns:
    """SIIM-ACR's run-length encoding; see :func:`ggcam.data.run_lengths.parse_relative_runs`.

    Attributes:
        runs: "start length start length ...".
        where: position in the file, for messages.
    """

    runs: str
    where: str = field(repr=False)

    def read(self, height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
        """Decode the runs; see :meth:`ggcam.data.case.RegionMask.read`."""
        try:
            return draw_runs(parse_relative_runs(self.runs), height_px, width_px)
        except ValueError as error:
            hint = "each start is relative to the end of the previous run"
            raise ImageError("the runs exceed the image", where=self.where, expected=hint, got=error) from None


@dataclass(frozen=True)
class Union:
    """The union of masks.

    Attributes:
        parts: masks of the same image.
    """

    parts: tuple[RegionMask, ...]

    def read(self, height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
        """Draw all parts; see :meth:`ggcam.data.case.RegionMask.read`."""
        mask = np.zeros((height_px, width_px), dtype=bool)
        for part in self.parts:
            mask |= part.read(height_px, width_px)
        return mask


def unite(parts: list[RegionMask]) -> RegionMask:
    """Return the union of masks.

    Args:
        parts: one mask or more of the same image.

    Returns:
        The mask itself if there is only one.
    """
    return parts[0] if len(parts) == 1 else Union(tuple(parts))


def mask_files(mask: RegionMask) -> tuple[Path, ...]:
    """Return the image files that a mask is read from.

    Args:
        mask: the mask.

    Returns:
        The files; none for masks that are drawn.
    """
    if isinstance(mask, Union):
        return tuple(path for part in mask.parts for path in mask_files(part))
    return mask.paths if isinstance(mask, MaskFiles) else ()


def bounding_box(mask: Bool[np.ndarray, "h w"]) -> Box | None:
    """Return the smallest box around a mask.

    Args:
        mask: the mask.

    Returns:
        Left, top, right and bottom edge in continuous pixels; None for an empty mask.

    Example:
        >>> bounding_box(np.array([[False, False], [True, True]]))
        (0.0, 1.0, 2.0, 2.0)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def draw_polygon(points: Float[np.ndarray, "n 2"], height_px: int, width_px: int) -> Bool[np.ndarray, "h w"]:
    """Draw a polygon: a pixel is inside if a ray from its centre to the left crosses an odd number of edges.

    Args:
        points: x and y of the corners in continuous pixels; the last one is joined to the first.
        height_px: height of the mask.
        width_px: width of the mask.

    Returns:
        True inside.

    Example:
        >>> draw_polygon(np.array([[1.2, 0.0], [3.0, 0.0], [3.0, 2.0], [2.0, 2.0]]), 2, 4).astype(int)
        array([[0, 1, 1, 0],
               [0, 0, 1, 0]])
    """
    crossings = np.zeros((height_px, width_px + 1), dtype=np.int32)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        # Rows whose centre, row + 0.5, lies in [min(y0, y1), max(y0, y1)).
        first, end = (int(np.clip(np.ceil(y - 0.5), 0, height_px)) for y in sorted((y0, y1)))
        rows = np.arange(first, end)
        x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0) if len(rows) else np.empty(0)
        columns = np.clip(np.ceil(x - 0.5), 0, width_px).astype(np.int64)
        np.add.at(crossings, (rows, columns), 1)
    return crossings[:, :-1].cumsum(axis=1) % 2 == 1


def _other_size(where: str, expected: tuple[int, int], got: tuple[int, ...]) -> ImageError:
    return ImageError("the mask has another size than its image", where=where, expected=expected, got=got)
