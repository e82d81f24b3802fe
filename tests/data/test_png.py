"""PNG files are read as OpenCV reads them; damaged ones never become pixels."""

from pathlib import Path
from typing import Any

import cv2
import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ggcam.data.png import read_png, write_png
from ggcam.errors import PreparedFolderError

PIXELS = st.sampled_from([np.uint8, np.uint16]).flatmap(
    lambda kind: arrays.arrays(kind, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pixels=PIXELS)
def test_what_was_written_is_read(tmp_path: Path, pixels: np.ndarray):
    write_png(tmp_path / "a.png", pixels)
    read = read_png(tmp_path / "a.png")
    assert read is not None
    assert read.dtype == pixels.dtype
    np.testing.assert_array_equal(read, pixels)


def test_a_file_of_several_chunks_is_read(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200), dtype=np.uint8)
    write_png(tmp_path / "a.png", pixels)
    assert (tmp_path / "a.png").read_bytes().count(b"IDAT") > 1
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        *((mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        ("L", {"compress_level": 0}),
        ("L", {"dpi": (300, 300)}),
        ("L", {"transparency": 3}),
        ("P", {"transparency": 3}),
    ],
)
def test_files_of_other_programs_are_read_as_opencv_reads_them(tmp_path: Path, mode: str, options: dict[str, Any]):
    rows, columns = np.mgrid[:40, :30]
    grey = Image.fromarray((rows * 5 + columns).astype(np.uint16 if mode == "I;16" else np.uint8))
    (grey if mode == "I;16" else grey.convert(mode)).save(tmp_path / "a.png", **options)
    expected = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    read = read_png(tmp_path / "a.png")
    assert read is not None
    assert expected is not None
    assert read.dtype == expected.dtype
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("png_filter", [8, 16, 32, 64, 128, 248])  # none, sub, up, average, Paeth, adaptive
def test_every_filter_is_read(tmp_path: Path, png_filter: int):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pixels, [cv2.IMWRITE_PNG_FILTER, png_filter])
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), pixels)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10), dtype=np.uint8)
    path = tmp_path_factory.mktemp("whole") / "a.png"
    write_png(path, pixels)
    return path.read_bytes(), pixels


def test_a_truncated_file_is_not_an_image(tmp_path: Path, whole: tuple[bytes, np.ndarray]):
    content, _ = whole
    for length in range(len(content) - 4):  # the last four bytes are the checksum of an empty chunk
        (tmp_path / "a.png").write_bytes(content[:length])
        assert read_png(tmp_path / "a.png") is None, length


def test_a_changed_byte_never_changes_pixels(tmp_path: Path, whole: tuple[bytes, np.ndarray]):
    content, pixels = whole
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x41
        (tmp_path / "a.png").write_bytes(damaged)
        read = read_png(tmp_path / "a.png")
        assert read is None or np.array_equal(read, pixels), place


def test_a_missing_file_is_not_an_image(tmp_path: Path):
    assert read_png(tmp_path / "nowhere.png") is None
    assert read_png(tmp_path) is None


def test_a_file_that_cannot_be_written_is_reported(tmp_path: Path):
    with pytest.raises(PreparedFolderError, match=r"cannot be written\n  where: .*none/a.png"):
        write_png(tmp_path / "none" / "a.png", np.zeros((2, 2), np.uint8))
