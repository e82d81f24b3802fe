"""Headers that devices fill in wrongly: each is displayed as viewers display it, or refused, in words."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_voi_lut
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from data.dicom_fixture import RAMP, WINDOW, lut, make_dicom, windowed, write_dicom
from ggcam.data.images import read_image
from ggcam.errors import ImageError

CASES = Path("../shared/cases")


def item(**attributes: object) -> Dataset:
    found = Dataset()
    for name, value in attributes.items():
        setattr(found, name, value)
    return found


@pytest.fixture
def show(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Write an image with some attributes, read it, and return what is shown and what is logged."""

    def write_and_read(pixels: np.ndarray = RAMP, bits: int = 12, **attributes: object) -> tuple[np.ndarray, str]:
        path = write_dicom(tmp_path / "x.dcm", pixels, bits, **attributes)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            image = read_image(path)
        assert all(record.getMessage().startswith(f"{path}: ") for record in caplog.records)
        return image, "\n".join(record.getMessage() for record in caplog.records)

    return write_and_read


# --- VOI and modality LUTs


@pytest.mark.parametrize("claimed", [10, 12, 14, 16])
def test_the_largest_entry_of_a_voi_lut_is_white_whatever_its_descriptor_claims(show, claimed: int):
    entries = [4095 * at // 4095 for at in range(4096)]
    image, warnings = show(VOILUTSequence=[lut(0, claimed, entries)])
    np.testing.assert_allclose(image, RAMP / 4095 * 65535, atol=0.51)
    assert warnings == ""


def test_a_voi_lut_equals_that_of_pydicom_where_it_uses_all_bits(tmp_path):
    dataset = make_dicom(RAMP, VOILUTSequence=[lut(100, 12, [(at * 7) % 4096 for at in range(1000)])])
    dataset.VOILUTSequence[0].LUTData = np.array([*((np.arange(999) * 7) % 4096), 4095], "<u2").tobytes()
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    expected = apply_voi_lut(RAMP, dataset) / 4095 * 65535
    np.testing.assert_allclose(read_image(tmp_path / "x.dcm"), expected, atol=0.51)


@pytest.mark.parametrize("implicit", [False, True])
def test_a_first_value_written_with_the_wrong_sign_is_corrected(show, implicit: bool):
    # Values of -1024 to 3071 after the rescale; the descriptor says 64512, which is -1024 as a signed number.
    table = lut(64512, 12, list(range(4096)))
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    image, _ = show(VOILUTSequence=[table], RescaleIntercept=-1024, RescaleSlope=1, transfer_syntax=syntax)
    np.testing.assert_allclose(image, RAMP / 4095 * 65535, atol=0.51)


def test_a_first_value_of_unsigned_pixels_written_as_signed_is_corrected(show):
    pixels = (RAMP + 40000).astype(np.uint16)
    table = lut(40000 - 65536, 12, list(range(4096)))
    image, _ = show(pixels, 16, VOILUTSequence=[table])
    np.testing.assert_allclose(image, RAMP / 4095 * 65535, atol=0.51)


def test_65536_entries_are_a_count_of_zero(show):
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    table = lut(0, 16, list(range(65536)))
    assert table.LUTDescriptor[0] == 0
    image, _ = show(pixels, 16, VOILUTSequence=[table])
    np.testing.assert_array_equal(image, pixels)


@pytest.mark.parametrize("as_words", [False, True])
def test_entries_of_eight_bits_may_be_packed(show, as_words: bool):
    packed = np.repeat(np.arange(256, dtype=np.uint8), 16)
    table = lut(0, 8, [0, 1])
    table.LUTDescriptor = [4096, 0, 8]
    table.LUTData = packed.tobytes()
    if as_words:
        table.add_new("LUTData", "US", packed.view("<u2").tolist())
    image, _ = show(VOILUTSequence=[table])
    np.testing.assert_allclose(image, RAMP // 16 / 255 * 65535, atol=0.51)


def test_entries_of_a_big_endian_file_are_swapped(tmp_path):
    table = lut(0, 12, list(range(4096)))
    table.LUTData = np.arange(4096, dtype=">u2").tobytes()
    dataset = make_dicom(RAMP, transfer_syntax=ExplicitVRBigEndian, VOILUTSequence=[table])
    dataset.PixelData = RAMP.astype(">u2").tobytes()
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_image(tmp_path / "x.dcm"), RAMP / 4095 * 65535, atol=0.51)


UNUSABLE = {
    "no descriptor": item(LUTExplanation="x"),
    "no data": item(LUTDescriptor=[4096, 0, 12]),
    "two numbers": item(LUTDescriptor=[4096, 0], LUTData=bytes(8192)),
    "one grey value": lut(0, 12, [7] * 4096),
    "nothing but zeros": lut(0, 12, [0] * 4096),
}


@pytest.mark.parametrize("table", UNUSABLE.values(), ids=UNUSABLE)
def test_without_a_usable_voi_lut_the_window_is_used(show, table: Dataset):
    image, warnings = show(VOILUTSequence=[table], WindowCenter=1000, WindowWidth=500)
    np.testing.assert_allclose(image, windowed(RAMP, 1000, 500), atol=0.51)
    assert "VOILUTSequence has no usable table" in warnings


def test_the_first_usable_voi_lut_is_used(show):
    image, warnings = show(VOILUTSequence=[UNUSABLE["no descriptor"], lut(0, 12, list(range(4096))[::-1])])
    np.testing.assert_allclose(image, (4095 - RAMP) / 4095 * 65535, atol=0.51)
    assert warnings == ""


def test_without_a_usable_modality_lut_the_rescale_is_used(show):
    image, warnings = show(
        ModalityLUTSequence=[UNUSABLE["no data"]],
        RescaleSlope=2,
        RescaleIntercept=-10,
        WindowCenter=3000,
        WindowWidth=1000,
    )
    np.testing.assert_allclose(image, windowed(RAMP * 2.0 - 10, 3000, 1000), atol=0.51)
    assert "ModalityLUTSequence has no usable table" in warnings


# --- rescale and windows


@pytest.mark.parametrize("value", ["0", "0.0", "-0"])
def test_a_rescale_slope_of_zero_is_ignored(show, value: str):
    image, warnings = show(RescaleSlope=value, RescaleIntercept="0", **WINDOW)
    np.testing.assert_allclose(image, windowed(RAMP), atol=0.51)
    assert "Rescale Slope is 0" in warnings


@pytest.mark.parametrize("group", ["PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"])
def test_window_and_rescale_of_functional_groups_are_used(show, group: str):
    functions = item(
        FrameVOILUTSequence=[item(WindowCenter=1000, WindowWidth=500, VOILUTFunction="LINEAR_EXACT")],
        PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=-100)],
    )
    image, warnings = show(**{group: [functions]})
    expected = 65535 * np.clip((RAMP * 2.0 - 100 - 1000) / 500 + 0.5, 0, 1)
    np.testing.assert_allclose(image, expected, atol=0.51)
    assert warnings == ""


def test_the_functional_groups_of_the_frame_go_before_those_of_all_frames(show):
    frame, shared = (item(FrameVOILUTSequence=[item(WindowCenter=c, WindowWidth=500)]) for c in (1000, 3000))
    image, _ = show(PerFrameFunctionalGroupsSequence=[frame], SharedFunctionalGroupsSequence=[shared])
    np.testing.assert_allclose(image, windowed(RAMP, 1000, 500), atol=0.51)


def test_the_first_valid_window_is_used(show):
    image, warnings = show(WindowCenter=[100, 1000], WindowWidth=[0, 500])
    np.testing.assert_allclose(image, windowed(RAMP, 1000, 500), atol=0.51)
    assert warnings == ""


@pytest.mark.parametrize(
    ("attributes", "keyword"),
    [({"WindowCenter": b"wide", "WindowWidth": b"7"}, "WindowCenter"), ({"RescaleSlope": b"nan"}, "RescaleSlope")],
)
def test_text_in_place_of_a_number_is_ignored(tmp_path, caplog, attributes: dict[str, bytes], keyword: str):
    dataset = make_dicom(RAMP)
    for name in attributes:
        setattr(dataset, name, "1234")
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    content = (tmp_path / "x.dcm").read_bytes()
    for value in attributes.values():
        content = content.replace(b"1234", value.ljust(4), 1)
    (tmp_path / "x.dcm").write_bytes(content)
    image = read_image(tmp_path / "x.dcm")
    np.testing.assert_allclose(image, RAMP / 4095 * 65535, atol=0.51)
    assert f"{keyword} is not a number" in caplog.text


# --- polarity


@pytest.mark.parametrize(
    ("interpretation", "shape", "inverse", "warns"),
    [
        ("MONOCHROME2", None, False, False),
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME2", "INVERSE", True, True),
        ("MONOCHROME1", None, True, False),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME1", "IDENTITY", True, True),
    ],
)
def test_the_image_is_inverted_once_if_either_attribute_asks_for_it(show, interpretation, shape, inverse, warns):
    attributes = {"PresentationLUTShape": shape} if shape else {}
    image, warnings = show(PhotometricInterpretation=interpretation, **attributes, **WINDOW)
    np.testing.assert_allclose(image, windowed(4095.0 - RAMP if inverse else RAMP), atol=0.51)
    assert ("Presentation LUT Shape contradicts" in warnings) == warns


# --- samples


def test_one_sample_in_an_image_that_claims_colour_is_grey(show):
    image, warnings = show(PhotometricInterpretation="RGB", **WINDOW)
    np.testing.assert_allclose(image, windowed(RAMP), atol=0.51)
    assert "one sample per pixel contradicts RGB" in warnings


COLOUR = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({**COLOUR, "PhotometricInterpretation": "MONOCHROME2"}, "contradicts the photometric interpretation"),
        ({**COLOUR, "SamplesPerPixel": 4}, "contradicts the photometric interpretation"),
        ({**COLOUR, "PixelRepresentation": 1}, "unsupported colour pixels"),
        ({"BitsAllocated": 8}, "Bits Allocated contradicts Bits Stored"),
        ({"BitsAllocated": 12}, "Bits Allocated contradicts Bits Stored"),
        ({"SamplesPerPixel": None}, "no SamplesPerPixel"),
        ({"BitsStored": None}, "no BitsStored"),
    ],
)
def test_attributes_that_contradict_each_other_are_refused_in_words(tmp_path, attributes, message):
    dataset = make_dicom(np.zeros((8, 8, 3), np.uint16))
    for name, value in attributes.items():
        delattr(dataset, name) if value is None else setattr(dataset, name, value)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(tmp_path / "x.dcm")
    assert "x.dcm" in str(caught.value)


def test_an_unknown_compression_is_named(tmp_path):
    dataset = make_dicom(RAMP)
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    video = b"1.2.840.10008.1.2.4.100\0"[: len(b"1.2.840.10008.1.2.1\0") + 4]
    content = (tmp_path / "x.dcm").read_bytes()
    head = b"\x02\x00\x10\x00UI"
    at = content.index(head)
    old = content[at : at + 8 + content[at + 6]]
    content = content.replace(old, head + len(video).to_bytes(2, "little") + video)
    group = content.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
    length = int.from_bytes(content[group : group + 4], "little") + 8 + len(video) - len(old)
    (tmp_path / "x.dcm").write_bytes(content[:group] + length.to_bytes(4, "little") + content[group + 4 :])
    with pytest.raises(ImageError, match="unsupported compression of the pixels") as caught:
        read_image(tmp_path / "x.dcm")
    assert "MPEG2" in str(caught.value)


# --- the shared cases


@pytest.fixture
def cases() -> Path:
    if not CASES.is_dir():
        pytest.skip("the shared cases are not here")
    return CASES


def test_the_shared_voi_luts_look_the_same(cases: Path):
    right, wrong = (read_image(cases / f"voi_lut/agfa_voilut_{bits}says_12is.dcm") for bits in (12, 16))
    np.testing.assert_array_equal(right, wrong)
    assert right.max() > 64000


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("daikon22_mono2_inverse", "Presentation LUT Shape contradicts MONOCHROME2"),
        ("slope_zero", "Rescale Slope is 0"),
        ("voilut_item_without_data", "VOILUTSequence has no usable table"),
    ],
)
def test_the_shared_odd_headers_show_the_reference(cases: Path, caplog, name: str, warning: str):
    image = read_image(cases / f"dicom_odd/{name}.dcm")
    np.testing.assert_array_equal(image, read_image(cases / "dicom_without_ending/ref_window.dcm"))
    assert warning in caplog.text
