"""Each transfer syntax has one decoder, whose values equal those of the other decoders."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, JPEGLSNearLossless, RLELossless

from data.dicom_fixture import make_dicom
from ggcam.data.dicom_pixels import _DECODERS, decode_pixels
from ggcam.data.images import read_image
from ggcam.errors import ImageError

NOISE = np.random.default_rng(5).integers(0, 4096, (40, 50)).astype(np.uint16)


def test_the_chosen_decoders_are_installed():
    for syntax, plugin in _DECODERS.items():
        assert plugin in get_decoder(syntax).available_plugins


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_all_decoders_of_lossless_compression_give_equal_values(tmp_path, syntax, bits, signed):
    values = NOISE.astype(int) * 2**bits // 4096 - signed * 2 ** (bits - 1)
    stored = values.astype(f"{'ui'[signed]}{1 if bits == 8 else 2}")
    dataset = make_dicom(stored, bits)
    dataset.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(decode_pixels(dataset, tmp_path), stored)
    for plugin in get_decoder(syntax).available_plugins:
        np.testing.assert_array_equal(pixel_array(dataset, decoding_plugin=plugin), stored)


def test_nearly_lossless_jpeg_ls_changes_values_by_its_error_at_most(tmp_path):
    dataset = make_dicom(NOISE)
    dataset.compress(JPEGLSNearLossless, jls_error=3, generate_instance_uid=False)
    decoded = decode_pixels(dataset, tmp_path).astype(int)
    assert 0 < np.abs(decoded - NOISE).max() <= 3
    np.testing.assert_array_equal(pixel_array(dataset, decoding_plugin="pylibjpeg"), decoded)


def jpeg_dicom(path, content: bytes) -> None:
    dataset = make_dicom((NOISE >> 4).astype(np.uint8), 8, WindowCenter=128, WindowWidth=256)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([content])
    dataset.save_as(path, enforce_file_format=True)


def test_a_jpeg_in_a_dicom_file_has_the_values_of_a_jpeg_file(tmp_path):
    content = cv2.imencode(".jpg", cv2.GaussianBlur((NOISE >> 4).astype(np.uint8), (0, 0), 2))[1].tobytes()
    jpeg_dicom(tmp_path / "x.dcm", content)
    (tmp_path / "x.jpg").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "x.dcm"), read_image(tmp_path / "x.jpg") * np.uint16(257))


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_truncated_jpeg_in_a_dicom_file_is_refused(tmp_path, kept):
    content = cv2.imencode(".jpg", (NOISE >> 4).astype(np.uint8))[1].tobytes()
    jpeg_dicom(tmp_path / "x.dcm", content[: int(kept * len(content))])
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_image(tmp_path / "x.dcm")
