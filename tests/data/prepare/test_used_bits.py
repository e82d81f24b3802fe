"""Data sets of 16-bit files that use fewer bits: found, recorded, kept by the run's framing, and disagreement told."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ggcam.data.case import Case, Source
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepare.used_bits import find_used_bits
from ggcam.errors import ConfigError

CONFIG = PrepareConfig(size="64x64", split_fractions=(0.5, 0.5, 0.0), workers=1)


def write_images(folder: Path, bits: list[int], kind: type = np.uint16) -> Source:
    rng = np.random.default_rng(0)
    cases = []
    for number, used in enumerate(bits):
        pixels = (rng.random((64, 64)) * (2**used - 1)).astype(kind)
        pixels[0, 0] = 2**used - 1
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), pixels)
        cases.append(Case(str(number), str(number), number % 2, path))
    return Source("bits", ("a", "b"), tuple(cases))


def files(source: Source) -> list[Path]:
    return [case.image for case in source.cases]


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_the_largest_value_of_a_data_set_decides(tmp_path: Path, bits: int):
    source = write_images(tmp_path, [bits - 1, bits, bits - 1, bits - 1])
    assert find_used_bits(files(source)) == bits
    data = prepare_source(source, tmp_path / "DATA", CONFIG)
    assert data.used_bits == data.meta["used_bits"] == bits
    raw = cv2.imread(str(source.cases[1].image), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(data.read_image("1"), raw / (2**bits - 1) * 255, atol=0.51)


def test_files_of_eight_bits_decide_nothing(tmp_path: Path):
    source = write_images(tmp_path, [8, 8], np.uint8)
    assert find_used_bits([*files(source), tmp_path / "missing.png"]) == 16
    assert find_used_bits([]) == 16


def test_files_without_the_largest_value_of_the_sample_are_scaled_by_their_own_bits(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("ggcam.data.prepare.used_bits.MAX_FILES", 2)
    source = write_images(tmp_path, [12, 14, 12, 12])
    with caplog.at_level(logging.WARNING):
        data = prepare_source(source, tmp_path / "DATA", CONFIG)
    assert data.used_bits == 12
    assert data.read_image("1").max() == 255
    assert "of 4, 1 use more and are scaled by themselves" in caplog.text


def test_files_that_use_far_fewer_bits_than_the_others_are_told(tmp_path, caplog):
    source = write_images(tmp_path, [16, 12, 12, 12])
    with caplog.at_level(logging.WARNING):
        data = prepare_source(source, tmp_path / "DATA", CONFIG)
    assert data.used_bits == 16
    assert "3 use at most 14 and are dark; change it with --used-bits" in caplog.text
    assert data.meta["dropped"]["nearly black image (kept)"] == 3
    assert data.cases["flags"].tolist() == ["", *["few grey levels;nearly black"] * 3]


def test_the_bits_may_be_given(tmp_path: Path):
    source = write_images(tmp_path, [16, 12, 12, 12])
    data = prepare_source(source, tmp_path / "DATA", replace(CONFIG, used_bits=12))
    assert data.used_bits == 12
    assert data.read_image("2").max() == 255
    for invalid in (7, 17):
        with pytest.raises(ConfigError, match="--used-bits"):
            PrepareConfig(used_bits=invalid)
    with pytest.raises(ConfigError, match="no meaning with --preset original"):
        PrepareConfig(used_bits=12, preset="original")


def test_the_original_preset_scales_each_image_by_itself(tmp_path: Path):
    source = write_images(tmp_path, [12, 12, 12, 12])
    data = prepare_source(source, tmp_path / "DATA", replace(CONFIG, preset="original"))
    assert data.used_bits == 16
    assert data.read_image("0").max() == 65535


def test_an_interrupted_job_marks_the_images_that_were_done(tmp_path: Path, monkeypatch):
    source = write_images(tmp_path, [16, 12, 12, 12])
    whole = prepare_source(source, tmp_path / "whole", CONFIG)

    def stop(done: int, total: int) -> None:
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_source(source, tmp_path / "DATA", CONFIG, progress=stop)
    again = prepare_source(source, tmp_path / "DATA", CONFIG)
    assert again.meta == whole.meta
    assert again.cases["flags"].tolist() == whole.cases["flags"].tolist()
