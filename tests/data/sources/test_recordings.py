"""The same three fixations through every format of every eye tracker, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from data.sources import tracker_files as files
from data.sources.tracker_files import FIXATIONS, HEIGHT, IMAGE, POINTS, WIDTH, on_screen, write_lines
from ggcam.data.case import Source
from ggcam.data.sources import table
from ggcam.errors import DataError

SCREEN = "1600x900"
LOAD = "!V IMGLOAD"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, level in (("ill/" + IMAGE, 90), ("well/other.png", 120)):
        (tmp_path / "raw" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "raw" / name), np.full((HEIGHT, WIDTH), level, np.uint8))
    return tmp_path / "raw"


def check(source: Source, points=POINTS, reading: int = 0, n_readings: int = 1) -> None:
    """The fixations lie within a pixel and 20 ms of the truth."""
    (case,) = (case for case in source.cases if case.readings)
    assert case.case_id == "ill_lung_1"
    assert len(case.readings) == n_readings
    gaze = list(case.readings.values())[reading]
    np.testing.assert_allclose(np.stack([gaze.x_px, gaze.y_px], axis=1), points, atol=1)
    np.testing.assert_allclose(gaze.start_s, [each.start_s for each in FIXATIONS], atol=0.02)
    np.testing.assert_allclose(gaze.duration_s, [each.duration_s for each in FIXATIONS], atol=0.02)


def lines_of_psychopy() -> dict[str, Any]:
    columns = "t=device_time,x=left_gaze_x,y=left_gaze_y"
    return {"columns": columns, "units": "screen_px", "origin": "centre", "screen": SCREEN}


SAMPLES: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "EyeLink": ("s1.asc", files.eyelink_lines(), {}),
    "EyeLink, upper case": ("S1.ASC", files.eyelink_lines(), {}),
    "EyeLink, another ending": ("s1.txt", files.eyelink_lines(), {}),
    "EyeLink, both eyes": ("s1.asc", files.eyelink_lines(eyes="LEFT\tRIGHT"), {}),
    "EyeLink, velocity and resolution": (
        "s1.asc",
        files.eyelink_lines(kinds="\tVEL\tRES", extra="\t-1.8\t2.3\t26.5\t27.1"),
        {},
    ),
    "EyeLink, both eyes, velocity": (
        "s1.asc",
        files.eyelink_lines(eyes="LEFT\tRIGHT", kinds="\tVEL", extra="\t-1.8\t2.3\t1.0\t2.0"),
        {},
    ),
    "EyeLink, remote": ("s1.asc", files.eyelink_lines(kinds="\tHTARGET", extra="\t...\t4583.0\t6891.0\t575.3"), {}),
    "EyeLink, 2000 Hz": ("s1.asc", files.eyelink_lines(rate=2000), {}),
    "EyeLink, image at its own size": (
        "s1.asc",
        files.eyelink_lines(load=f"{LOAD} CENTER {IMAGE} 800 450", place=lambda x, y: (x + 600, y + 300)),
        {},
    ),
    "EyeLink, image without a size, as large as it fits": (
        "s1.asc",
        files.eyelink_lines(load=f"{LOAD} CENTER {IMAGE} 800 450"),
        {},
    ),
    "EyeLink, top left": ("s1.asc", files.eyelink_lines(load=f"{LOAD} TOP_LEFT {IMAGE} 200 0 1200 900"), {}),
    "EyeLink, fill": (
        "s1.asc",
        files.eyelink_lines(load=f"{LOAD} FILL {IMAGE}", place=lambda x, y: (x * 4, y * 3)),
        {},
    ),
    "EyeLink, origin in the middle": (
        "s1.asc",
        files.eyelink_lines(
            coords="DISPLAY_COORDS -800 450 799 -449",
            place=lambda x, y: (on_screen(x, y)[0] - 800, 450 - on_screen(x, y)[1]),
        ),
        {},
    ),
    "EyeLink, image named by a variable": (
        "s1.asc",
        files.eyelink_lines(load="DISPLAY_ON", after=[f"MSG\t60000 !V TRIAL_VAR picture {IMAGE}"]),
        {},
    ),
    "EyeLink, image named by the file": ("lung 1.asc", files.eyelink_lines(load=""), {}),
    "EyeLink, cross before the image": (
        "s1.asc",
        files.eyelink_lines(
            before=[
                f"MSG\t{files.T0 - 460} {LOAD} CENTER well/other.png 800 450 1200 900",
                f"MSG\t{files.T0 - 440} DISPLAY_OFF",
                *(f"{files.T0 - 400 + 2 * n}\t800.0\t450.0\t1000.0\t..." for n in range(150)),
            ]
        ),
        {},
    ),
    "Gazepoint": ("User 0_all_gaze.csv", files.gazepoint_rows(False), {"screen": SCREEN}),
    "Gazepoint, fixations": ("User 0_fixations.csv", files.gazepoint_rows(True), {"screen": SCREEN}),
    "Gazepoint, fixations, another name": ("export.txt", files.gazepoint_rows(True), {"screen": SCREEN}),
    **{
        f"Tobii, {system or 'no unit'}": ("a.tsv", files.tobii_rows(system), {})
        for system in ("DACSpx", "DACS px", "ADCSpx", "MCSnorm", "MCSpx", "")
    },
    "Tobii, place unknown": ("a.tsv", files.tobii_rows("MCSnorm", placed=False), {}),
    "Tobii, place and image pixels unknown": ("a.tsv", files.tobii_rows(placed=False), {}),
    "Tobii, microseconds without a word": ("a.tsv", files.tobii_rows(time="Recording timestamp", per_s=1e6), {}),
    "Tobii, milliseconds without a word": ("a.TSV", files.tobii_rows(time="Recording timestamp"), {}),
    "Tobii, 1200 Hz in milliseconds": ("a.tsv", files.tobii_rows(rate=1200), {}),
    "Tobii, the option decides": (
        "a.tsv",
        files.tobii_rows(time="Recording timestamp", per_s=1e6),
        {"time_unit": "us"},
    ),
    "Tobii, rows of fixations": ("a.tsv", files.tobii_rows(content="fixation rows"), {}),
    "Tobii, one row per fixation": ("a.tsv", files.tobii_rows(content="one row"), {}),
    "Pupil Labs, fixations": ("fixations_on_surface_lung 1.csv", files.pupil_fixation_rows(), {}),
    "Pupil Labs, gaze": ("gaze_positions_on_surface_lung 1.csv", files.pupil_gaze_rows(), {}),
    "RealEye": ("fixations.csv", files.realeye_rows(), {}),
    "PsychoPy": ("lung 1.csv", files.psychopy_rows(), lines_of_psychopy()),
}


@pytest.mark.parametrize(("name", "lines", "options"), SAMPLES.values(), ids=SAMPLES)
@pytest.mark.parametrize("compressed", [False, True])
def test_the_fixations_of_every_recording_are_found(root: Path, tmp_path: Path, name, lines, options, compressed):
    path = write_lines(tmp_path / "rec" / name, lines)
    if compressed:
        path.with_name(name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    check(table.read(root, samples=tmp_path / "rec", px_per_degree=40.0, **options))


FIXATION_FILES: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "EyeLink's own": ("s1.asc", files.eyelink_lines(), {}),
    "EyeLink, events alone": ("s1.asc", files.eyelink_lines(with_samples=False), {}),
    "EyeLink, both eyes": ("s1.asc", files.eyelink_lines(eyes="LEFT\tRIGHT"), {}),
    "Gazepoint": ("User 0_fixations.csv", files.gazepoint_rows(True), {"screen": SCREEN}),
    "Gazepoint's own in all samples": ("User 0_all_gaze.csv", files.gazepoint_rows(False), {"screen": SCREEN}),
    "Tobii's own in all samples": ("a.tsv", files.tobii_rows(), {}),
    "Tobii, rows of fixations": ("a.tsv", files.tobii_rows("MCSnorm", content="fixation rows"), {}),
    "Pupil Labs": ("fixations_on_surface_lung 1.csv", files.pupil_fixation_rows(), {}),
    "RealEye": ("fixations.csv", files.realeye_rows(), {}),
}


@pytest.mark.parametrize(("name", "lines", "options"), FIXATION_FILES.values(), ids=FIXATION_FILES)
@pytest.mark.parametrize("as_folder", [False, True])
def test_fixations_that_trackers_export_are_read_as_such(root: Path, tmp_path: Path, name, lines, options, as_folder):
    path = write_lines(tmp_path / "rec" / name, lines)
    check(table.read(root, fixations=path.parent if as_folder else path, **options))


OWN = "start_s=begin,duration_s=lasting"
OWN_TABLES: dict[str, tuple[tuple[float, float], dict[str, Any]]] = {
    "pixels": ((1, 1), {}),
    "percent": ((100 / WIDTH, 100 / HEIGHT), {"units": "percent"}),
    "fractions": ((1 / WIDTH, 1 / HEIGHT), {"units": "fraction"}),
}


@pytest.mark.parametrize(("scale", "options"), OWN_TABLES.values(), ids=OWN_TABLES)
@pytest.mark.parametrize("units", [("ms", None), ("ms", "ms")])
def test_a_table_of_the_users_own_is_read_in_its_units(root: Path, tmp_path: Path, scale, options, units):
    path = write_lines(tmp_path / "mine.csv", files.point_rows(scale))
    times = {"time_unit": units[0], "duration_unit": units[1]}
    check(table.read(root, fixations=path, columns=OWN, **options, **times))


def test_start_and_duration_may_have_different_units(root: Path, tmp_path: Path):
    rows = [f"{IMAGE},{each.x},{each.y},{each.start_s},{1000 * each.duration_s}" for each in FIXATIONS]
    path = write_lines(tmp_path / "mine.csv", ["image,x,y,start_s,duration_ms", *rows])
    columns = "duration_s=duration_ms"
    check(table.read(root, fixations=path, columns=columns))
    path = write_lines(tmp_path / "mine.csv", ["image,x,y,start_s,duration_s", *rows])
    check(table.read(root, fixations=path, duration_unit="ms"))
    with pytest.raises(DataError, match=r"last 400 s(.|\n)*--duration-unit ms"):
        table.read(root, fixations=path)


@pytest.mark.parametrize("origin", ["bottom-left", "centre"])
@pytest.mark.parametrize("units", ["screen_px", "screen_fraction", "screen_percent", "screen_mm", "px"])
def test_units_and_origins_combine(root: Path, tmp_path: Path, origin: str, units: str):
    rows = []
    for each in FIXATIONS:
        x, y, w, h = (each.x, each.y, WIDTH, HEIGHT) if units == "px" else (*on_screen(each.x, each.y), *files.SCREEN)
        x, y = (x, h - y) if origin == "bottom-left" else (x - w / 2, h / 2 - y)
        unit = {"screen_fraction": (w, h), "screen_percent": (w / 100, h / 100), "screen_mm": (4.0, 4.0)}
        per = unit.get(units, (1, 1))
        rows.append(f"{IMAGE},{x / per[0]},{y / per[1]},{each.start_s},{each.duration_s}")
    path = write_lines(tmp_path / "mine.csv", ["image,x,y,start_s,duration_s", *rows])
    options: dict[str, Any] = {"screen": None if units == "px" else SCREEN}
    options |= {"screen_mm": "400x225"} if units == "screen_mm" else {}
    check(table.read(root, fixations=path, units=units, origin=origin, **options))


# --- several recordings


def test_two_recordings_of_one_participant_are_two_readings(root: Path, tmp_path: Path):
    other = [(350.0, 40.0), (80.0, 260.0), (150.0, 150.0)]
    first, second = files.tobii_rows(), files.tobii_rows(recording="Recording2", points=other)
    write_lines(tmp_path / "rec" / "a.tsv", [*first, *second[1:]])
    source = table.read(root, samples=tmp_path / "rec", px_per_degree=40.0)
    check(source, n_readings=2)
    check(source, other, reading=1, n_readings=2)
    (case,) = (case for case in source.cases if case.readings)
    assert list(case.readings) == ["Anna Recording1", "Anna Recording2"]


def test_files_of_two_readers_are_two_readings(root: Path, tmp_path: Path):
    for name in ("User 0", "User 1"):
        write_lines(tmp_path / "rec" / f"{name}_all_gaze.csv", files.gazepoint_rows(False))
    for name in ("s1", "s2"):
        write_lines(tmp_path / "asc" / f"{name}.asc", files.eyelink_lines())
    for folder, names, options in (("rec", ["User 0", "User 1"], {"screen": SCREEN}), ("asc", ["s1", "s2"], {})):
        source = table.read(root, samples=tmp_path / folder, px_per_degree=40.0, **options)
        check(source, n_readings=2)
        assert sorted(name for case in source.cases for name in case.readings) == names


def test_samples_and_fixations_of_one_recording_are_not_added_up(root: Path, tmp_path: Path):
    write_lines(tmp_path / "rec" / "User 0_all_gaze.csv", files.gazepoint_rows(False))
    write_lines(tmp_path / "rec" / "User 0_fixations.csv", files.gazepoint_rows(True))
    source = table.read(root, samples=tmp_path / "rec", px_per_degree=40.0, screen=SCREEN)
    check(source)
    assert source.dropped["sample or fixation of a recording whose samples are read"] == 3
    check(table.read(root, fixations=tmp_path / "rec", screen=SCREEN), n_readings=1)


def test_files_that_are_no_recordings_are_named_and_skipped(root: Path, tmp_path: Path):
    rec = tmp_path / "rec"
    write_lines(rec / "s1.asc", files.eyelink_lines())
    write_lines(rec / "Data_Summary.csv", ["Media ID,Viewers", "0,1"])
    write_lines(rec / "notes.txt", ["calibrated twice"])
    (rec / "s1.edf").write_bytes(b"SR_RESEARCH\x00\x01")
    (rec / "photo.bin").write_bytes(bytes(range(256)))
    write_lines(rec / ".hidden.csv", ["t,x,y", "0,1,1"])
    source = table.read(root, samples=rec, px_per_degree=40.0)
    check(source)
    key = next(name for name in source.dropped if "not a recording" in name)
    assert source.dropped[key] == 4
    assert "Data_Summary.csv" in key


def test_an_image_that_the_recording_shows_stretched_is_counted(root: Path, tmp_path: Path):
    load = f"{LOAD} CENTER {IMAGE} 800 450 1600 900"
    lines = files.eyelink_lines(load=load, place=lambda x, y: (x * 4, y * 3))
    source = table.read(root, samples=write_lines(tmp_path / "a.asc", lines), px_per_degree=40.0)
    check(source)
    assert source.dropped["image whose shape on the screen, by the recording, is not its own"] == 1
