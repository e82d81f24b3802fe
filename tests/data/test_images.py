import pickle
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ggcam.data.images import (
    IMAGE_SUFFIXES,
    image_size,
    read_image,
    read_mask,
    read_pixels,
    read_pixels_and_bits,
    stores_colour,
)
from ggcam.errors import ImageError

RNG = np.random.default_rng(7)
GREY8 = RNG.integers(0, 256, (40, 30)).astype(np.uint8)
GREY16 = RNG.integers(0, 65536, (40, 30)).astype(np.uint16)
COLOUR8 = RNG.integers(0, 256, (40, 30, 3)).astype(np.uint8)
COLOUR16 = RNG.integers(0, 65536, (40, 30, 3)).astype(np.uint16)


def luma(colour_bgr):
    return colour_bgr[..., :3] @ [0.114, 0.587, 0.299]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("pixels", [GREY8, GREY16], ids=["8 bit", "16 bit"])
def test_grey_values_are_unchanged(tmp_path, suffix, pixels):
    path = tmp_path / f"x{suffix}"
    cv2.imwrite(str(path), pixels)
    image = read_image(path)
    assert image.dtype == pixels.dtype
    np.testing.assert_array_equal(image, pixels)
    assert image_size(path) == (40, 30)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("pixels", [COLOUR8, COLOUR16], ids=["8 bit", "16 bit"])
def test_colour_becomes_grey_with_its_own_bits_and_alpha_is_dropped(tmp_path, pixels, alpha):
    if alpha:
        pixels = np.concatenate([pixels, RNG.integers(0, 255, (40, 30, 1)).astype(pixels.dtype)], axis=2)
    cv2.imwrite(str(tmp_path / "x.png"), pixels)
    image = read_image(tmp_path / "x.png")
    assert image.dtype == pixels.dtype
    np.testing.assert_allclose(image, luma(pixels), atol=2 if pixels.dtype == np.uint16 else 1)


@pytest.mark.parametrize("pixels", [GREY8, GREY16], ids=["8 bit", "16 bit"])
def test_grey_stored_as_colour_is_the_same_grey(tmp_path, pixels):
    cv2.imwrite(str(tmp_path / "x.png"), np.stack([pixels] * 3, axis=2))
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("pixels", [COLOUR8, COLOUR16], ids=["8 bit", "16 bit"])
def test_colours_are_kept_with_their_own_bits_and_alpha_is_dropped(tmp_path, pixels, alpha, suffix):
    stored = pixels
    if alpha:
        stored = np.concatenate([pixels, RNG.integers(0, 255, (40, 30, 1)).astype(pixels.dtype)], axis=2)
    path = tmp_path / f"x{suffix}"
    cv2.imwrite(str(path), stored)
    image = read_pixels(path, channels=3)
    assert image.dtype == pixels.dtype
    np.testing.assert_array_equal(image, pixels[..., ::-1])  # OpenCV writes blue, green, red
    assert stores_colour(path)


def test_twelve_bits_of_a_colour_image_are_scaled_for_all_channels(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), COLOUR16 >> 4)
    image, bits = read_pixels_and_bits(tmp_path / "x.png", 12, channels=3)
    assert bits == 12
    np.testing.assert_allclose(image, (COLOUR16[..., ::-1] >> 4) * (65535 / 4095), atol=0.51)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_a_grey_image_stays_grey_where_colours_are_kept(tmp_path, mode):
    Image.new(mode, (30, 40), 1).save(tmp_path / "x.png")
    assert read_pixels(tmp_path / "x.png", channels=3).shape == (40, 30)
    assert not stores_colour(tmp_path / "x.png")


@pytest.mark.parametrize(("suffix", "mode"), [(".png", "P"), (".jpg", "CMYK"), (".jpg", "RGB"), (".png", "RGBA")])
def test_colours_of_palettes_and_inks_are_those_that_pillow_shows(tmp_path, suffix, mode):
    picture = Image.new("RGB", (30, 40), (200, 30, 60))
    if mode == "P":
        picture = picture.quantize(colors=2)  # a palette of its own
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / f"x{suffix}")
    image = read_pixels(tmp_path / f"x{suffix}", channels=3)
    assert image.shape == (40, 30, 3)
    np.testing.assert_allclose(image, np.broadcast_to([200, 30, 60], image.shape), atol=3)


def test_an_exif_rotation_of_a_colour_image_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 40), (9, 99, 199)).save(tmp_path / "x.jpg", exif=exif)
    assert read_pixels(tmp_path / "x.jpg", channels=3).shape == (40, 30, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png_becomes_one_channel(tmp_path, mode):
    picture = Image.fromarray(np.where(GREY8 > 127, 255, 0).astype(np.uint8))
    picture = Image.new("I;16", picture.size, 65535) if mode == "I;16" else picture.convert(mode)
    picture.save(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png")
    if mode == "I;16":
        assert (image == 65535).all()
    else:
        np.testing.assert_array_equal(image, np.where(GREY8 > 127, 255, 0))


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path):
    Image.fromarray(GREY8).convert("P").save(tmp_path / "x.png", transparency=bytes(range(256)))
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), GREY8)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpegs_are_read(tmp_path, mode):
    smooth = np.linspace(0, 255, 1200).reshape(40, 30).astype(np.uint8)
    Image.fromarray(smooth).convert("RGB").convert(mode).save(tmp_path / "x.jpg", quality=95)
    np.testing.assert_allclose(read_image(tmp_path / "x.jpg").astype(int), smooth, atol=6)


def test_an_exif_rotation_is_ignored(tmp_path):
    picture = Image.fromarray(GREY8)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "x.jpg", exif=exif)
    assert read_image(tmp_path / "x.jpg").shape == image_size(tmp_path / "x.jpg") == (40, 30)


def test_the_format_is_recognised_by_content_and_not_by_name(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), GREY8)
    (tmp_path / "x.png").rename(tmp_path / "x.dcm")
    np.testing.assert_array_equal(read_image(tmp_path / "x.dcm"), GREY8)


def _png(pixels=GREY8):
    return cv2.imencode(".png", pixels)[1].tobytes()


def _jpeg():
    return cv2.imencode(".jpg", cv2.resize(GREY8, (300, 400)))[1].tobytes()


def _flipped(data, at):
    broken = bytearray(data)
    broken[at] ^= 0xFF
    return bytes(broken)


BROKEN = {
    "empty": (b"", "empty"),
    "text": (b"patient_id,label\n1,2\n" * 20, r"unknown image format(.|\n)*PNG, JPEG, TIFF or DICOM"),
    "png cut in its signature": (_png()[:6], "unknown image format"),
    "png cut in its header": (_png()[:20], "x.img"),
    "png cut in its pixels": (_png()[:600], "cannot be decoded"),
    "png cut before its end": (_png()[:-60], "cannot be decoded"),
    "png with a broken byte": (_flipped(_png(), 400), "cannot be decoded"),
    "jpeg cut in its header": (_jpeg()[:30], "x.img"),
    "jpeg cut in its pixels": (_jpeg()[:5000], "cannot be decoded"),
    "tiff cut": (cv2.imencode(".tif", GREY16)[1].tobytes()[:700], "x.img"),
    "tiff of floats": (cv2.imencode(".tif", GREY8.astype(np.float32))[1].tobytes(), "unsupported pixel type"),
    "tiff of signed numbers": (cv2.imencode(".tif", GREY8.astype(np.int16))[1].tobytes(), "unsupported pixel type"),
    "gif": (b"GIF89a" + bytes(100), "unknown image format"),
    "degenerate": (_png(GREY8[:3]), r"unsupported image size(.|\n)*3x30 pixels"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_a_damaged_file_is_refused_with_path_and_reason_and_nothing_is_printed(tmp_path, capfd, content, message):
    path = tmp_path / "x.img"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_have_different_messages(tmp_path):
    for function in (read_image, image_size):
        with pytest.raises(ImageError, match="the image file does not exist"):
            function(tmp_path / "nowhere.png")
        with pytest.raises(ImageError, match="a folder instead of an image file"):
            function(tmp_path)


def test_a_file_of_several_images_is_refused(tmp_path):
    pages = [Image.fromarray(GREY8), Image.fromarray(GREY8)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ImageError, match="several images"):
        read_image(tmp_path / "x.tif")


def test_an_image_too_large_for_memory_is_refused_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setenv("GGCAM_MAX_MEGAPIXELS", "0.001")
    (tmp_path / "x.png").write_bytes(_png())
    for function in (read_image, image_size):
        with pytest.raises(ImageError, match="at most 1,000 pixels"):
            function(tmp_path / "x.png")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["png", "jpg", "tif"]), st.integers(0, 2**32))
def test_damaged_bytes_give_an_image_or_an_image_error(tmp_path_factory, kind, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(cv2.imencode(f".{kind}", GREY8)[1].tobytes())
    for at in rng.integers(0, len(data), 3):
        data[at] = rng.integers(256)
    path = tmp_path_factory.mktemp("garbled") / "x"
    path.write_bytes(bytes(data))
    with suppress(ImageError):
        assert read_image(path).ndim == 2


def test_damaged_bytes_print_nothing(tmp_path, capfd):
    rng = np.random.default_rng(0)
    for kind in ("png", "jpg", "tif"):
        for _ in range(100):
            data = bytearray(cv2.imencode(f".{kind}", GREY8)[1].tobytes())
            for at in rng.integers(0, len(data), 3):
                data[at] = rng.integers(256)
            (tmp_path / "x").write_bytes(bytes(data))
            with suppress(ImageError):
                read_image(tmp_path / "x")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_tiffs_of_either_polarity_and_any_lossless_compression_are_read(tmp_path, compression, white_is_zero):
    tags = {262: 0 if white_is_zero else 1}
    Image.fromarray(GREY8).save(tmp_path / "x.tif", compression=compression, tiffinfo=tags)
    np.testing.assert_array_equal(read_image(tmp_path / "x.tif"), GREY8)


def test_suffixes_are_lower_case_with_a_dot():
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in IMAGE_SUFFIXES)


# --- arrays


def test_the_largest_value_of_an_array_is_white(tmp_path):
    array = np.arange(480, dtype=np.int32).reshape(20, 24) * 9
    (tmp_path / "x.pk").write_bytes(pickle.dumps(array))
    image = read_image(tmp_path / "x.pk")
    assert image.dtype == np.uint16
    assert (image.min(), image.max()) == (0, 65535)
    np.testing.assert_allclose(image, 65535 / array.max() * array, atol=0.51)
    values = read_pixels(tmp_path / "x.pk")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, array)
    assert image_size(tmp_path / "x.pk") == (20, 24)


def test_an_array_of_zeros_is_black(tmp_path):
    (tmp_path / "x.pk").write_bytes(pickle.dumps(np.zeros((20, 24))))
    assert not read_image(tmp_path / "x.pk").any()


def test_other_images_keep_their_values(tmp_path):
    (tmp_path / "x.png").write_bytes(_png())
    np.testing.assert_array_equal(read_pixels(tmp_path / "x.png"), GREY8)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_a_mask_is_true_where_the_image_is_nonzero(tmp_path, dtype):
    inside = RNG.random((20, 24)) > 0.5
    (tmp_path / "x.pk").write_bytes(pickle.dumps((inside * 3).astype(dtype)))
    np.testing.assert_array_equal(read_mask(tmp_path / "x.pk", "left_lung"), inside)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 24, 3)), "2 dimensions"),
        (np.zeros(480), "2 dimensions"),
        (np.zeros((4, 24)), "4x24"),
        (np.full((20, 24), np.nan), "480 not finite, 0 below 0"),
        (np.full((20, 24), -1), "0 not finite, 480 below 0"),
    ],
)
def test_an_array_that_is_not_an_image_is_refused(tmp_path, array, message):
    (tmp_path / "x.pk").write_bytes(pickle.dumps(array))
    for function in (read_image, image_size):
        with pytest.raises(ImageError, match=message) as caught:
            function(tmp_path / "x.pk")
        assert str(tmp_path / "x.pk") in str(caught.value)


def test_real_x_rays_are_read(real_data):
    for path in sorted((real_data / "nih").glob("*.png")):
        image = read_image(path)
        assert image.shape == image_size(path) == (512, 512)
        np.testing.assert_array_equal(image, cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    for path in sorted((real_data / "paediatric_pneumonia" / "viral").glob("*.jpg"))[:20]:
        image = read_image(path)
        assert image.shape == image_size(path)
        np.testing.assert_allclose(image.astype(int), np.asarray(Image.open(path).convert("L")), atol=1)
