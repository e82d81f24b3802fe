"""A split of a prepared folder as a torch dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.utils.data import Dataset, default_collate, get_worker_info

from ggcam.data.attention import RegionMaps, uses_gaze
from ggcam.data.batches import FILLER_ROW, Batch, Sample, collate
from ggcam.data.case import Split
from ggcam.data.pixel_cache import pixel_cache
from ggcam.data.prepared import PreparedData
from ggcam.data.view_config import RegionShape
from ggcam.utils.parallel import thread_count

Cache = Literal["auto", "memory", "disk", "none"]

AUTO_CACHE_BYTES = 4 * 2**30
"""A split of up to this many values of pixels is kept in memory by the cache "auto"."""

_GAZE_COLUMNS = ("x_px", "y_px", "duration_s", "px_per_degree_x", "px_per_degree_y")


class PreparedDataset(Dataset[Sample]):
    """One split of a prepared folder. `dataset[0]` is a :class:`Sample`, and :func:`collate` makes batches of samples.

    Args:
        data: prepared folder.
        split: train, valid or test.
        cache: "memory" decodes every image once and keeps it, "none" decodes it each time, "auto" chooses between them
            by size, "disk" keeps the decoded images in a file, see :mod:`ggcam.data.pixel_cache`. Images that
            `data.decoded` holds are neither decoded nor copied.
        transform: function applied to each sample as it is read; None for no change. It must not change the sample's
            tensors in place, because the cache shares them. It returns a sample (`sample._replace(image=...)`), or
            whatever your own `collate_fn` accepts. A transform that moves the image moves `points_px` and `region_maps`
            as well.
        region_shape: how the attention spreads in a box or an ellipse, in data that are guided by regions.

    Raises:
        PreparedFolderError: the file of the cache "disk" cannot be written.

    Attributes:
        cases: table of the cases of the split, one row per sample; columns as in `cases.parquet`.
        frame: height and width of the images in pixels.

    Example:
        >>> import ggcam
        >>> from torch.utils.data import DataLoader
        >>> data = ggcam.load_prepared("DATA")
        >>> dataset = ggcam.PreparedDataset(data, "train")
        >>> dataset[0].image.shape == (data.channels, *dataset.frame)
        True
        >>> loader = DataLoader(dataset, batch_size=8, shuffle=True, collate_fn=ggcam.collate)
        >>> len(next(iter(loader)).image)
        8
    """

    def __init__(
        self,
        data: PreparedData,
        split: Split,
        cache: Cache = "auto",
        transform: Callable[[Sample], Any] | None = None,
        region_shape: RegionShape = "filled",
    ):
        self.cases: pd.DataFrame = data.cases.loc[data.cases["split"] == split].reset_index(drop=True)
        self.frame = data.frame.shape
        self.transform = transform
        self._data = data
        self._case_ids = self.cases["case_id"].tolist()
        labels = torch.tensor(data.labels_of(self.cases))
        self._labels = labels.float() if data.multi_label else labels
        self._gaze, self._point_labels = _gaze_by_case(data, self._case_ids)
        guided_by_regions = data.attention != "gaze"
        self._regions = RegionMaps(data, self._case_ids, region_shape) if guided_by_regions else None
        self._images = self._in_memory(cache) if len(self) else None
        self._file = pixel_cache(data, self._case_ids) if cache == "disk" and len(self) else None

    def __len__(self) -> int:
        return len(self._case_ids)

    def _in_memory(self, cache: Cache) -> Sequence[Shaped[Tensor, "i H W"]] | Shaped[Tensor, "n i H W"] | None:
        if self._data.decoded is not None and cache in ("auto", "memory"):
            return [_to_tensor(self._data.decoded[case_id]) for case_id in self._case_ids]
        fits = len(self) * math.prod(self._data.image_shape) <= AUTO_CACHE_BYTES
        return (
            default_collate(self._decode(range(len(self)))) if cache == "memory" or (cache == "auto" and fits) else None
        )

    @property
    def in_memory(self) -> bool:
        """Whether the decoded images are kept in memory."""
        return self._images is not None

    def __getitem__(self, row: int | None) -> Sample:
        """Read one case; see :meth:`__getitems__`."""
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int | None]) -> list[Sample]:
        """Read several cases at once, as a DataLoader does: images that are not cached are decoded in parallel.

        Args:
            rows: rows of :attr:`cases`; negative ones count from the end. None gives a filler: the first case with
                `row` -1, to be left out of every result.

        Returns:
            One sample per row, after the transform.

        Raises:
            IndexError: there is no such row.
            ImageError: an image is damaged.
        """
        known = range(len(self))
        positions = [known[0 if row is None else row] for row in rows]
        samples = [
            self._sample(position, FILLER_ROW if row is None else position, image)
            for row, position, image in zip(rows, positions, self._read(positions), strict=True)
        ]
        return samples if self.transform is None else [self.transform(sample) for sample in samples]

    def _sample(self, position: int, row: int, image: Shaped[Tensor, "i H W"]) -> Sample:
        regions = (None, None) if self._regions is None else map(torch.from_numpy, self._regions.draw(position))
        region_maps, region_label = regions
        return Sample(
            image=image,
            label=self._labels[position],
            points_px=self._gaze[position][:, :2],
            duration_s=self._gaze[position][:, 2],
            px_per_degree=self._gaze[position][:, 3:],
            point_label=self._point_labels[position],
            row=row,
            region_maps=region_maps,
            region_label=region_label,
        )

    def batch(self, rows: Sequence[int | None]) -> Batch:
        """Read several cases as one batch.

        Args:
            rows: as for :meth:`__getitems__`.

        Returns:
            The collated samples.
        """
        return collate(self.__getitems__(rows))

    def _read(self, rows: Sequence[int]) -> Sequence[Shaped[Tensor, "i H W"]]:
        if self._images is not None:
            return [self._images[row] for row in rows]
        if self._file is not None:
            # Mapped anew for each batch, which is cheap, because worker processes do not inherit a mapping.
            mapped = np.load(self._file, mmap_mode="r")
            return [_to_tensor(mapped[row].copy()) for row in rows]
        return self._decode(rows)

    def _decode(self, rows: Sequence[int]) -> list[Shaped[Tensor, "i H W"]]:
        case_ids = [self._case_ids[row] for row in rows]
        if get_worker_info() is not None or len(rows) == 1:  # worker processes need no threads of their own
            images = list(map(self._data.read_image, case_ids))
        else:
            with ThreadPoolExecutor(thread_count()) as pool:  # decoding releases the interpreter's lock
                images = list(pool.map(self._data.read_image, case_ids))
        return list(map(_to_tensor, images))


def _to_tensor(image: Shaped[np.ndarray, "H W *rgb"]) -> Shaped[Tensor, "i H W"]:
    """View an image as a tensor with the channels first. In memory they stay last, as networks compute fastest."""
    pixels = torch.from_numpy(image)
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)


def _gaze_by_case(
    data: PreparedData, case_ids: list[str]
) -> tuple[Sequence[Float[Tensor, "n 5"]], Sequence[Int[Tensor, " n"]]]:
    """Fixations of each case: x, y, duration and px per degree along x and y; and the class of each fixation."""
    table = data.fixations if uses_gaze(data.attention) else data.fixations.iloc[:0]
    position = {case_id: i for i, case_id in enumerate(case_ids)}
    owner = np.array([position.get(case_id, np.nan) for case_id in table["case_id"].tolist()])  # NaN: in another split
    in_split = ~np.isnan(owner)
    order = np.argsort(owner[in_split], kind="stable")
    counts = np.bincount(owner[in_split].astype(np.int64), minlength=len(case_ids)).tolist()
    index = {name: k for k, name in enumerate(data.class_names)}
    label = np.array([index.get(name, -1) for name in table["label"].tolist()], dtype=np.int64)
    values = table[list(_GAZE_COLUMNS)].to_numpy(np.float32)

    def by_case(column: np.ndarray) -> Sequence[Tensor]:
        return torch.from_numpy(column[in_split][order]).split(counts) if counts else ()

    return by_case(values), by_case(label)
