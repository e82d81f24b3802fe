import logging

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_windowing
from pydicom.uid import (
    JPEG2000,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from data.dicom_fixture import lossless_jpeg, lut, make_dicom, write_bare, write_dicom
from ggcam.data.images import image_size, read_image, read_pixels, stores_colour
from ggcam.errors import ImageError

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def shown_by_loop(stored, slope, intercept, window, function, inverted):
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, pixel by pixel."""
    values = [[int(pixel) * slope + intercept for pixel in row] for row in stored]
    low, high = min(map(min, values)), max(map(max, values))
    rows = []
    for row in values:
        rows.append([])
        for x in row:
            if window is None:
                y = (x - low) / (high - low) if high > low else 0.0
            else:
                c, w = window
                if function == "LINEAR":
                    if x <= c - 0.5 - (w - 1) / 2:
                        y = 0.0
                    elif x > c - 0.5 + (w - 1) / 2:
                        y = 1.0
                    else:
                        y = (x - (c - 0.5)) / (w - 1) + 0.5
                elif function == "LINEAR_EXACT":
                    y = 0.0 if x <= c - w / 2 else 1.0 if x > c + w / 2 else (x - c) / w + 0.5
                else:
                    y = 1 / (1 + np.exp(min(-4 * (x - c) / w, 500)))
            rows[-1].append(65535 * (1 - y if inverted else y))
    return np.array(rows)


@settings(max_examples=60, deadline=None)
@given(
    st.data(),
    st.sampled_from([8, 10, 12, 14, 16]),
    st.booleans(),
    st.sampled_from([(1.0, 0.0), (2.0, -1024.0), (0.5, 3.0), (-1.0, 100.0)]),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", None]),
    st.booleans(),
)
def test_every_depth_sign_rescale_window_and_polarity_equals_the_loop(
    tmp_path_factory, data, bits, signed, rescale, function, inverted
):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    stored = rng.integers(low, high + 1, (9, 8)).astype(np.int16 if signed else np.uint16)
    if bits == 8:
        stored = stored.astype(np.int8 if signed else np.uint8)
    window = None
    attributes = {}
    if function:
        window = data.draw(st.tuples(st.integers(low, high), st.integers(2, 2**bits)))
        attributes = {"WindowCenter": window[0], "WindowWidth": window[1], "VOILUTFunction": function}
    path = write_dicom(
        tmp_path_factory.mktemp("dicom") / "x.dcm",
        stored,
        bits,
        RescaleSlope=rescale[0],
        RescaleIntercept=rescale[1],
        PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2",
        **attributes,
    )
    expected = shown_by_loop(stored, *rescale, window, function, inverted)
    image = read_image(path)
    assert image.dtype == np.uint16
    assert image_size(path) == image.shape == (9, 8)
    np.testing.assert_allclose(image, expected, atol=0.51)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_equal_those_of_pydicom(tmp_path, function):
    dataset = make_dicom(RAMP, WindowCenter=1800, WindowWidth=900, VOILUTFunction=function)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    expected = apply_windowing(RAMP, dataset) / 4095 * 65535
    np.testing.assert_allclose(read_image(tmp_path / "x.dcm"), expected, atol=0.51)


def test_without_a_window_the_own_range_is_shown(tmp_path):
    image = read_image(write_dicom(tmp_path / "x.dcm", (RAMP // 4 + 500).astype(np.uint16)))
    assert (image.min(), image.max()) == (0, 65535)


def test_the_first_of_several_windows_counts(tmp_path):
    several = read_image(write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=[1000, 3000], WindowWidth=[500, 100]))
    first = read_image(write_dicom(tmp_path / "b.dcm", RAMP, WindowCenter=1000, WindowWidth=500))
    np.testing.assert_array_equal(several, first)


def test_a_voi_lut_of_fewer_bits_than_the_image_does_not_wrap_around(tmp_path):
    table = lut(1000, 8, [round(255 * at / 1999) for at in range(2000)])
    image = read_image(write_dicom(tmp_path / "x.dcm", RAMP, VOILUTSequence=[table])).ravel()
    assert (image[:1001] == 0).all()
    assert (image[2999:] == 65535).all()
    assert (np.diff(image.astype(int)) >= 0).all()
    assert image[2000] == pytest.approx(65535 / 2, abs=200)


def test_a_voi_lut_goes_before_a_window(tmp_path):
    table = lut(0, 12, [4095 - at for at in range(4096)])
    image = read_image(write_dicom(tmp_path / "x.dcm", RAMP, VOILUTSequence=[table], WindowCenter=9, WindowWidth=4))
    np.testing.assert_allclose(image, (4095 - RAMP) / 4095 * 65535, atol=0.51)


def test_a_modality_lut_comes_first(tmp_path):
    table = lut(0, 16, [(at // 16) ** 2 for at in range(4096)])
    image = read_image(write_dicom(tmp_path / "x.dcm", RAMP, ModalityLUTSequence=[table]))
    np.testing.assert_allclose(image, (RAMP // 16).astype(float) ** 2 / 255**2 * 65535, atol=0.51)


def test_a_lut_may_start_below_zero(tmp_path):
    stored = (RAMP.astype(int) - 2048).astype(np.int16)
    image = read_image(write_dicom(tmp_path / "x.dcm", stored, VOILUTSequence=[lut(-2048, 12, list(range(4096)))]))
    np.testing.assert_allclose(image, RAMP / 4095 * 65535, atol=0.51)


@pytest.mark.parametrize(("kind", "padding"), [("MONOCHROME2", 0), ("MONOCHROME1", 0), ("MONOCHROME2", 4095)])
def test_padding_is_black_and_leaves_the_range_alone(tmp_path, kind, padding):
    stored = (RAMP // 8 + 2000).astype(np.uint16)
    stored[:, :10] = padding
    image = read_image(
        write_dicom(tmp_path / "x.dcm", stored, PixelPaddingValue=padding, PhotometricInterpretation=kind)
    )
    assert (image[:, :10] == 0).all()
    assert (image[:, 10:].min(), image[:, 10:].max()) == (0, 65535)


def test_a_padding_range_covers_all_between_its_ends(tmp_path):
    stored = RAMP.copy()
    image = read_image(write_dicom(tmp_path / "x.dcm", stored, PixelPaddingValue=100, PixelPaddingRangeLimit=0))
    assert (image.ravel()[:102] == 0).all()
    assert image.ravel()[102] > 0


def test_nothing_but_padding_is_black(tmp_path):
    path = write_dicom(tmp_path / "x.dcm", np.full((9, 9), 7, np.uint16), PixelPaddingValue=7)
    assert not read_image(path).any()


def test_a_window_of_no_width_is_told_and_the_own_range_shown(tmp_path, caplog):
    path = write_dicom(tmp_path / "x.dcm", RAMP, WindowCenter=100, WindowWidth=0)
    with caplog.at_level(logging.WARNING):
        image = read_image(path)
    assert "own range" in caplog.text
    assert (image.min(), image.max()) == (0, 65535)


def test_a_window_of_width_one_is_a_threshold(tmp_path):
    image = read_image(write_dicom(tmp_path / "x.dcm", RAMP, WindowCenter=1000, WindowWidth=1))
    np.testing.assert_array_equal(image, np.where(RAMP >= 1000, 65535, 0))


def test_colour_becomes_grey(tmp_path):
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    path = write_dicom(
        tmp_path / "x.dcm", colour, 8, SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB"
    )
    expected = colour @ [0.299, 0.587, 0.114] * 257
    np.testing.assert_allclose(read_image(path), expected, atol=257)
    assert image_size(path) == (20, 30)
    assert stores_colour(path)
    np.testing.assert_array_equal(read_pixels(path, channels=3), colour.astype(np.uint16) * 257)


def test_grey_stays_grey_where_colours_are_kept(tmp_path):
    path = write_dicom(tmp_path / "x.dcm", RAMP, WindowCenter=1000, WindowWidth=1500)
    assert not stores_colour(path)
    np.testing.assert_array_equal(read_pixels(path, channels=3), read_image(path))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("signed", [False, True])
def test_lossless_compression_changes_nothing(tmp_path, syntax, signed):
    stored = (RAMP.astype(int) - 2048).astype(np.int16) if signed else RAMP
    plain = make_dicom(stored, WindowCenter=1000, WindowWidth=1500)
    plain.save_as(tmp_path / "plain.dcm", enforce_file_format=True)
    packed = make_dicom(stored, WindowCenter=1000, WindowWidth=1500)
    packed.compress(syntax, generate_instance_uid=False)
    packed.save_as(tmp_path / "packed.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_image(tmp_path / "packed.dcm"), read_image(tmp_path / "plain.dcm"))
    assert image_size(tmp_path / "packed.dcm") == (64, 64)


@pytest.mark.parametrize("bits", [8, 12, 14])
def test_lossless_jpeg_changes_nothing(tmp_path, bits):
    rng = np.random.default_rng(bits)
    stored = rng.integers(0, 2**bits, (40, 50)).astype(np.uint8 if bits == 8 else np.uint16)
    dataset = make_dicom(stored, bits, WindowCenter=2 ** (bits - 1), WindowWidth=2**bits, VOILUTFunction="LINEAR_EXACT")
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.PixelData = encapsulate([lossless_jpeg(stored, bits)])
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_image(tmp_path / "x.dcm"), stored / 2**bits * 65535, atol=0.51)


def test_lossy_jpeg_2000_changes_little(tmp_path):
    dataset = make_dicom(RAMP)
    dataset.compress(JPEG2000, j2k_cr=[4], generate_instance_uid=False)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_image(tmp_path / "x.dcm"), RAMP / 4095 * 65535, atol=1500)


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_baseline_is_read(tmp_path, colour):
    smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    coded = cv2.imencode(".jpg", np.stack([smooth] * 3, axis=2) if colour else smooth)[1].tobytes()
    dataset = make_dicom(smooth, 8)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([coded])
    if colour:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
        dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_image(tmp_path / "x.dcm"), smooth * 257.0, atol=4 * 257)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_meta_header_and_ending_is_read(tmp_path, implicit):
    path = write_bare(tmp_path / "IM0001", make_dicom(RAMP), implicit)
    assert path.read_bytes()[128:132] != b"DICM"
    np.testing.assert_allclose(read_image(path), RAMP / 4095 * 65535, atol=0.51)
    assert image_size(path) == (64, 64)


def test_implicit_little_endian_is_read(tmp_path):
    path = tmp_path / "x.dcm"
    make_dicom(RAMP, transfer_syntax=ImplicitVRLittleEndian, PixelPaddingValue=0).save_as(
        path, enforce_file_format=True
    )
    expected = RAMP.astype(float)
    expected[0, 0] = 1  # padding is black and not part of the range 1 to 4095
    np.testing.assert_allclose(read_image(path), (expected - 1) / 4094 * 65535, atol=0.51)


def test_odd_sides_are_read(tmp_path):
    odd = np.arange(9 * 11, dtype=np.uint8).reshape(9, 11)  # 0 to 98, without a window: the image's own range
    dataset = make_dicom(odd, 8)
    dataset.PixelData += b"\0"
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_image(tmp_path / "x.dcm"), odd / 98 * 65535, atol=0.51)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"PixelData": None}, "no pixel data"),
        ({"NumberOfFrames": 2}, "several frames"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "photometric interpretation"),
        ({"PhotometricInterpretation": None}, "photometric interpretation"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "unsupported number of bits"),
        ({"VOILUTFunction": "CUBIC", "WindowCenter": 1, "WindowWidth": 2}, "unknown VOI LUT function"),
        ({"Rows": None}, "no Rows and Columns"),
        ({"Rows": 0}, "0x64"),
        ({"Rows": 60000, "Columns": 60000}, "60000x60000"),
        ({"Rows": 640}, "truncated"),
        ({"SamplesPerPixel": 3}, "samples per pixel contradicts the photometric interpretation MONOCHROME2"),
        ({"WindowCenter": None, "PixelRepresentation": None}, "no PixelRepresentation"),
    ],
)
def test_an_unsupported_file_is_refused_with_path_and_reason(tmp_path, attributes, message):
    dataset = make_dicom(RAMP, WindowCenter=1)
    for name, value in attributes.items():
        delattr(dataset, name) if value is None else setattr(dataset, name, value)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(tmp_path / "x.dcm")
    assert "x.dcm" in str(caught.value)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGBaseline8Bit])
def test_broken_compressed_pixels_are_refused(tmp_path, syntax, capfd):
    dataset = make_dicom(RAMP)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([bytes(range(200))])
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match="compressed pixel data are damaged"):
        read_image(tmp_path / "x.dcm")
    assert capfd.readouterr() == ("", "")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = write_dicom(tmp_path / "x.dcm", RAMP, PixelPaddingValue=3)
    whole = path.read_bytes()
    for length in (1, 100, 130, 140, 200, 300, 400, 500, 600, 2000, len(whole) - 2):
        path.write_bytes(whole[:length])
        with pytest.raises(ImageError, match=r"x\.dcm"):
            read_image(path)


def test_the_file_is_parsed_once(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "x.dcm", RAMP)
    parsed: list[object] = []
    dcmread = pydicom.dcmread
    monkeypatch.setattr(pydicom, "dcmread", lambda *args, **kwargs: parsed.append(args) or dcmread(*args, **kwargs))
    read_image(path)
    assert len(parsed) == 1
