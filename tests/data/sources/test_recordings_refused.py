"""Recordings of eye trackers and options that are refused, each with the place and the likely cause."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data.sources import tracker_files as files
from data.sources.tracker_files import HEIGHT, IMAGE, WIDTH, write_lines
from ggcam.data.sources import table
from ggcam.errors import ConfigError, DataError, GGCamError, TableError

SCREEN = "1600x900"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, level in (("ill/" + IMAGE, 90), ("well/other.png", 120)):
        (tmp_path / "raw" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "raw" / name), np.full((HEIGHT, WIDTH), level, np.uint8))
    return tmp_path / "raw"


def gazepoint(name: str = "User 0_all_gaze.csv"):
    return name, files.gazepoint_rows(False)


def changed(lines: list[str], old: str, new: str) -> list[str]:
    assert any(old in line for line in lines)
    return [line.replace(old, new) for line in lines]


ASC = files.eyelink_lines()
TOBII = files.tobii_rows()
GENERIC = ["t,x,y", *(f"{n / 100},{60 + n % 2},50" for n in range(50))]
REFUSED: dict[str, tuple[str, list[str], dict[str, Any], type[GGCamError], str]] = {
    "unit of time for EyeLink": (
        "a.asc",
        ASC,
        {"time_unit": "s"},
        ConfigError,
        "--time-unit has no meaning(.|\n)*eyelink",
    ),
    "columns for EyeLink": ("a.asc", ASC, {"columns": "t=ms"}, ConfigError, "--columns has no meaning"),
    "units against the file": ("a.asc", ASC, {"units": "px"}, ConfigError, "--units px contradicts(.|\n)*screen_px"),
    "origin against the file": ("a.asc", ASC, {"origin": "centre"}, ConfigError, "--origin centre contradicts"),
    "unit of time for Gazepoint": (*gazepoint(), {"time_unit": "ms", "screen": SCREEN}, ConfigError, "--time-unit"),
    "threshold of another method": ("a.asc", ASC, {"dispersion_deg": 1.0}, ConfigError, "--dispersion-deg(.|\n)*ivt"),
    "detection for fixations": (
        "f.csv",
        files.realeye_rows(),
        {"detect": "idt"},
        ConfigError,
        "--detect has no meaning",
    ),
    "screen for positions on the image": (
        "f.csv",
        files.realeye_rows(),
        {"screen": SCREEN},
        ConfigError,
        "--screen has",
    ),
    "millimetres for pixels": ("a.asc", ASC, {"screen_mm": "400x225"}, ConfigError, "--screen-mm has no meaning"),
    "no size in millimetres": ("a.tsv", files.tobii_rows("DACSmm"), {}, ConfigError, "--screen-mm"),
    "no degree": ("a.asc", ASC, {"px_per_degree": -1.0}, ConfigError, "must be above 0"),
    "infinite degree": ("a.asc", ASC, {"px_per_degree": np.inf}, ConfigError, "must be above 0 and finite"),
    "damaged screen": (
        "a.asc",
        changed(ASC, "0 0 1599 899", "0 0 15x9"),
        {},
        TableError,
        r"screen cannot be read(.|\n)*a\.asc:2",
    ),
    "screen without area": ("a.asc", changed(ASC, "0 0 1599 899", "0 0 0 0"), {}, TableError, "screen cannot be read"),
    "positions of 1e308": (
        "a.asc",
        [f"{files.T0 + 100}\t1e308\t5.0\t9.0" if line.startswith(f"{files.T0 + 100}\t") else line for line in ASC],
        {},
        TableError,
        r"1 positions are impossible(.|\n)*x = 1e\+308",
    ),
    "huge positions": (
        "a.csv",
        ["t,x,y", "0,1e308,5", "1,2,5"],
        {},
        TableError,
        r"positions are impossible(.|\n)*a\.csv:2",
    ),
    "huge times": (
        "a.csv",
        ["t,x,y", "0,1,5", "1e308,2,5"],
        {},
        TableError,
        r"a time is empty or impossible(.|\n)*a\.csv:3",
    ),
    "no column y": (
        "a.tsv",
        changed(changed(TOBII, "Gaze point Y", "Gaze Y"), "Eye movement type\t", "Kind\t"),
        {},
        TableError,
        "no columns x and y of the gaze",
    ),
    "no row of the tracker": (
        "a.tsv",
        changed(TOBII, "Eye Tracker", "Mouse"),
        {},
        TableError,
        "no row of the table is a sample",
    ),
    "raw eye positions": ("a.asc", changed(ASC, "SAMPLES\tGAZE", "SAMPLES\tHREF"), {}, DataError, "edf2asc -sg"),
    "all off the image": (
        "lung 1.csv",
        changed(GENERIC, ",50", ",5000"),
        {},
        DataError,
        r"50 of 50 samples \(100%\) cannot be used: a position off the image(.|\n)*"
        r"lung 1\.csv:2 \(x = 60, y = 5000\)(.|\n)*--units",
    ),
    "eye always lost": (
        gazepoint()[0],
        [line.rsplit(",", 2)[0] + ",0," if number else line for number, line in enumerate(gazepoint()[1])],
        {"screen": SCREEN},
        DataError,
        "no position",
    ),
    "too fast for a fixation": (
        "lung 1.csv",
        ["t,x,y", *(f"{n / 100},{40 * (n % 9)},{30 * (n % 7)}" for n in range(60))],
        {},
        DataError,
        "no fixation around it(.|\n)*--time-unit",
    ),
    "other images": ("a.csv", ["t,x,y", "0,1,1"], {}, TableError, "none of the images"),
    "percent for pixels": (
        "lung 1.csv",
        ["t,x,y", *(f"{n / 100},{n + 30},{n + 20}" for n in range(60))],
        {},
        ConfigError,
        "--units percent; or px",
    ),
    "no decompression without limit": ("a.asc", ASC, {"max_unpacked_gb": 0.0}, ConfigError, "--max-unpacked-gb"),
}


@pytest.mark.parametrize(("name", "lines", "options", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_right_is_refused(root: Path, tmp_path: Path, name, lines, options, kind, message):
    write_lines(tmp_path / "rec" / name, lines)
    with pytest.raises(GGCamError, match=message) as caught:
        table.read(root, samples=tmp_path / "rec", **({"px_per_degree": 40.0} | options))
    assert type(caught.value) is kind


def test_options_of_samples_are_refused_for_a_table_of_fixations(root: Path, tmp_path: Path):
    path = write_lines(tmp_path / "mine.csv", files.point_rows((1, 1), 1))
    for option in ({"detect": "idt"}, {"minimum_fixation_s": 0.1}, {"screen": SCREEN}):
        with pytest.raises(ConfigError, match="has no meaning for"):
            table.read(root, fixations=path, **option)
    with pytest.raises(ConfigError, match="unit of time has no meaning"):
        table.read(root, fixations=write_lines(tmp_path / "b.csv", ["image,x,y", f"{IMAGE},1,1"]), time_unit="ms")


def test_a_compressed_recording_is_not_read_beyond_the_limit(root: Path, tmp_path: Path):
    contents = {
        "zeros.asc.gz": bytes(2**22),
        "rows.csv.gz": b"t,x,y\n" + b"1,2,3\n" * 2**20,
        "lines.asc.gz": "\n".join(ASC).encode() * 80,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(gzip.compress(content))
        with pytest.raises(DataError, match=r"too large|binary content"):
            table.read(root, samples=tmp_path / name, px_per_degree=40.0, max_unpacked_gb=2**-10)
