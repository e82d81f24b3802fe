from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ggcam.data.images import image_size, read_image, read_mask, read_pixels
from ggcam.data.original.pt_files import OriginalFile, read_original, write_original
from ggcam.errors import ImageError

RNG = np.random.default_rng(3)


def content() -> OriginalFile:
    cxr = RNG.random((96, 64), dtype=np.float32)
    cxr[40, 20] = 1
    gaze = RNG.random((3, 2), dtype=np.float32)
    lung, heart = np.array([[1, 0], [1, 1], [0, 0]], bool), np.array([[0, 1], [0, 0], [0, 0]], bool)
    return OriginalFile(cxr, gaze, lung, heart, 2)


def tensors() -> dict[str, torch.Tensor]:
    made = content()
    return {
        "cxr": torch.from_numpy(np.stack([made.cxr] * 3)),
        "gaze": torch.from_numpy(made.gaze[None]),
        "lung": torch.from_numpy(made.lung),
        "heart": torch.from_numpy(made.heart),
        "Y": torch.tensor(2),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.pt"


def test_torch_reads_what_is_written_as_the_original_has_it(path):
    made = content()
    write_original(path, made)
    found = torch.load(path)
    assert {key: (tuple(value.shape), value.dtype) for key, value in found.items()} == {
        "cxr": ((3, 96, 64), torch.float32),
        "gaze": ((1, 3, 2), torch.float32),
        "lung": ((3, 2), torch.bool),
        "heart": ((3, 2), torch.bool),
        "Y": ((), torch.int64),
    }
    for channel in found["cxr"]:
        np.testing.assert_array_equal(channel, made.cxr)
    assert found["Y"] == 2


def test_what_is_written_is_read_back(path):
    made = content()
    write_original(path, made)
    found = read_original(path)
    for name in ("cxr", "gaze", "lung", "heart"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    assert found.label == 2


def test_its_image_and_masks_are_read_like_any_other(path):
    made = content()
    write_original(path, made)
    np.testing.assert_array_equal(read_pixels(path), made.cxr)
    image = read_image(path)
    assert image.dtype == np.uint16
    np.testing.assert_allclose(image, 65535 * made.cxr, atol=0.51)
    assert image_size(path) == (96, 64)
    for name, cells in (("left_lung", made.lung), ("right_lung", made.lung), ("mediastinum", made.heart)):
        mask = read_mask(path, name)
        np.testing.assert_array_equal(mask, np.kron(cells, np.ones((32, 32), bool)))


def test_a_gaze_of_nan_as_the_original_writes_it_is_no_gaze(path):
    torch.save({**tensors(), "gaze": torch.full((1, 3, 2), torch.nan)}, path)
    assert not read_original(path).gaze.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heart": None}, r"no heart\n(.|\n)*expected: cxr, gaze, lung, heart, Y"),
        ({"cxr": torch.zeros(1, 96, 64)}, r"cxr is of another shape(.|\n)*got: \(1, 96, 64\)"),
        ({"cxr": torch.zeros(96, 64)}, "cxr is of another shape"),
        ({"cxr": torch.zeros(3, 0, 0)}, "cxr is of another shape"),
        ({"cxr": torch.zeros(3, 90, 64)}, "sides divisible by 32"),
        ({"cxr": torch.zeros(3, 96, 64, dtype=torch.float64)}, "cxr is of another type(.|\n)*expected: float32"),
        ({"gaze": torch.zeros(1, 2, 3)}, r"gaze is of another shape(.|\n)*expected: \(1, 3, 2\)"),
        ({"lung": torch.zeros(3, 2)}, r"lung is of another type(.|\n)*expected: bool"),
        ({"heart": torch.zeros(4, 2, dtype=torch.bool)}, r"heart is of another shape(.|\n)*got: \(4, 2\)"),
        ({"Y": torch.tensor(2, dtype=torch.int8)}, "Y is of another type(.|\n)*got: int8"),
        ({"Y": torch.tensor([2])}, "Y is of another shape"),
        ({"gaze": torch.full((1, 3, 2), -1.0)}, "gaze holds values that cannot be"),
        ({"gaze": torch.tensor([0, 1, 2, 3, 4, torch.nan]).reshape(1, 3, 2)}, "gaze holds values that cannot be"),
    ],
)
def test_a_file_not_of_this_form_is_refused_with_what_is_wrong(path, changes, message):
    torch.save({key: value for key, value in {**tensors(), **changes}.items() if value is not None}, path)
    with pytest.raises(ImageError, match=message) as caught:
        read_original(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -0.1, 1.1])
def test_pixels_that_cannot_be_are_refused(path, value):
    damaged = tensors()
    damaged["cxr"][:, 5, 5] = value
    torch.save(damaged, path)
    with pytest.raises(ImageError, match="cxr holds values that cannot be"):
        read_image(path)


def test_channels_that_differ_are_refused(path):
    damaged = tensors()
    damaged["cxr"][1, 5, 5] = 0
    torch.save(damaged, path)
    with pytest.raises(ImageError, match="channels of cxr differ"):
        read_image(path)
