"""16-bit PNG and TIFF files: which of their bits are used, and which end of their values is white."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from data.tiff_fixture import write_tiff
from ggcam.data.images import image_size, read_image, read_pixels, read_pixels_and_bits
from ggcam.data.pixel_arrays import to_uint8

RNG = np.random.default_rng(3)
CASES = Path("../shared/cases/images_odd")


def values(bits: int) -> np.ndarray:
    pixels = RNG.integers(0, 2**bits, (20, 24))
    pixels[0, 0] = 2**bits - 1
    return pixels.astype(np.uint16)


def shown(pixels: np.ndarray, bits: int, min_is_white: bool = False) -> np.ndarray:
    fraction = pixels / (2**bits - 1)
    return 65535 * (1 - fraction if min_is_white else fraction)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_values_are_scaled_by_the_bits_of_the_data_set(tmp_path: Path, suffix: str, bits: int):
    path, pixels = tmp_path / f"x{suffix}", values(bits)
    cv2.imwrite(str(path), pixels)
    np.testing.assert_allclose(read_pixels(path, bits), shown(pixels, bits), atol=0.51)
    np.testing.assert_array_equal(read_pixels(path), pixels)
    assert read_pixels_and_bits(path)[1] == bits


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colour_is_scaled_too(tmp_path: Path, suffix: str):
    path, pixels = tmp_path / f"x{suffix}", values(12)
    cv2.imwrite(str(path), np.stack([pixels] * 3, axis=2))
    np.testing.assert_allclose(read_pixels(path, 12), shown(pixels, 12), atol=17)


def test_a_file_that_uses_more_bits_than_the_data_set_is_scaled_by_its_own(tmp_path: Path):
    pixels = values(14)
    cv2.imwrite(str(tmp_path / "x.png"), pixels)
    np.testing.assert_allclose(read_pixels(tmp_path / "x.png", 12), shown(pixels, 14), atol=0.51)


def test_files_of_eight_bits_and_dicom_have_no_used_bits(tmp_path: Path):
    from data.dicom_fixture import write_dicom

    cv2.imwrite(str(tmp_path / "x.png"), values(8).astype(np.uint8))
    np.testing.assert_array_equal(read_pixels(tmp_path / "x.png", 12), read_image(tmp_path / "x.png"))
    dicom = write_dicom(tmp_path / "x.dcm", values(12), WindowCenter=9999, WindowWidth=9999)
    np.testing.assert_array_equal(read_pixels(dicom, 12), read_image(dicom))
    assert read_pixels_and_bits(tmp_path / "x.png")[1] is read_pixels_and_bits(dicom)[1] is None


@pytest.mark.parametrize("bits", [1, 8, 16])
@pytest.mark.parametrize("min_is_white", [False, True])
def test_either_end_of_the_values_of_a_tiff_may_be_white(tmp_path: Path, bits: int, min_is_white: bool):
    pixels = values(bits)
    path = write_tiff(tmp_path / "x.tif", pixels, bits, min_is_white)
    image = read_image(path)
    assert image_size(path) == image.shape == (20, 24)
    expected = shown(pixels, bits, min_is_white)
    np.testing.assert_allclose(image, expected if bits == 16 else expected / 257, atol=0.51)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
def test_a_compressed_tiff_of_sixteen_bits_is_inverted_too(tmp_path: Path, compression: str):
    pixels = values(16)
    Image.fromarray(pixels).save(tmp_path / "x.tif", compression=compression, tiffinfo={262: 0})
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), 65535 - pixels)


def test_a_tiff_of_twelve_used_bits_is_inverted_within_them(tmp_path: Path):
    pixels = values(12)
    path = write_tiff(tmp_path / "x.tif", pixels, min_is_white=True)
    np.testing.assert_allclose(read_pixels(path, 12), shown(pixels, 12, min_is_white=True), atol=0.51)


def test_packed_values_of_twelve_bits_fill_the_type(tmp_path: Path):
    pixels = values(12)
    image = read_image(write_tiff(tmp_path / "x.tif", pixels, 12))
    np.testing.assert_allclose(image, shown(pixels, 12), atol=16)


@pytest.fixture
def cases() -> Path:
    if not CASES.is_dir():
        pytest.skip("the shared cases are not here")
    return CASES


def test_the_shared_tiffs_of_either_polarity_look_the_same(cases: Path):
    np.testing.assert_array_equal(read_image(cases / "14/mw16.tif"), read_image(cases / "14/mb16.tif"))


def test_the_shared_images_of_twelve_bits_have_their_full_brightness(cases: Path):
    for name in ("x0", "y0"):
        pixels, bits = read_pixels_and_bits(cases / f"12/{name}.png", 12)
        assert bits == 12
        assert pixels.max() > 65000
        assert len(np.unique(to_uint8(pixels))) > 200
