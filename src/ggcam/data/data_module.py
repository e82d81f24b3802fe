"""Loaders of a prepared folder for a Lightning trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from ggcam.data.batches import Batch, collate
from ggcam.data.case import Split
from ggcam.data.dataset import Cache, PreparedDataset
from ggcam.data.prepared import PreparedData
from ggcam.data.view_config import RegionShape
from ggcam.errors import ConfigError
from ggcam.utils.parallel import thread_count


class SeededBatches(Sampler[list[int | None]]):
    """The batches of an epoch, the same for any number of processes. Each process gets its share of every batch.

    Args:
        cases: number of cases.
        batch_size: cases per batch, over all processes together.
        seed: seed of the order, together with the epoch; None keeps the order and all cases (evaluation).
        rank: number of this process.
        world: number of processes.

    Raises:
        ConfigError: the batch size is not divisible by the number of processes.
    """

    def __init__(self, cases: int, batch_size: int, seed: int | None, rank: int = 0, world: int = 1):
        check_shares(batch_size, world)
        self.cases, self.batch_size, self.seed, self.rank, self.world = cases, batch_size, seed, rank, world
        self.epoch = 0

    @property
    def sampler(self) -> SeededBatches:
        """This object: Lightning sets the epoch of a batch sampler's `sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration. Lightning calls this before each epoch.

        Args:
            epoch: number of the epoch, from 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self.cases, self.batch_size)
        # In training, a small last batch would disturb batch normalisation; a single batch must be kept.
        return whole if self.seed is not None and whole else whole + bool(rest)

    def __iter__(self) -> Iterator[list[int | None]]:
        order: list[int | None] = list(range(self.cases))
        if self.seed is not None:
            order = np.random.Generator(np.random.Philox(key=[self.seed, self.epoch])).permutation(self.cases).tolist()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            batch += [None] * (-len(batch) % self.world)
            yield batch[self.rank :: self.world]


def check_shares(batch_size: int, world: int) -> None:
    """Check that each process can have an equal share of a batch.

    Args:
        batch_size: cases per batch, over all processes together.
        world: number of processes.

    Raises:
        ConfigError: the batch size is not divisible by the number of processes.
    """
    if batch_size % world:
        raise ConfigError(
            f"a batch of {batch_size} cannot be shared by {world} processes",
            where="--batch-size",
            hint=f"use {batch_size // world * world or world}",
        )


class PreparedDataModule(lightning.LightningDataModule):
    """The three splits of a prepared folder, for a Lightning trainer.

    Args:
        data: prepared folder.
        batch_size: cases per batch, over all processes together.
        seed: seed of the order of the training cases.
        cache: see :class:`ggcam.data.dataset.PreparedDataset`.
        workers: number of processes that decode images which are not in memory; None for one per core, at most 8.
        region_shape: how the attention spreads in a box or an ellipse.
        selection: split on which the best epoch is chosen: valid or test.
    """

    def __init__(
        self,
        data: PreparedData,
        batch_size: int,
        seed: int = 0,
        cache: Cache = "auto",
        workers: int | None = None,
        region_shape: RegionShape = "filled",
        selection: Split = "valid",
    ):
        super().__init__()
        self.selection: Split = selection
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.cache: Cache = cache
        self.region_shape: RegionShape = region_shape
        self.workers = thread_count() if workers is None else workers
        self._datasets: dict[Split, PreparedDataset] = {}

    def dataset(self, split: Split) -> PreparedDataset:
        """Open one split on first use, so that training reads no images of a split that it does not use.

        Args:
            split: train, valid or test.

        Returns:
            The dataset, the same object each time.
        """
        if split not in self._datasets:
            self._datasets[split] = PreparedDataset(self.data, split, self.cache, region_shape=self.region_shape)
        return self._datasets[split]

    def loader(self, split: Split, shuffle: bool = False) -> DataLoader[Batch]:
        """Load the batches of one split; in a distributed run, this process's share of them.

        Args:
            split: train, valid or test.
            shuffle: whether to shuffle by seed and epoch, and to drop a small last batch.

        Returns:
            A loader of batches.
        """
        dataset = self.dataset(split)
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
        workers = 0 if dataset.in_memory else self.workers
        return DataLoader[Any](  # collating turns samples into batches, which its type cannot say
            dataset,
            batch_sampler=SeededBatches(len(dataset), self.batch_size, self.seed if shuffle else None, rank, world),
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Load the training cases, shuffled by seed and epoch.

        Returns:
            A loader of batches.
        """
        return self.loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Load the cases on which the best epoch is chosen, in order.

        Returns:
            A loader of batches.
        """
        return self.loader(self.selection)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Load the test cases in order.

        Returns:
            A loader of batches.
        """
        return self.loader("test")
