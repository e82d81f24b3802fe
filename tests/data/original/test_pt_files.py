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
    expected = content()
    return {
        "cxr": torch.from_numpy(np.stack([expected.cxr] * 3)),
        "gaze": torch.from_numpy(expected.gaze[None]),
        "lung": torch.from_numpy(expected.lung),
        "heart": torch.from_numpy(expected.heart),
        "Y": torch.tensor(2),
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.pt"


def test_written_files_have_the_keys_shapes_and_types_of_the_original(path):
    expected = content()
    write_original(path, expected)
    found = torch.load(path)
    assert {key: (tuple(value.shape), value.dtype) for key, value in found.items()} == {
        "cxr": ((3, 96, 64), torch.float32),
        "gaze": ((1, 3, 2), torch.float32),
        "lung": ((3, 2), torch.bool),
        "heart": ((3, 2), torch.bool),
        "Y": ((), torch.int64),
    }
    for channel in found["cxr"]:
        np.testing.assert_array_equal(channel, expected.cxr)
    assert found["Y"] == 2


def test_written_files_are_read_back(path):
    expected = content()
    write_original(path, expected)
    found = read_original(path)
    for name in ("cxr", "gaze", "lung", "heart"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.label == 2


def test_image_and_masks_are_read_like_those_of_other_files(path):
    expected = content()
    write_original(path, expected)
    np.testing.assert_array_equal(read_pixels(path), expected.cxr)
    image = read_image(path)
    assert image.dtype == np.uint16
    np.testing.assert_allclose(image, 65535 * expected.cxr, atol=0.51)
    assert image_size(path) == (96, 64)
    for name, cells in (("left_lung", expected.lung), ("right_lung", expected.lung), ("mediastinum", expected.heart)):
        mask = read_mask(path, name)
        np.testing.assert_array_equal(mask, np.kron(cells, np.ones((32, 32), bool)))


def test_a_gaze_map_of_nan_is_read_as_no_gaze(path):
    torch.save({**tensors(), "gaze": torch.full((1, 3, 2), torch.nan)}, path)
    assert not read_original(path).gaze.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heart": None}, r"no heart\n(.|\n)*expected: cxr, gaze, lung, heart, Y"),
        ({"cxr": torch.zeros(1, 96, 64)}, r"cxr has another shape(.|\n)*got: \(1, 96, 64\)"),
        ({"cxr": torch.zeros(96, 64)}, "cxr has another shape"),
        ({"cxr": torch.zeros(3, 0, 0)}, "cxr has another shape"),
        ({"cxr": torch.zeros(3, 90, 64)}, "sides divisible by 32"),
        ({"cxr": torch.zeros(3, 96, 64, dtype=torch.float64)}, "cxr has another type(.|\n)*expected: float32"),
        ({"gaze": torch.zeros(1, 2, 3)}, r"gaze has another shape(.|\n)*expected: \(1, 3, 2\)"),
        ({"lung": torch.zeros(3, 2)}, r"lung has another type(.|\n)*expected: bool"),
        ({"heart": torch.zeros(4, 2, dtype=torch.bool)}, r"heart has another shape(.|\n)*got: \(4, 2\)"),
        ({"Y": torch.tensor(2, dtype=torch.int8)}, "Y has another type(.|\n)*got: int8"),
        ({"Y": torch.tensor([2])}, "Y has another shape"),
        ({"gaze": torch.full((1, 3, 2), -1.0)}, "gaze has invalid values"),
        ({"gaze": torch.tensor([0, 1, 2, 3, 4, torch.nan]).reshape(1, 3, 2)}, "gaze has invalid values"),
    ],
)
def test_missing_keys_and_wrong_shapes_types_or_values_are_refused(path, changes, message):
    torch.save({key: value for key, value in {**tensors(), **changes}.items() if value is not None}, path)
    with pytest.raises(ImageError, match=message) as caught:
        read_original(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -0.1, 1.1])
def test_invalid_pixels_are_refused(path, value):
    damaged = tensors()
    damaged["cxr"][:, 5, 5] = value
    torch.save(damaged, path)
    with pytest.raises(ImageError, match="cxr has invalid values"):
        read_image(path)


def test_different_channels_are_refused(path):
    damaged = tensors()
    damaged["cxr"][1, 5, 5] = 0
    torch.save(damaged, path)
    with pytest.raises(ImageError, match="channels of cxr differ"):
        read_image(path)
