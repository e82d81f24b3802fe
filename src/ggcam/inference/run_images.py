"""The images of a run's own data, as the network takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from ggcam.data.case import Split
from ggcam.data.dataset import PreparedDataset
from ggcam.data.pixel_arrays import to_uint8
from ggcam.data.prepared import PreparedData
from ggcam.data.schema import Labels
from ggcam.data.views import apply_view
from ggcam.training.run import Run

BATCH_SIZE = 8
"""Number of images in a batch."""


class RunImages(NamedTuple):
    """A batch of b prepared images.

    Attributes:
        case_ids: b ids.
        pixels: shape (b, channels, H, W).
        labels: see :meth:`ggcam.data.prepared.PreparedData.labels_of`.
    """

    case_ids: list[str]
    pixels: UInt8[np.ndarray, "b i H W"]
    labels: Labels


def run_data(run: Run, data: PreparedData | None = None) -> PreparedData:
    """Load the data of a run with its own split.

    Args:
        run: the run.
        data: prepared data; None loads those that the run was trained on.

    Returns:
        The prepared data, with the real attention even where training used a control in its place.

    Raises:
        PreparedFolderError: the data do not exist or are damaged.
        RunFolderError: they have other classes or another frame than the run.
    """
    data = run.data() if data is None else data
    run.spec.check_match(data)
    return apply_view(data, replace(run.config.view, control="none"))


def first_split(data: PreparedData, *preferred: Split) -> Split | None:
    """Return the first of some splits that has cases.

    Args:
        data: prepared data.
        *preferred: the splits, the preferred one first.

    Returns:
        The split; None if all are empty.
    """
    existing = set(data.cases["split"])
    return next((split for split in preferred if split in existing), None)


def split_images(data: PreparedData, split: Split, limit: int | None = None) -> Iterator[RunImages]:
    """Read the images of a split in order.

    Args:
        data: prepared data.
        split: the split.
        limit: read at most this many images, evenly spaced.

    Yields:
        Batches.
    """
    dataset = PreparedDataset(data, split, cache="none")
    labels, case_ids = data.labels_of(dataset.cases), dataset.cases["case_id"].to_numpy()
    rows = evenly_spaced(len(dataset), limit)
    for start in range(0, len(rows), BATCH_SIZE):
        batch = rows[start : start + BATCH_SIZE]
        images = np.ascontiguousarray(dataset.batch(batch.tolist()).image.numpy())
        channels = images.reshape(-1, *images.shape[2:])
        pixels = np.stack([to_uint8(channel) for channel in channels]).reshape(images.shape)
        yield RunImages(case_ids[batch].tolist(), pixels, labels[batch])


def evenly_spaced(number: int, limit: int | None) -> Int[np.ndarray, " n"]:
    """Choose positions in a list.

    Args:
        number: length of the list.
        limit: maximum number of positions; None for all.

    Returns:
        The positions, the first and the last one included.

    Example:
        >>> evenly_spaced(9, 3).tolist()
        [0, 4, 8]
    """
    if limit is None or number <= limit:
        return np.arange(number)
    return np.linspace(0, number - 1, limit).round().astype(int)
