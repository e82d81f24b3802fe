"""A file that crashes or blocks its decoder is one unreadable file: an ImageError that says so."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from ggcam.data.decoding import decode_in_worker
from ggcam.data.image_limits import image_limits, max_pixels
from ggcam.data.images import read_pixels
from ggcam.errors import ConfigError, ImageError
from hostile_images import write_hostile_images, write_looping_tiff

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "hostile"


def loop(_: Path) -> None:
    while True:
        pass


def wait(_: Path) -> None:
    time.sleep(60)


def take_memory(_: Path) -> int:
    return len(np.ones(3 * 2**30, np.uint8))


def abort(_: Path) -> None:
    os.abort()


def kill(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def read(path: Path) -> tuple[int, ...]:
    return read_pixels(path).shape


@pytest.mark.parametrize("name", ["huge.jpg", "truncated.jpg", "bomb.png", "damaged.tif", "box.dcm", "panic.dcm"])
def test_a_hostile_file_is_refused_in_words(tmp_path, name, capfd):
    words = write_hostile_images(tmp_path)[name]
    started = time.monotonic()
    with pytest.raises(ImageError, match=words) as caught:
        decode_in_worker(read, tmp_path / name, tmp_path / name)
    assert time.monotonic() - started < 10
    assert name in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_directories_of_a_tiff_file_that_never_end_are_not_followed(tmp_path):
    path = write_looping_tiff(tmp_path / "loop.tif")
    assert decode_in_worker(read, path, path) == (40, 48)


@pytest.mark.parametrize(
    ("decode", "words"),
    [
        (loop, r"takes more than 1 s of processor time, as damaged files do(?s:.*)x\.png(?s:.*)GGCAM_DECODE_SECONDS"),
        (wait, r"takes more than 3 s, as damaged files do(?s:.*)x\.png"),
        (abort, r"crashes its decoder(?s:.*)x\.png(?s:.*)SIGABRT(?s:.*)GGCAM_MAX_MEGAPIXELS"),
        (kill, r"was killed, most likely because memory ran out(?s:.*)x\.png"),
    ],
)
def test_what_the_decoder_does_is_said(tmp_path, monkeypatch, decode, words):
    monkeypatch.setenv("GGCAM_DECODE_SECONDS", "0.5")
    with pytest.raises(ImageError, match=words):
        decode_in_worker(decode, tmp_path / "x.png", tmp_path / "x.png")


def test_memory_is_limited_by_the_largest_image_that_is_allowed(tmp_path, monkeypatch):
    with pytest.raises(MemoryError):
        decode_in_worker(take_memory, tmp_path, tmp_path)
    monkeypatch.setenv("GGCAM_MAX_MEGAPIXELS", "200")
    assert max_pixels() == 200_000_000
    assert image_limits([tmp_path]).memory_bytes > 3 * 2**30


def test_large_files_have_more_time(tmp_path):
    with (tmp_path / "x").open("wb") as file:
        file.truncate(30_000_000)
    assert image_limits([tmp_path / "x", tmp_path / "gone"]).seconds == pytest.approx(50)


@pytest.mark.parametrize("value", ["0", "-1", "many", "nan", "inf"])
def test_an_invalid_limit_is_a_mistake_of_the_user(tmp_path, monkeypatch, value):
    monkeypatch.setenv("GGCAM_DECODE_SECONDS", value)
    with pytest.raises(ConfigError, match=r"GGCAM_DECODE_SECONDS(?s:.*)above 0"):
        decode_in_worker(read, tmp_path, tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/cases is absent: it is handed out beside the project")
@pytest.mark.parametrize("name", ["j2k_box_of_length_0", "jpegls_hang", "rle_panic"])
def test_files_that_stopped_the_program_are_refused(name, capfd):
    with pytest.raises(ImageError, match=name):
        decode_in_worker(read, SHARED / f"{name}.dcm", SHARED / f"{name}.dcm")
    assert capfd.readouterr() == ("", "")
