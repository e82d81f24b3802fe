import shutil

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from colour_source import write_photographs
from ggcam.data.batches import Batch, Sample, collate
from ggcam.data.dataset import PreparedDataset
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.data.prepared import load_prepared
from ggcam.errors import ImageError


def test_a_batch_holds_each_cases_image_label_and_gaze(prepared):
    data = load_prepared(prepared)
    dataset = PreparedDataset(data, "train")
    rows = [5, 0, 11]
    batch = dataset.batch(rows)
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
    without_gaze = np.flatnonzero(~dataset.cases["has_gaze"]).tolist()
    assert without_gaze
    assert dataset.batch(without_gaze).duration_s.sum() == 0


def test_images_in_memory_equal_images_from_disk(prepared):
    data = load_prepared(prepared)
    memory, disk = PreparedDataset(data, "valid", "memory"), PreparedDataset(data, "valid", "none")
    assert memory.in_memory
    assert not disk.in_memory
    rows = list(range(len(memory)))
    assert torch.equal(memory.batch(rows).image, disk.batch(rows).image)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """A prepared folder of RGB images of 16 bits."""
    root = tmp_path_factory.mktemp("colours")
    photographs = write_photographs(root / "raw", per_class=8)
    return prepare(photographs, root / "data", PrepareConfig(size="64x32", bits=16))


def test_colours_come_with_the_channels_first_from_every_cache(colours):
    rows = [3, 0, 1]
    expected = [colours.read_image(case_id) for case_id in colours.cases["case_id"]]
    for cache in ("memory", "disk", "none"):
        dataset = PreparedDataset(colours, "train", cache)
        batch = dataset.batch(rows)
        assert batch.image.shape == (3, 3, 64, 32)
        assert batch.image.dtype == torch.uint16
        for row, image in zip(rows, batch.image, strict=True):
            index = colours.cases.index[colours.cases["case_id"] == dataset.cases["case_id"][row]][0]
            for channel in range(3):
                np.testing.assert_array_equal(image[channel].numpy(), expected[index][..., channel])
        assert dataset[0].image.shape == (3, 64, 32)


def test_worker_processes_deliver_colours(colours):
    dataset = PreparedDataset(colours, "train", "none")
    loader = DataLoader(dataset, batch_size=4, collate_fn=collate, num_workers=1)
    torch.testing.assert_close(next(iter(loader)).image, dataset.batch(range(4)).image)


def test_a_grey_image_in_a_folder_of_colours_is_damaged(colours, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(colours.root, copy)
    data = load_prepared(copy)
    path = copy / data.cases.loc[0, "image"]
    cv2.imwrite(str(path), np.zeros((64, 32), np.uint16))
    with pytest.raises(ImageError, match=r"expected: three channels of 64x32(?s:.*)got: an array of shape \(64, 32\)"):
        data.read_image(data.cases.loc[0, "case_id"])


def test_a_damaged_image_is_named(prepared, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    data = load_prepared(copy)
    dataset = PreparedDataset(data, "test", "none")
    broken = copy / dataset.cases.loc[0, "image"]
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(ImageError, match=broken.name):
        dataset[0]


def samples_equal(a: Sample, b: Sample) -> bool:
    def equal(x, y) -> bool:
        if not isinstance(x, torch.Tensor):
            return x == y
        return np.array_equal(x.numpy(), y.numpy(), equal_nan=x.is_floating_point())

    return all(map(equal, a, b))


@pytest.mark.parametrize("cache", ["memory", "none", "disk"])
def test_reading_one_by_one_equals_reading_at_once(prepared, tmp_path, cache):
    data = load_prepared(shutil.copytree(prepared, tmp_path / "copy"))
    dataset = PreparedDataset(data, "train", cache)
    rows = [7, 0, len(dataset) - 1, 0, -2]
    at_once = dataset.__getitems__(rows)
    for row, sample in zip(rows, at_once, strict=True):
        assert samples_equal(dataset[row], sample)
        assert sample.row == row % len(dataset)


def test_a_sample_has_the_unpadded_fixations_of_its_case(prepared):
    data = load_prepared(prepared)
    dataset = PreparedDataset(data, "train")
    for row in range(len(dataset)):
        sample = dataset[row]
        fixations = data.fixations[data.fixations["case_id"] == dataset.cases.loc[row, "case_id"]]
        np.testing.assert_allclose(sample.points_px, fixations[["x_px", "y_px"]], rtol=1e-6)
        assert sample.point_label.shape == sample.duration_s.shape == (len(fixations),)
        assert sample.image.shape == (1, *data.frame.shape)


def test_a_dataset_is_iterable_and_ends(prepared):
    dataset = PreparedDataset(load_prepared(prepared), "valid")
    assert [sample.row for sample in dataset] == list(range(len(dataset)))
    with pytest.raises(IndexError):
        _ = dataset[len(dataset)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_torch_loader_gives_batches(prepared, workers):
    dataset = PreparedDataset(load_prepared(prepared), "train", "none")
    loader = DataLoader(dataset, batch_size=8, collate_fn=collate, num_workers=workers)
    batches: list[Batch] = list(loader)
    assert torch.cat([batch.row for batch in batches]).tolist() == list(range(len(dataset)))
    for batch in batches:
        for i, row in enumerate(batch.row.tolist()):
            sample = dataset[row]
            count = len(sample.duration_s)
            assert torch.equal(batch.image[i], sample.image)
            assert batch.label[i] == sample.label
            assert torch.equal(batch.points_px[i, :count], sample.points_px)
            assert torch.equal(batch.point_label[i, :count], sample.point_label)
            assert (batch.duration_s[i, count:] == 0).all()
            assert batch.px_per_degree[i, count:].isnan().all()
            assert (batch.point_label[i, count:] == -1).all()


def brighten(sample: Sample) -> Sample:
    return sample._replace(image=sample.image.float() + 1000 * (sample.row + 1), points_px=sample.points_px + 5)


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_transform_changes_each_sample_once(prepared, cache, workers):
    data = load_prepared(prepared)
    plain, changed = PreparedDataset(data, "train", cache), PreparedDataset(data, "train", cache, transform=brighten)
    for _ in range(2):  # the second epoch starts from unchanged samples
        for batch in DataLoader(changed, batch_size=8, collate_fn=collate, num_workers=workers):
            before = plain.batch(batch.row.tolist())
            expected = before.image + 1000 * (batch.row[:, None, None, None] + 1)
            assert torch.equal(batch.image, expected.float())
            real = before.duration_s > 0
            assert torch.equal(batch.points_px[real], before.points_px[real] + 5)
    assert samples_equal(changed[3], brighten(plain[3]))


def test_a_filler_is_the_first_case_marked(prepared):
    dataset = PreparedDataset(load_prepared(prepared), "valid")
    filler = dataset[None]
    assert filler.row == -1
    assert samples_equal(filler._replace(row=0), dataset[0])
    assert dataset.batch([2, None]).row.tolist() == [2, -1]


def test_cases_without_gaze_have_one_padded_point(prepared):
    dataset = PreparedDataset(load_prepared(prepared), "train")
    without_gaze = np.flatnonzero(~dataset.cases["has_gaze"]).tolist()
    batch = dataset.batch(without_gaze[:2])
    assert batch.points_px.shape[1:] == (1, 2)
    assert batch.duration_s.sum() == 0
