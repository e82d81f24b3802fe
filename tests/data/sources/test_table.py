import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.round_trip import check_gaze_on_spots, spot
from data.sources.test_folder import add_image, write_text
from ggcam.data import sources
from ggcam.data.sources import table
from ggcam.data.sources.coordinates import CoordinateSystem
from ggcam.errors import ConfigError, DataError, GGCamError, MissingFileError, TableError

SPOTS = {"x/a.png": (200, 160, 20, 60), "y/b.png": (180, 300, 150, 30), "y/c.png": (128, 128, 99, 99)}
SCREEN = (1920, 1080)


def write_spots(root):
    import cv2

    for name, shape in SPOTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), spot(*shape))
    return root


def on_screen(height, width, row, column):
    """Position of the centre of a pixel on the screen when the image is as large as it fits, centred."""
    ratio = min(SCREEN[0] / width, SCREEN[1] / height)
    left, top = (SCREEN[0] - ratio * width) / 2, (SCREEN[1] - ratio * height) / 2
    return left + ratio * (column + 0.5), top + ratio * (row + 0.5)


def place(units, height, width, row, column):
    if units.startswith("screen"):
        x, y = on_screen(height, width, row, column)
        return (x / SCREEN[0], y / SCREEN[1]) if units == "screen_fraction" else (x, y)
    return ((column + 0.5) / width, (row + 0.5) / height) if units == "fraction" else (column + 0.5, row + 0.5)


@pytest.mark.parametrize("units", ["px", "fraction", "screen_px", "screen_fraction"])
def test_fixations_are_drawn_on_the_right_pixel_and_cell(tmp_path, units):
    root = write_spots(tmp_path / "raw")
    rows = [f"{name},{x!r},{y!r}" for name, shape in SPOTS.items() for x, y in [place(units, *shape)]]
    write_text(root / "points.csv", "image,x,y", *rows)
    screen = "1920x1080" if units.startswith("screen") else None
    source = sources.read(root, units=units, screen=screen)
    assert source.name == "table"
    assert check_gaze_on_spots(source, tmp_path / "out") == 3


def samples(units, *shape, rate=100, seconds=0.5):
    """A fixation on the spot, after two samples aside that are too short to be one."""
    x, y = place(units, *shape)
    n = int(rate * seconds)
    return [(at / rate, x * (0.5 if at < 2 else 1), y) for at in range(n)]


def eyelink(root, both_eyes=False):
    for number, (name, shape) in enumerate(SPOTS.items()):
        stem = name.split("/")[-1].removesuffix(".png")
        lines = [
            "** CONVERTED FROM x.edf",
            "MSG\t100 DISPLAY_COORDS 0 0 1919 1079",
            "START\t100 \tLEFT\tRIGHT\tSAMPLES\tEVENTS" if both_eyes else "START\t100 \tLEFT\tSAMPLES\tEVENTS",
            "99\t5.0\t5.0\t1000.0" + ("\t5.0\t5.0\t1000.0\t....." if both_eyes else "\t..."),
        ]
        if number:  # the first file is named as its image, and has no message
            ratio = min(SCREEN[0] / shape[1], SCREEN[1] / shape[0])
            size = f"{ratio * shape[1]} {ratio * shape[0]}"
            lines.append(f"MSG\t100 !V IMGLOAD CENTER images\\{stem}.png 960 540 {size}")
        for t, x, y in samples("screen_px", *shape):
            eye = f"{x:.1f}\t{y:.1f}\t1000.0"
            second = "\t.\t.\t0.0\t....." if both_eyes else "\t..."
            lines.append(f"{round(100 + 1000 * t)}\t{eye}{second}")
        lost = "\t   .\t   .\t    0.0" * (2 if both_eyes else 1)
        lines += ["EFIX L 100 200 100 1 2 3", f"900{lost}\t...", "END\t300"]
        write_text(root / f"{stem if number == 0 else f'subject{number}'}.asc", *lines)


def gazepoint(root):
    rows = [
        f"{number},{name.split('/')[-1]},{t},{x!r},{y!r},1"
        for number, (name, shape) in enumerate(SPOTS.items())
        for t, x, y in samples("screen_fraction", *shape)
    ]
    rows.append("0,a.png,9.0,0.1,0.1,0")
    write_text(root / "all_gaze.csv", "MEDIA_ID,MEDIA_NAME,TIME(2026/01/01 10:00:00.000),BPOGX,BPOGY,BPOGV", *rows)


def tobii(root, comma=False):
    head = "Recording timestamp [μs]\tSensor\tParticipant name\tPresented Media name\tGaze point X [DACS px]\t"
    rows = [head + "Gaze point Y [DACS px]"]
    for name, shape in SPOTS.items():
        rows += [
            f"{round(1e6 * t)}\tEye Tracker\tP1\t{name.split('/')[-1]}\t{x:.3f}\t{y:.3f}".replace(".", ",").replace(
                ",png", ".png"
            )
            for t, x, y in samples("screen_px", *shape)
        ]
    rows += ["9000\t\tP1\ta.png\t\t", "9000\tMouse\tP1\ta.png\t7\t7", "9000\tEye Tracker\tP1\t\t8\t8"]
    write_text(root / "export.tsv", *rows)


def plain(root):
    for name, shape in SPOTS.items():
        rows = [f"{1000 * t},{x!r},{y!r},anna" for t, x, y in samples("px", *shape)]
        write_text(root / f"{name.split('/')[-1].removesuffix('.png')}.csv", "ms,px,py,reader", *rows)


RECORDERS = {
    "eyelink": (eyelink, {}),
    "eyelink, both eyes": (lambda root: eyelink(root, both_eyes=True), {}),
    "gazepoint": (gazepoint, {"screen": "1920x1080"}),
    "tobii": (tobii, {"screen": "1920x1080"}),
    "plain": (plain, {"columns": "t=ms, x=px, y=py", "time_unit": "ms"}),
}


@pytest.mark.parametrize(("write", "options"), RECORDERS.values(), ids=RECORDERS)
def test_a_fixation_in_raw_samples_is_drawn_on_the_right_pixel_and_cell(tmp_path, write, options):
    root = write_spots(tmp_path / "raw")
    (tmp_path / "rec").mkdir()
    write(tmp_path / "rec")
    source = sources.read(root, "table", samples=tmp_path / "rec", px_per_degree=40.0, **options)
    for case in source.cases:
        (gaze,) = case.readings.values()
        assert len(gaze) == 1
        assert gaze.duration_s[0] == pytest.approx(0.48, abs=0.03)
    assert check_gaze_on_spots(source, tmp_path / "out") == 3


def test_pixels_per_degree_grow_with_the_image(tmp_path):
    root = write_spots(tmp_path / "raw")
    gazepoint(tmp_path)
    source = sources.read(
        root, "table", samples=tmp_path / "all_gaze.csv", screen="1920x1080", px_per_degree=40.0, detect="idt"
    )
    assert source.cases[0].fixations.px_per_degree_x[0] == pytest.approx(40 * 200 / 1080)
    dwell = sources.read(root, "table", samples=tmp_path / "all_gaze.csv", screen="1920x1080", detect="dwell")
    assert [len(case.fixations) for case in dwell.cases] == [48, 50, 50]
    assert dwell.dropped == {"sample without gaze (the tracker lost the eye)": 1, "fixation off the image": 2}


def test_columns_times_readers_and_labels_are_read(tmp_path):
    root = write_spots(tmp_path / "raw")
    path = write_text(
        tmp_path / "mine.tsv",
        "file\tGX\tGY\tbegin\tlong\twho\tlabel",
        "a\t10\t20\t1500\t250\tanna\tmass",
        "y/b\t10\t20\t0\t250\tben\t",
        "nowhere\t1\t1\t0\t1\tben\t",
    )
    columns = "image=file, x=GX, y=GY, start_s=begin, duration_s=long, reader=who"
    source = table.read(root, fixations=path, columns=columns, time_unit="ms", px_per_degree=30.0)
    gaze = source.cases[0].readings["anna"]
    assert (gaze.start_s[0], gaze.duration_s[0], gaze.label[0], gaze.px_per_degree_y[0]) == (1.5, 0.25, "mass", 30)
    assert list(source.cases[1].readings) == ["ben"]
    assert source.dropped == {"fixation on an image that is not a case": 1, "case without gaze (kept)": 1}


def test_a_name_that_two_images_share_refers_to_neither(tmp_path):
    add_image(tmp_path, "x/a.png", "y/a.png", "y/b.png")
    write_text(tmp_path / "points.csv", "image,x,y", "a.png,1,1", "b,1,1", "y/a,2,2")
    source = table.read(tmp_path)
    assert [len(case.fixations) for case in source.cases] == [0, 1, 1]
    assert source.dropped["fixation on an image that is not a case"] == 1


def test_several_labels_per_image_are_read(tmp_path):
    add_image(tmp_path, "a.png", "b.png", "c.png")
    write_text(
        tmp_path / "labels.csv",
        "image,patient_id,label_mass,label_edema",
        "a.png,p,1,0",
        "b.png,p,,1",
        "c.png,q,0,0",
    )
    write_text(tmp_path / "points.csv", "image,x,y", "a,1,1")
    source = table.read(tmp_path)
    assert source.class_names == ("mass", "edema")
    assert [case.label for case in source.cases] == [(1, 0), (None, 1), (0, 0)]
    assert source.multi_label


def test_the_image_rectangle_on_the_screen_is_used(tmp_path):
    add_image(tmp_path, "x/a.png", "y/b.png", height=20, width=30)
    path = write_text(tmp_path / "gaze.csv", "image,x,y", "a,130,220")
    source = table.read(tmp_path, fixations=path, units="screen_px", image_rect=(100, 200, 160, 240))
    gaze = source.cases[0].fixations
    assert (gaze.x_px[0], gaze.y_px[0]) == (15, 10)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(8, 4000), st.integers(8, 4000)),
    st.tuples(st.integers(64, 4000), st.integers(64, 4000)),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_image_is_centred_on_the_screen_and_keeps_its_aspect(size, screen, at):
    place = CoordinateSystem("screen_px", screen_px=screen, px_per_degree=40.0)
    x, y = np.array([at[0] * screen[0], screen[0] / 2]), np.array([at[1] * screen[1], screen[1] / 2])
    x_px, y_px, degrees = place.to_image(x, y, np.array([size, size]))
    np.testing.assert_allclose((x_px[1], y_px[1]), (size[1] / 2, size[0] / 2))
    np.testing.assert_allclose(degrees[:, 0], degrees[:, 1])
    if at[0] != 0.5:
        np.testing.assert_allclose((x_px[1] - x_px[0]) / (x[1] - x[0]), degrees[0, 0] / 40, rtol=1e-6)
    corners, _, _ = place.to_image(np.array([0.0]), np.array([0.0]), np.array([size]))
    assert corners[0] <= 1e-6


# --- broken input


def points(*lines):
    return lambda root: write_text(root / "points.csv", *lines)


def recording(name, *lines):
    return lambda root: write_text(root / "rec" / name, *lines)


def labels(*lines):
    return lambda root: write_text(root / "labels.csv", *lines)


RAW = {"samples": "rec", "px_per_degree": 40.0}
FRACTIONS = [f"a,0.{n:02},0.5" for n in range(20)]
PIXELS = ["a,20,15", "b,15,11", "c,7,9"]
BROKEN = {
    "no points": (lambda root: None, {}, MissingFileError, "the table does not exist"),
    "no x": (points("image,u,y", "a,1,1"), {}, TableError, "no column x"),
    "mapped to nothing": (points("image,x,y", "a,1,1"), {"columns": "x=GX"}, TableError, "no column GX"),
    "an unknown name": (points("image,x,y"), {"columns": "column=GX"}, ConfigError, "names among image, x, y"),
    "no name": (points("image,x,y"), {"columns": "x"}, ConfigError, "NAME=NAME_IN_FILE"),
    "a word for x": (points("image,x,y", "a,left,1"), {}, TableError, r"x is not a finite(.|\n)*points\.csv:2"),
    "other images": (points("image,x,y", "q,1,1"), {}, TableError, "none of the images"),
    "shares for pixels": (points("image,x,y", *FRACTIONS), {}, ConfigError, "--units fraction"),
    "pixels for shares": (points("image,x,y", *PIXELS), {"units": "fraction"}, ConfigError, "--units px"),
    "far off": (
        points("image,x,y", *["a,500,600"] * 20),
        {},
        DataError,
        r"20 of 20 fixations \(100%\) cannot be used: a position off the image",
    ),
    "no screen": (points("image,x,y", "a,1,1"), {"units": "screen_px"}, ConfigError, "pass it, such as 1920x1080"),
    "no size": (points("image,x,y"), {"units": "screen_px", "screen": "wide"}, ConfigError, "WIDTHxHEIGHT"),
    "a place without a screen": (
        points("image,x,y"),
        {"image_rect": (0.0, 0.0, 1.0, 1.0)},
        ConfigError,
        "--image-rect",
    ),
    "a place without area": (
        points("image,x,y"),
        {"units": "screen_px", "image_rect": (5.0, 0.0, 1.0, 1.0)},
        ConfigError,
        "no area",
    ),
    "no degree": (points("image,x,y"), {"px_per_degree": 0.0}, ConfigError, "must be above 0"),
    "both": (points("image,x,y"), RAW | {"fixations": "points.csv"}, ConfigError, "fixations or from samples"),
    "no recording": (lambda root: (root / "rec").mkdir(exist_ok=True), RAW, MissingFileError, "no recording"),
    "no sample": (recording("a.asc", "MSG 1 hello"), RAW, DataError, "no samples"),
    "half a sample": (recording("a.asc", "100 5.0"), RAW, TableError, r"fewer than three(.|\n)*a\.asc:1"),
    "a word in a sample": (recording("a.asc", "100 5,0 3.0 1.0"), RAW, TableError, r"not a number(.|\n)*'5,0'"),
    "a clock that falls": (
        recording("a.asc", "100 5.0 3.0 1.0", "90 5.0 3.0 1.0"),
        RAW,
        TableError,
        r"not in order(.|\n)*a\.asc",
    ),
    "no screen in the file": (recording("a.asc", "100 5.0 3.0 1.0"), RAW, ConfigError, "size of the screen"),
    "no time": (recording("a.csv", "x,y", "1,2"), RAW, TableError, "no column t"),
    "no validity": (recording("a.csv", "TIME,BPOGX,BPOGY", "1,2,3"), RAW, TableError, "no column BPOGV"),
    "no clock": (recording("a.tsv", "Gaze point X\tGaze point Y", "1\t2"), RAW, TableError, "like recordingtimestamp"),
    "of no image": (recording("q.csv", "t,x,y", "1,2,3"), RAW, TableError, r"none of the images(.|\n)*q"),
    "no degrees": (recording("a.csv", "t,x,y", "0,2,3"), {"samples": "rec"}, ConfigError, "--px-per-degree"),
    "a label of two": (
        labels("image,label_m,label_e", "x/a.png,2,0"),
        {},
        TableError,
        r"label_m is not 1, 0 or empty(.|\n)*labels\.csv:2",
    ),
    "one column of several": (labels("image,label_m", "x/a.png,1"), {}, DataError, "at least two columns"),
}


@pytest.mark.parametrize(("spoil", "options", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(tmp_path, spoil, options, kind, message):
    add_image(tmp_path, "x/a.png", "x/b.png", "y/c.png")
    (tmp_path / "rec").mkdir()
    spoil(tmp_path)
    paths = {name: tmp_path / options[name] for name in ("samples", "fixations") if name in options}
    with pytest.raises(GGCamError, match=message) as caught:
        table.read(tmp_path, **options | paths)
    assert type(caught.value) is kind


def test_parquet_is_read(tmp_path):
    add_image(tmp_path, "x/a.png", "y/b.png")
    pd.DataFrame({"image": ["a"], "x": [1.5], "y": [2]}).to_parquet(tmp_path / "points.parquet")
    assert sources.read(tmp_path).cases[0].fixations.x_px.tolist() == [1.5]
