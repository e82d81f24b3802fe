"""Pixels decoded at a lower resolution are averages of the same values, and whatever cannot be averaged is not."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit

from data.dicom_fixture import lut, make_dicom
from ggcam.data.dicom_reduced import decode_reduced, halvings
from ggcam.data.images import read_pixels
from ggcam.errors import ImageError

SIZE = 192, 160
HALF = 96, 80
WINDOW = {"WindowCenter": 1900, "WindowWidth": 3000}


def smooth(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Structures of 12 bits that are far larger than a pixel."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.rint(2000 + 1500 * np.sin(rows / 40) * np.cos(columns / 35)).astype(np.uint16)


def packed(pixels: np.ndarray, bits: int = 12, **attributes) -> FileDataset:
    dataset = make_dicom(pixels, bits, **attributes)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    return dataset


def saved(dataset: FileDataset, folder):
    dataset.save_as(folder / "x.dcm", enforce_file_format=True)
    return folder / "x.dcm"


@pytest.mark.parametrize(
    ("size", "min_size", "count"),
    [
        ((192, 160), (96, 80), 1),
        ((192, 160), (97, 80), 0),
        ((192, 160), (48, 40), 2),
        ((192, 160), (48, 41), 1),
        ((192, 160), (8, 8), 3),
        ((8, 8), (20, 20), 0),
    ],
)
def test_an_image_is_halved_as_long_as_enough_is_left(size, min_size, count):
    assert halvings(size, min_size) == count


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_values_of_all_bits_and_signs_are_kept(bits, signed):
    low = -(2 ** (bits - 1)) if signed else 0
    for value in (low, low + 1, low + 2 ** (bits - 1), low + 2**bits - 1):
        pixels = np.full(SIZE, value, f"{'ui'[signed]}{1 if bits == 8 else 2}")
        reduced = decode_reduced(packed(pixels, bits), HALF)
        assert reduced is not None
        assert reduced.dtype == pixels.dtype
        np.testing.assert_array_equal(reduced, pixels[::2, ::2])


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEG2000])
@pytest.mark.parametrize(
    "attributes",
    [
        WINDOW,
        {**WINDOW, "PhotometricInterpretation": "MONOCHROME1"},
        {**WINDOW, "PresentationLUTShape": "INVERSE"},
        {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 2800, "WindowWidth": 6000},
        {**WINDOW, "VOILUTFunction": "SIGMOID"},
        {"VOILUTSequence": [lut(0, 16, [min(65535, (value * value) >> 8) for value in range(4096)])]},
    ],
    ids=["window", "monochrome1", "inverse", "rescale", "sigmoid", "lut"],
)
@pytest.mark.parametrize(("min_size", "factor"), [(HALF, 2), ((48, 40), 4)])
def test_it_is_displayed_like_the_average_of_all_pixels(tmp_path, syntax, attributes, min_size, factor):
    dataset = make_dicom(smooth(), **attributes)
    dataset.compress(syntax, generate_instance_uid=False, j2k_cr=[5] if syntax == JPEG2000 else None)
    path = saved(dataset, tmp_path)
    whole, reduced = read_pixels(path), read_pixels(path, min_size=min_size)
    assert reduced.shape == (SIZE[0] // factor, SIZE[1] // factor)
    expected = cv2.resize(whole, reduced.shape[::-1], interpolation=cv2.INTER_AREA)
    # Pixels of a lower level lie up to half a pixel per halving away from the centre of those that they stand for.
    slope = max(np.abs(np.diff(whole.astype(int), axis=axis)).max() for axis in (0, 1))
    assert np.abs(reduced.astype(int) - expected).max() <= (factor - 1) * slope + 200


def test_signed_values_are_displayed_like_unsigned_ones(tmp_path):
    signed = packed((smooth().astype(int) - 2048).astype(np.int16), WindowCenter=1900 - 2048, WindowWidth=3000)
    unsigned = read_pixels(saved(packed(smooth(), **WINDOW), tmp_path), min_size=HALF)
    np.testing.assert_array_equal(read_pixels(saved(signed, tmp_path), min_size=HALF), unsigned)


def jpeg(pixels: np.ndarray, **attributes) -> FileDataset:
    dataset = make_dicom(pixels, 8, **attributes)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([cv2.imencode(".jpg", pixels)[1].tobytes()])
    return dataset


def test_jpeg_is_reduced_alike_in_a_dicom_file_and_alone(tmp_path):
    pixels = (smooth() >> 4).astype(np.uint8)
    dataset = jpeg(pixels, WindowCenter=128, WindowWidth=256)
    reduced = read_pixels(saved(dataset, tmp_path), min_size=HALF)
    (tmp_path / "x.jpg").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes())
    np.testing.assert_array_equal(reduced, read_pixels(tmp_path / "x.jpg", min_size=HALF) * np.uint16(257))
    expected = cv2.resize(pixels, HALF[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(reduced / 257 - expected).max() <= 2


def tiled() -> FileDataset:
    dataset, content = packed(smooth()), BytesIO()
    Image.fromarray(smooth() << 4).save(content, "JPEG2000", no_jp2=True, tile_size=(64, 64))
    dataset.PixelData, dataset.BitsStored, dataset.HighBit = encapsulate([content.getvalue()]), 16, 15
    return dataset


def fewer_bits_declared() -> FileDataset:
    dataset = packed(smooth(), 16)
    dataset.BitsStored, dataset.HighBit = 12, 11
    return dataset


def colour() -> FileDataset:
    pixels = np.stack([smooth() >> 4] * 3, axis=2).astype(np.uint8)
    dataset = make_dicom(pixels, 8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    return dataset


@pytest.mark.parametrize(
    "make",
    [
        tiled,
        colour,
        lambda: make_dicom(smooth()),
        lambda: packed(smooth(), PixelPaddingValue=0),
        lambda: packed(smooth() << 4, 16, BitsStored=12, HighBit=15),
        fewer_bits_declared,
    ],
    ids=["tiles", "colour", "uncompressed", "padding", "high bit", "fewer bits declared"],
)
def test_what_cannot_be_averaged_is_decoded_whole(make):
    assert decode_reduced(make(), HALF) is None


@pytest.mark.parametrize(
    "attributes", [{}, {"WindowCenter": 1, "WindowWidth": 0}, {"VOILUTSequence": [lut(0, 8, [5, 5])]}]
)
def test_the_range_of_its_own_pixels_is_that_of_all_pixels(tmp_path, attributes):
    path = saved(packed(smooth(), **attributes), tmp_path)
    np.testing.assert_array_equal(read_pixels(path, min_size=HALF), read_pixels(path))


@pytest.mark.parametrize("size", [(191, 159), (193, 161), (189, 162), (190, 163)])
def test_sides_of_any_length_are_halved(size):
    dataset = packed(smooth(size))
    for min_size in (HALF[0] - 2, HALF[1] - 2), (47, 39), (23, 19):
        reduced = decode_reduced(dataset, min_size)
        assert reduced is not None
        count = round(np.log2(size[0] / reduced.shape[0]))
        assert count >= 1
        assert reduced.shape == (-(-size[0] >> count), -(-size[1] >> count))
        assert reduced.shape[0] >= min_size[0]
        assert reduced.shape[1] >= min_size[1]


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGBaseline8Bit])
def test_damaged_files_are_answered_as_without_it(tmp_path, syntax):
    noise = np.random.default_rng(1).normal(0, 60, SIZE)
    pixels = np.clip(smooth() + noise, 0, 4095).astype(np.uint16)
    whole = packed(pixels, **WINDOW) if syntax == JPEG2000Lossless else jpeg((pixels >> 4).astype(np.uint8))
    if syntax == JPEGBaseline8Bit:
        whole.WindowCenter, whole.WindowWidth = 128, 256
    content = saved(whole, tmp_path).read_bytes()
    start, rng, errors = len(content) // 4, np.random.default_rng(2), 0
    for trial in range(60):
        damaged = bytearray(content[: rng.integers(start, len(content))] if trial % 2 else content)
        for at in rng.integers(start, len(damaged), 1 + trial // 10):
            damaged[at] = rng.integers(256)
        (tmp_path / "x.dcm").write_bytes(damaged)
        answers = [answer(tmp_path / "x.dcm", min_size) for min_size in (None, HALF)]
        assert answers[0] == answers[1]
        errors += answers[0] != ""
    assert errors >= 20


def answer(path, min_size) -> str:
    try:
        read_pixels(path, min_size=min_size)
    except ImageError as error:
        return str(error)
    return ""
