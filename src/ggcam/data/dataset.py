"""Prepared folder -> batches: whole batches at a time, one-channel integers, fixations as padded points."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import lightning
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate, get_worker_info

from ggcam.data.case import Split
from ggcam.data.pixel_cache import pixel_cache
from ggcam.data.prepared import PreparedData
from ggcam.errors import ConfigError
from ggcam.utils.parallel import cpu_count

Cache = Literal["auto", "memory", "disk", "none"]

PADDING = (np.nan, np.nan, -1)
"""Pixels per degree and class of a fixation that is none."""

AUTO_CACHE_BYTES = 4 * 2**30
"""A split up to this size is decoded once and kept in memory."""


class Batch(NamedTuple):
    """What reaches the device. Integers become floats there.

    Attributes:
        image: (b, 1, H, W), uint8 or uint16.
        label: (b,), class index; where a case may have several labels (b, k), 1, 0 or NaN (unknown) for each class.
        points_px: (b, p, 2), x_px and y_px of each fixation in the frame; 0 where padded.
        duration_s: (b, p), 0 where padded.
        px_per_degree: (b, p, 2), along x and y; NaN where unknown or padded.
        row: (b,), of each case in its split; -1 for a case that only fills up a process's share.
        point_label: (b, p), index of the class that each fixation belongs to; -1 where it belongs to none, or padded.
    """

    image: Shaped[Tensor, "b 1 H W"]
    label: Int[Tensor, " b"] | Float[Tensor, "b k"]
    points_px: Float[Tensor, "b p 2"]
    duration_s: Float[Tensor, "b p"]
    px_per_degree: Float[Tensor, "b p 2"]
    row: Int[Tensor, " b"]
    point_label: Int[Tensor, "b p"]


class PreparedDataset(Dataset[Batch]):
    """One split of a prepared folder. Indexed by a list of rows, it yields a whole :class:`Batch`.

    Args:
        data: the prepared folder.
        split: which part of it.
        cache: "memory" decodes every image once, "none" every time, "auto" chooses between them by size; "disk" keeps
            the decoded images in a file beside the prepared ones, see :mod:`ggcam.data.pixel_cache`.

    Raises:
        PreparedFolderError: the file for "disk" cannot be written.
    """

    def __init__(self, data: PreparedData, split: Split, cache: Cache = "auto"):
        self.cases: pd.DataFrame = data.cases.loc[data.cases["split"] == split].reset_index(drop=True)
        self.frame = data.frame.shape
        self._data = data
        self._case_ids = self.cases["case_id"].tolist()
        labels = torch.tensor(data.labels_of(self.cases))
        self._labels = labels.float() if data.multi_label else labels
        self._gaze, self._first = _gaze_by_case(data, self._case_ids)
        in_memory = cache == "memory" or (
            cache == "auto" and len(self) * self.frame[0] * self.frame[1] <= AUTO_CACHE_BYTES
        )
        self._images = self._decode(range(len(self))) if in_memory and len(self) else None
        self._file = pixel_cache(data, self._case_ids) if cache == "disk" and len(self) else None

    def __len__(self) -> int:
        return len(self._case_ids)

    @property
    def in_memory(self) -> bool:
        """Whether the images are already decoded."""
        return self._images is not None

    def __getitem__(self, rows: list[int]) -> Batch:
        """The cases of these rows; -1 stands for a filler (row 0, to be left out of every result)."""
        row = torch.tensor(rows)
        taken = row.clamp_min(0)
        images = self._images[taken] if self._images is not None else self._read(taken.tolist())
        counts = [self._first[case + 1] - self._first[case] for case in taken.tolist()]
        gaze = np.zeros((len(rows), max(1, *counts), 6), np.float32)
        gaze[..., 3:] = PADDING
        for i, case in enumerate(taken.tolist()):
            gaze[i, : counts[i]] = self._gaze[self._first[case] : self._first[case + 1]]
        points = torch.from_numpy(gaze)
        return Batch(
            image=images,
            label=self._labels[taken],
            points_px=points[..., :2],
            duration_s=points[..., 2],
            px_per_degree=points[..., 3:5],
            row=row,
            point_label=points[..., 5].long(),
        )

    def _read(self, rows: list[int]) -> Shaped[Tensor, "b 1 H W"]:
        if self._file is None:
            return self._decode(rows)
        mapped = np.load(self._file, mmap_mode="r")  # for each batch anew, which costs nothing, as workers inherit none
        return default_collate([torch.from_numpy(mapped[row].copy())[None] for row in rows])

    def _decode(self, rows: range | list[int]) -> Shaped[Tensor, "b 1 H W"]:
        case_ids = [self._case_ids[row] for row in rows]
        if get_worker_info() is not None:  # one of several processes, in which threads would be too many
            images = list(map(self._data.read_image, case_ids))
        else:
            with ThreadPoolExecutor(min(8, cpu_count())) as pool:  # decoding frees the interpreter's lock
                images = list(pool.map(self._data.read_image, case_ids))
        # In a worker process this stacks them straight into the memory that it shares with the main one.
        return default_collate([torch.from_numpy(image)[None] for image in images])


def _gaze_by_case(data: PreparedData, case_ids: list[str]) -> tuple[Float[np.ndarray, "n 6"], list[int]]:
    """All fixations by case: x, y, duration, px per degree along x and y, class; and where each case's begin."""
    table = data.fixations
    place = {case_id: i for i, case_id in enumerate(case_ids)}
    owner = np.array([place.get(case_id, np.nan) for case_id in table["case_id"]])  # NaN: a case of another split
    mine = ~np.isnan(owner)
    order = np.argsort(owner[mine], kind="stable")
    columns = ["x_px", "y_px", "duration_s", "px_per_degree_x", "px_per_degree_y"]
    index = {name: k for k, name in enumerate(data.class_names)}
    label = [index.get(name, -1) for name in table["label"]]
    values = table[columns].assign(label=label).loc[mine].to_numpy(np.float32)[order]
    first = np.searchsorted(owner[mine][order], np.arange(len(case_ids) + 1))
    return values, first.tolist()


class SeededBatches(Sampler[list[int]]):
    """The batches of an epoch, the same whatever the number of processes; each process gets its share of every batch.

    Args:
        cases: how many there are.
        batch_size: over all processes together.
        seed: with the epoch, decides the order; None keeps the order and all cases (evaluation).
        rank: this process.
        world: how many processes.
    """

    def __init__(self, cases: int, batch_size: int, seed: int | None, rank: int = 0, world: int = 1):
        if batch_size % world:
            raise ConfigError(
                f"a batch of {batch_size} cannot be shared by {world} processes",
                where="--batch-size",
                hint=f"use {batch_size // world * world or world}",
            )
        self.cases, self.batch_size, self.seed, self.rank, self.world = cases, batch_size, seed, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self.cases, self.batch_size)
        # In training a last small batch would upset batch norm; with a single batch there is no choice.
        return whole if self.seed is not None and whole else whole + bool(rest)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(range(self.cases))
        if self.seed is not None:
            order = np.random.Generator(np.random.Philox(key=[self.seed, self.epoch])).permutation(self.cases).tolist()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            batch += [-1] * (-len(batch) % self.world)
            yield batch[self.rank :: self.world]


class PreparedDataModule(lightning.LightningDataModule):
    """The three splits of a prepared folder, for a Lightning trainer.

    Args:
        data: the prepared folder.
        batch_size: over all processes together.
        seed: decides the order of the training cases.
        cache: see :class:`PreparedDataset`.
        workers: processes that decode images which are not in memory; None chooses by the number of cores.
    """

    def __init__(
        self, data: PreparedData, batch_size: int, seed: int = 0, cache: Cache = "auto", workers: int | None = None
    ):
        super().__init__()
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.cache: Cache = cache
        self.workers = min(8, cpu_count()) if workers is None else workers
        self._datasets: dict[Split, PreparedDataset] = {}

    def dataset(self, split: Split) -> PreparedDataset:
        """One split, opened when it is first asked for: training never touches the test images."""
        if split not in self._datasets:
            self._datasets[split] = PreparedDataset(self.data, split, self.cache)
        return self._datasets[split]

    def loader(self, split: Split, shuffle: bool = False) -> DataLoader[Batch]:
        """Batches of one split; in a distributed run, this process's share of them."""
        dataset = self.dataset(split)
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
        batches = SeededBatches(len(dataset), self.batch_size, self.seed if shuffle else None, rank, world)
        workers = 0 if dataset.in_memory else self.workers
        return DataLoader(
            dataset,
            sampler=batches,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled by (seed, epoch)."""
        return self.loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """In order."""
        return self.loader("valid")

    def test_dataloader(self) -> DataLoader[Batch]:
        """In order."""
        return self.loader("test")
