"""Bits of DICOM pixels that headers describe wrongly: those above the stored ones, shifted pixels, padding values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless, RLELossless

from data.dicom_fixture import RAMP, WINDOW, make_dicom, windowed, write_dicom
from ggcam.data.images import read_image


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_stored_ones_are_cleared(tmp_path, caplog, syntax, signed: bool):
    overlay = np.zeros_like(RAMP)
    overlay[20:40, 20:40] = 0x8000 if not signed else 0x4000
    values = RAMP.astype(int) - (2048 if signed else 0)
    kind = np.int16 if signed else np.uint16
    with_overlay = ((values & 0x0FFF) | overlay).astype(np.uint16).view(kind)
    dataset = make_dicom(with_overlay, 16, PixelRepresentation=int(signed))
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    image = read_image(tmp_path / "x.dcm")
    np.testing.assert_allclose(image, RAMP / 4095 * 65535, atol=0.51)
    assert "bits above Bits Stored" in caplog.text


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_pixels_at_the_upper_end_of_their_words_are_shifted_down(tmp_path, caplog, syntax):
    dataset = make_dicom((RAMP << 4) | 5, 16, WindowCenter=1000, WindowWidth=500)
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = 12, 15
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_image(tmp_path / "x.dcm"), windowed(RAMP, 1000, 500), atol=0.51)
    assert "High Bit is above Bits Stored - 1" in caplog.text


@pytest.mark.parametrize("high_bit", [13, 15, 31])
def test_a_high_bit_that_contradicts_the_pixels_is_ignored(tmp_path, caplog, high_bit: int):
    path = write_dicom(tmp_path / "x.dcm", RAMP, 12, HighBit=high_bit, **WINDOW)
    np.testing.assert_allclose(read_image(path), windowed(RAMP), atol=0.51)
    assert "High Bit contradicts Bits Stored" in caplog.text


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 16), st.booleans(), st.integers(0, 2**32))
def test_any_content_of_the_unused_bits_changes_nothing(tmp_path_factory, bits: int, signed: bool, seed: int):
    rng = np.random.default_rng(seed)
    low = -(2 ** (bits - 1)) if signed else 0
    values = rng.integers(low, low + 2**bits, (9, 8))
    noise = rng.integers(0, 2 ** (16 - bits), (9, 8)) << bits
    kind = np.int16 if signed else np.uint16
    images = []
    for stored in (values, (values & (2**bits - 1)) | noise):
        dataset = make_dicom(stored.astype(np.uint16).view(kind), 16, PixelRepresentation=int(signed))
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        path = tmp_path_factory.mktemp("bits") / "x.dcm"
        dataset.save_as(path, enforce_file_format=True)
        images.append(read_image(path))
    np.testing.assert_array_equal(*images)


def test_a_padding_value_written_as_unsigned_is_found_in_signed_pixels(tmp_path):
    stored = (RAMP.astype(int) - 1000).astype(np.int16)
    stored[:, :10] = -2000
    dataset = make_dicom(stored, 16)
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    image = read_image(tmp_path / "x.dcm")
    assert (image[:, :10] == 0).all()
    assert (image[:, 10:].min(), image[:, 10:].max()) == (0, 65535)
