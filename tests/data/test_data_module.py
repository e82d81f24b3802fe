import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.data_module import PreparedDataModule, SeededBatches
from ggcam.data.prepared import load_prepared
from ggcam.errors import ConfigError


@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 4), st.integers(0, 99))
def test_processes_share_the_batches_of_a_single_process(cases, share, world, seed):
    batch_size = share * world
    alone = list(SeededBatches(cases, batch_size, seed))
    parts = [list(SeededBatches(cases, batch_size, seed, rank, world)) for rank in range(world)]
    assert {len(part) for part in parts} == {len(alone)}
    for step, batch in enumerate(alone):
        together = [row for part in parts for row in part[step] if row is not None]
        assert sorted(together) == sorted(batch)
        assert len({len(part[step]) for part in parts}) == 1  # no process waits for a batch that never comes


@given(st.integers(1, 60), st.integers(1, 8), st.integers(1, 3))
def test_evaluation_reads_every_case_once_in_order(cases, share, world):
    parts = [list(SeededBatches(cases, share * world, None, rank, world)) for rank in range(world)]
    seen = [row for part in parts for batch in part for row in batch if row is not None]
    assert sorted(seen) == list(range(cases))
    if world == 1:
        assert seen == list(range(cases))


def test_each_epoch_is_another_permutation():
    batches = SeededBatches(32, 8, seed=5)
    first = [row for batch in batches for row in batch]
    batches.set_epoch(1)
    second = [row for batch in batches for row in batch]
    assert sorted(first) == sorted(second) == list(range(32))
    assert first != second
    assert first == [row for batch in SeededBatches(32, 8, seed=5) for row in batch]


def test_training_drops_a_last_small_batch_unless_it_is_the_only_one():
    assert [len(batch) for batch in SeededBatches(20, 8, seed=0)] == [8, 8]
    assert [len(batch) for batch in SeededBatches(5, 8, seed=0)] == [5]
    assert [len(batch) for batch in SeededBatches(20, 8, seed=None)] == [8, 8, 4]


def test_a_batch_size_that_cannot_be_shared_is_refused_with_one_that_can():
    with pytest.raises(ConfigError, match="use 9"):
        SeededBatches(20, 10, seed=0, rank=0, world=3)


def test_worker_processes_load_the_same_batches(prepared):
    data = load_prepared(prepared)
    here = PreparedDataModule(data, batch_size=8, seed=2, cache="memory").train_dataloader()
    there = PreparedDataModule(data, batch_size=8, seed=2, cache="none", workers=1).train_dataloader()
    for a, b in zip(here, there, strict=True):
        for x, y in zip(a, b, strict=True):
            if x is None:
                assert y is None
            else:
                torch.testing.assert_close(x, y, rtol=0, atol=0, equal_nan=True)


def test_training_never_opens_the_test_split(prepared):
    module = PreparedDataModule(load_prepared(prepared), batch_size=8)
    module.train_dataloader()
    module.val_dataloader()
    assert set(module._datasets) == {"train", "valid"}


def test_a_trainer_sets_the_epoch_of_the_sampler(prepared):
    from lightning.fabric.utilities.data import _set_sampler_epoch

    loader = PreparedDataModule(load_prepared(prepared), batch_size=8, seed=2).train_dataloader()
    first = torch.cat([batch.row for batch in loader])
    _set_sampler_epoch(loader, 1)
    assert not torch.equal(torch.cat([batch.row for batch in loader]), first)
    _set_sampler_epoch(loader, 0)
    assert torch.equal(torch.cat([batch.row for batch in loader]), first)
