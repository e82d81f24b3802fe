import shutil

import cv2
import pytest
import torch

from ggcam.data.data_module import PreparedDataModule
from ggcam.data.dataset import PreparedDataset
from ggcam.data.prepared import load_prepared
from ggcam.errors import PreparedFolderError


def test_cached_images_equal_decoded_images(prepared, tmp_path):
    copy = shutil.copytree(prepared, tmp_path / "copy")
    data = load_prepared(copy)
    rows = [3, 0, 3]
    expected = PreparedDataset(data, "valid", "none").batch(rows).image
    assert torch.equal(PreparedDataset(data, "valid", "disk").batch(rows).image, expected)
    (written,) = (copy / "pixels").iterdir()
    before = written.stat().st_mtime_ns
    module = PreparedDataModule(data, batch_size=4, cache="disk", workers=1)
    assert torch.equal(torch.cat([batch.image for batch in module.val_dataloader()])[rows], expected)
    assert [path.stat().st_mtime_ns for path in (copy / "pixels").iterdir()] == [before]  # written once


def test_a_changed_image_gets_a_new_cache(prepared, tmp_path):
    copy = shutil.copytree(prepared, tmp_path / "copy")
    data = load_prepared(copy)
    dataset = PreparedDataset(data, "valid", "disk")
    image = copy / dataset.cases.loc[0, "image"]
    cv2.imwrite(str(image), 255 - cv2.imread(str(image), cv2.IMREAD_UNCHANGED))
    changed = PreparedDataset(data, "valid", "disk")
    assert torch.equal(changed.batch([0, 1]).image, PreparedDataset(data, "valid", "none").batch([0, 1]).image)
    assert len(list((copy / "pixels").iterdir())) == 2


def test_a_cache_that_cannot_be_written_leaves_nothing_and_hints_at_a_fix(prepared, tmp_path, monkeypatch):
    copy = shutil.copytree(prepared, tmp_path / "copy")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ggcam.utils.atomic.os.replace", full)
    with pytest.raises(PreparedFolderError, match="--cache memory"):
        PreparedDataset(load_prepared(copy), "valid", "disk")
    assert list((copy / "pixels").iterdir()) == []
