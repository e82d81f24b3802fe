import shutil

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ggcam.data.dataset import PreparedDataModule, PreparedDataset, SeededBatches
from ggcam.data.prepared import load_prepared
from ggcam.errors import ConfigError, ImageError, PreparedFolderError


@given(st.integers(1, 60), st.integers(1, 6), st.integers(1, 4), st.integers(0, 99))
def test_processes_share_the_very_batches_that_one_process_has(cases, share, world, seed):
    batch_size = share * world
    alone = list(SeededBatches(cases, batch_size, seed))
    parts = [list(SeededBatches(cases, batch_size, seed, rank, world)) for rank in range(world)]
    assert {len(part) for part in parts} == {len(alone)}
    for step, batch in enumerate(alone):
        together = [row for part in parts for row in part[step] if row >= 0]
        assert sorted(together) == sorted(batch)
        assert len({len(part[step]) for part in parts}) == 1  # nobody waits for a batch that does not come


@given(st.integers(1, 60), st.integers(1, 8), st.integers(1, 3))
def test_evaluation_sees_every_case_once_in_order(cases, share, world):
    parts = [list(SeededBatches(cases, share * world, None, rank, world)) for rank in range(world)]
    seen = [row for part in parts for batch in part for row in batch if row >= 0]
    assert sorted(seen) == list(range(cases))
    if world == 1:
        assert seen == list(range(cases))


def test_an_epoch_is_a_permutation_and_the_next_another():
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


def test_a_batch_that_cannot_be_shared_names_one_that_can():
    with pytest.raises(ConfigError, match="use 9"):
        SeededBatches(20, 10, seed=0, rank=0, world=3)


def test_a_batch_holds_each_cases_image_label_and_gaze(prepared):
    data = load_prepared(prepared)
    dataset = PreparedDataset(data, "train")
    rows = [5, 0, 11]
    batch = dataset[rows]
    for i, row in enumerate(rows):
        case = dataset.cases.iloc[row]
        image = cv2.imread(str(prepared / case["image"]), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(batch.image[i, 0].numpy(), image)
        assert batch.label[i].item() == case["label"]
        slow = data.fixations[data.fixations["case_id"] == case["case_id"]]
        n = len(slow)
        np.testing.assert_allclose(batch.points_px[i, :n].numpy(), slow[["x_px", "y_px"]], rtol=1e-6)
        np.testing.assert_allclose(batch.duration_s[i, :n].numpy(), slow["duration_s"], rtol=1e-6)
        assert (batch.duration_s[i, n:] == 0).all()
        per_degree = slow[["px_per_degree_x", "px_per_degree_y"]]
        np.testing.assert_allclose(batch.px_per_degree[i, :n].numpy(), per_degree, rtol=1e-6)


def test_a_case_without_gaze_has_no_weight(prepared):
    dataset = PreparedDataset(load_prepared(prepared), "train")
    silent = np.flatnonzero(~dataset.cases["has_gaze"]).tolist()
    assert silent
    assert dataset[silent].duration_s.sum() == 0


def test_images_in_memory_equal_images_from_disk(prepared):
    data = load_prepared(prepared)
    memory, disk = PreparedDataset(data, "valid", "memory"), PreparedDataset(data, "valid", "none")
    assert memory.in_memory
    assert not disk.in_memory
    rows = list(range(len(memory)))
    assert torch.equal(memory[rows].image, disk[rows].image)


def test_worker_processes_deliver_the_same_batches(prepared):
    data = load_prepared(prepared)
    here = PreparedDataModule(data, batch_size=8, seed=2, cache="memory").train_dataloader()
    there = PreparedDataModule(data, batch_size=8, seed=2, cache="none", workers=1).train_dataloader()
    for a, b in zip(here, there, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a[:4], b[:4], strict=True))


def test_training_never_opens_the_test_images(prepared):
    module = PreparedDataModule(load_prepared(prepared), batch_size=8)
    module.train_dataloader()
    module.val_dataloader()
    assert set(module._datasets) == {"train", "valid"}


def test_a_damaged_image_is_named(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    data = load_prepared(copy)
    dataset = PreparedDataset(data, "test", "none")
    broken = copy / dataset.cases.loc[0, "image"]
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(ImageError, match=broken.name):
        dataset[[0]]


def test_images_from_the_pixel_file_equal_images_from_disk(prepared, tmp_path):
    copy = shutil.copytree(prepared, tmp_path / "copy")
    data = load_prepared(copy)
    rows = [3, 0, 3]
    expected = PreparedDataset(data, "valid", "none")[rows].image
    assert torch.equal(PreparedDataset(data, "valid", "disk")[rows].image, expected)
    (written,) = (copy / "pixels").iterdir()
    before = written.stat().st_mtime_ns
    module = PreparedDataModule(data, batch_size=4, cache="disk", workers=1)
    assert torch.equal(torch.cat([batch.image for batch in module.val_dataloader()])[rows], expected)
    assert [path.stat().st_mtime_ns for path in (copy / "pixels").iterdir()] == [before]  # written once


def test_the_pixel_file_is_never_stale(prepared, tmp_path):
    copy = shutil.copytree(prepared, tmp_path / "copy")
    data = load_prepared(copy)
    dataset = PreparedDataset(data, "valid", "disk")
    image = copy / dataset.cases.loc[0, "image"]
    cv2.imwrite(str(image), 255 - cv2.imread(str(image), cv2.IMREAD_UNCHANGED))
    changed = PreparedDataset(data, "valid", "disk")
    assert torch.equal(changed[[0, 1]].image, PreparedDataset(data, "valid", "none")[[0, 1]].image)
    assert len(list((copy / "pixels").iterdir())) == 2


def test_a_pixel_file_that_cannot_be_written_leaves_nothing_and_says_what_to_do(prepared, tmp_path, monkeypatch):
    copy = shutil.copytree(prepared, tmp_path / "copy")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ggcam.utils.atomic.os.replace", full)
    with pytest.raises(PreparedFolderError, match="--cache memory"):
        PreparedDataset(load_prepared(copy), "valid", "disk")
    assert list((copy / "pixels").iterdir()) == []
