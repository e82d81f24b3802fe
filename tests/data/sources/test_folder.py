import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.dicom_fixture import write_dicom
from ggcam.data.images import read_image
from ggcam.data.sources import folder
from ggcam.errors import DataError, GGCamError, MissingFileError, TableError


def add_image(root, *names, height=20, width=30):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".dcm":
            write_dicom(path, np.full((height, width), 7, np.uint16))
        else:
            cv2.imwrite(str(path), np.full((height, width), 7, np.uint8))


def write_text(path, *lines):
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def classes(tmp_path):
    """Two images per class, of every kind."""
    add_image(tmp_path, "sick/a.png", "sick/b.jpg", "healthy/a.jpeg", "healthy/c.dcm")
    return tmp_path


@pytest.fixture
def listed_images(tmp_path):
    """Three images and a labels.csv."""
    add_image(tmp_path, "a.png", "deep/er/b.jpg", "c.tif")
    write_text(tmp_path / "labels.csv", "image,label", "c.tif,sick", "deep/er/b.jpg,healthy", "a.png,sick")
    return tmp_path


def test_each_folder_is_a_class(classes):
    source = folder.read(classes)
    assert source.name == "folder"
    assert source.class_names == ("healthy", "sick")
    assert [(case.case_id, case.label) for case in source.cases] == [
        ("healthy_a", 0),
        ("healthy_c", 0),
        ("sick_a", 1),
        ("sick_b", 1),
    ]
    assert [case.patient_id for case in source.cases] == [case.case_id for case in source.cases]
    assert all(read_image(case.image).shape == (20, 30) for case in source.cases)
    assert source.dropped == {}


def test_other_images_and_hidden_ones_are_counted(classes):
    (classes / "empty").mkdir()
    add_image(classes, "stray.png", "sick/deeper/d.png", ".cache/x.png", "sick/.thumb.png")
    write_text(classes / "sick" / "notes.txt", "no image")
    source = folder.read(classes)
    assert len(source.cases) == 4
    assert source.dropped == {
        "image outside the class folders": 2,
        "folder without images directly in it": 1,
        "hidden image file": 2,
    }


def test_a_table_defines_the_classes(listed_images):
    source = folder.read(listed_images)
    assert source.class_names == ("healthy", "sick")
    assert [(case.case_id, case.label) for case in source.cases] == [("c", 1), ("deep_er_b", 0), ("a", 1)]
    assert source.dropped == {}


def test_patients_and_splits_are_taken_from_the_table(listed_images):
    write_text(
        listed_images / "labels.csv",
        "image,label,patient_id,split,age",
        "c.tif,sick,p1,Train,50",
        "deep/er/b.jpg,healthy,p1,validate,51",
        "a.png,sick,,,52",
    )
    cases = folder.read(listed_images).cases
    assert [case.patient_id for case in cases] == ["p1", "p1", "a"]
    assert [case.split for case in cases] == ["train", "valid", None]


def test_a_table_may_be_elsewhere_and_be_parquet(listed_images, tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "mine.parquet"
    pd.DataFrame({"image": ["a.png", "c.tif"], "label": [1, 0]}).to_parquet(path)
    source = folder.read(listed_images, labels=path)
    assert source.class_names == ("0", "1")
    assert [case.label for case in source.cases] == [1, 0]
    assert source.dropped == {"image that mine.parquet does not list": 1}


def test_whole_numbers_are_sorted_as_numbers(tmp_path):
    add_image(tmp_path, *(f"{number}.png" for number in (10, 9, 2)))
    write_text(tmp_path / "labels.csv", "image,label", "10.png,10", "9.png,9", "2.png,2")
    source = folder.read(tmp_path)
    assert source.class_names == ("2", "9", "10")
    assert [case.label for case in source.cases] == [2, 1, 0]


def test_windows_paths_and_paths_with_a_dot_are_read(listed_images):
    write_text(listed_images / "labels.csv", "\ufeffimage , label", "deep\\er\\b.jpg , healthy", "./a.png,sick")
    assert [case.case_id for case in folder.read(listed_images).cases] == ["deep_er_b", "a"]


def test_odd_characters_are_replaced_in_case_ids(tmp_path):
    add_image(tmp_path, "röntgen (1)/Bild 7.v2.png", "b/x.png")
    source = folder.read(tmp_path)
    assert {case.case_id for case in source.cases} == {"röntgen__1__Bild_7.v2", "b_x"}


def test_unlisted_images_and_duplicate_rows_are_counted(listed_images):
    write_text(listed_images / "labels.csv", "image,label", "a.png,x", "a.png,x", "c.tif,y")
    source = folder.read(listed_images)
    assert source.dropped == {"duplicate row": 1, "image that labels.csv does not list": 1}


def test_missing_images_are_listed_together_or_left_out(listed_images):
    (listed_images / "a.png").unlink()
    (listed_images / "c.tif").unlink()
    add_image(listed_images, "d.png")
    write_text(listed_images / "labels.csv", "image,label", "a.png,x", "c.tif,x", "deep/er/b.jpg,x", "d.png,y")
    with pytest.raises(MissingFileError, match="2 of 4 images are missing") as caught:
        folder.read(listed_images)
    assert "a.png" in str(caught.value)
    source = folder.read(listed_images, skip_missing=True)
    assert [case.case_id for case in source.cases] == ["deep_er_b", "d"]
    assert source.dropped == {"case whose image is missing": 2}


# --- gaze


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-2, 32), st.floats(-2, 22), st.floats(0, 9), st.sampled_from([0, 0.2, 1.5]), st.booleans()),
        max_size=18,
    )
)
def test_fixations_are_in_order_of_time_and_those_left_out_are_counted(tmp_path_factory, points):
    root = tmp_path_factory.mktemp("folder")
    add_image(root, "x/a.png", "y/b.png")
    lines = [f"{'x/a.png' if a else 'y/b.png'},{x!r},{y!r},{s!r},{d}" for x, y, s, d, a in points]
    write_text(root / "fixations.csv", "image,x_px,y_px,start_s,duration_s", *lines)
    if points and not any(0 <= x < 30 and 0 <= y < 20 and d > 0 for x, y, _, d, _ in points):
        with pytest.raises(DataError, match="cannot be used"):
            folder.read(root)
        return
    source = folder.read(root)
    for case, first in zip(source.cases, (True, False), strict=True):
        kept = [(x, y, s, d) for x, y, s, d, a in points if a == first and 0 <= x < 30 and 0 <= y < 20 and d > 0]
        kept.sort(key=lambda point: point[2])
        found = case.fixations
        np.testing.assert_array_equal(
            np.stack([found.x_px, found.y_px, found.start_s, found.duration_s], axis=1), np.array(kept).reshape(-1, 4)
        )
    left_out = sum(count for reason, count in source.dropped.items() if reason.startswith("fixation"))
    assert left_out + sum(len(case.fixations) for case in source.cases) == len(points)


def test_fixations_without_duration_have_equal_weight(classes):
    write_text(classes / "fixations.csv", "image,x_px,y_px", "sick/a.png,3.25,4.5", "sick/a.png,1,2")
    source = folder.read(classes)
    fixations = source.cases[2].readings["1"]
    assert fixations.x_px.tolist() == [3.25, 1.0]
    assert fixations.duration_s.tolist() == [1.0, 1.0]
    assert np.isnan(fixations.start_s).all()
    assert np.isnan(fixations.px_per_degree_x).all()
    assert source.dropped == {"case without gaze (kept)": 3}


def test_each_reader_is_one_reading(classes):
    write_text(
        classes / "fixations.csv",
        "image,x_px,y_px,start_s,reader",
        "sick/a.png,1,1,2,anna",
        "sick/a.png,2,2,1,ben",
        "sick/a.png,3,3,1,anna",
        "sick/a.png,4,4,1,",
    )
    readings = folder.read(classes).cases[2].readings
    assert {name: reading.x_px.tolist() for name, reading in readings.items()} == {
        "1": [4.0],
        "anna": [3.0, 1.0],
        "ben": [2.0],
    }


def test_gaze_may_be_elsewhere_and_be_parquet(classes, tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "gaze.parquet"
    table = pd.DataFrame({"image": pd.Categorical(["sick/b.jpg"]), "x_px": [0.1], "y_px": [2], "duration_s": [None]})
    table = pd.concat([table, table.assign(duration_s=0.25)])
    table.to_parquet(path)
    source = folder.read(classes, fixations=path)
    assert source.cases[3].fixations.x_px.tolist() == [0.1]
    assert source.dropped == {"case without gaze (kept)": 3, "fixation without position or duration": 1}


def test_gaze_on_other_images_and_off_the_image_is_counted(classes):
    (classes / "healthy" / "a.jpeg").write_bytes(b"")
    write_text(
        classes / "fixations.csv",
        "image,x_px,y_px",
        "nowhere.png,1,1",
        "sick/a.png,1,1",
        "sick/a.png,30,1",
        "sick/a.png,,1",
        "healthy/a.jpeg,1,1",
    )
    assert folder.read(classes).dropped == {
        "fixation on an image that is not a case": 1,
        "fixation on an image that cannot be read": 1,
        "fixation without position or duration": 1,
        "fixation off the image": 1,
        "case without gaze (kept)": 3,
    }


# --- broken input


def labels(*lines):
    return lambda root: write_text(root / "labels.csv", *lines)


def gaze(*lines):
    return lambda root: write_text(root / "fixations.csv", *lines)


def nested(root):
    for name in ("sick", "healthy"):
        (root / "train").mkdir(exist_ok=True)
        (root / name).rename(root / "train" / name)


BROKEN = {
    "nothing there": (lambda root: [p.unlink() for p in root.rglob("*.*")], DataError, "got: no images"),
    "classes too deep": (nested, DataError, r"images elsewhere: train/healthy/a\.jpeg"),
    "one class": (lambda root: [p.unlink() for p in (root / "sick").iterdir()], DataError, "at least two classes"),
    "one id for two": (lambda root: add_image(root, "sick/a.jpg"), DataError, r"sick/a\.jpg, sick/a\.png"),
    "no label column": (labels("image,class", "sick/a.png,1"), TableError, "no column label"),
    "empty table": (labels("image,label"), DataError, "at least two classes"),
    "another separator": (labels("image|label", "sick/a.png|1"), TableError, r"image\|label"),
    "no image": (labels("image,label", "sick/a.png,1", ",2"), TableError, r"no image(.|\n)*labels\.csv:3"),
    "no label": (labels("image,label", "sick/a.png,"), TableError, r"no label(.|\n)*labels\.csv:2"),
    "contradiction": (labels("image,label", "sick/a.png,1", "sick/a.png,2"), TableError, r"twice(.|\n)*labels\.csv:3"),
    "absolute path": (labels("image,label", "/sick/a.png,1"), TableError, r"outside the folder(.|\n)*labels\.csv:2"),
    "path that climbs": (labels("image,label", "../a.png,1"), TableError, "outside the folder"),
    "no such image": (labels("image,label", "sick/q.png,1", "sick/a.png,2"), MissingFileError, "1 of 2 images"),
    "unknown split": (labels("image,label,split", "sick/a.png,1,dev"), TableError, r"unknown split(.|\n)*csv:2"),
    "ragged row": (labels("image,label", "sick/a.png,1,2"), TableError, r"cannot be read(.|\n)*Row #2"),
    "gaze without place": (gaze("image,x,y", "sick/a.png,1,2"), TableError, "no column x_px, y_px"),
    "word for a place": (gaze("image,x_px,y_px", "sick/a.png,1,b"), TableError, r"y_px is not(.|\n)*fixations\.csv:2"),
    "gaze on other images": (gaze("image,x_px,y_px", "a.png,1,2"), TableError, r"healthy/a\.jpeg(.|\n)*a\.png"),
    "gaze of another size": (
        gaze("image,x_px,y_px", *["sick/a.png,500,600"] * 20, "sick/a.png,1,1"),
        DataError,
        r"20 of 21 fixations \(95%\) cannot be used: a position off the image(.|\n)*not resized ones",
    ),
    "no parquet": (lambda root: write_text(root / "fixations.parquet", "text"), TableError, "cannot be read"),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(classes, spoil, kind, message):
    spoil(classes)
    with pytest.raises(GGCamError, match=message) as caught:
        folder.read(classes)
    assert type(caught.value) is kind


def test_a_missing_folder_or_table_is_refused(classes):
    with pytest.raises(MissingFileError, match="the folder does not exist"):
        folder.read(classes / "nowhere")
    with pytest.raises(MissingFileError, match="the table does not exist"):
        folder.read(classes, labels=classes / "nowhere.csv")
    with pytest.raises(MissingFileError, match="the table does not exist"):
        folder.read(classes, fixations=classes / "nowhere.csv")


def test_real_x_rays_are_read_with_their_patients(real_data):
    source = folder.read(real_data / "paediatric_pneumonia")
    assert source.class_names == ("bacterial", "normal", "viral")
    assert len(source.cases) == 960
    assert [sum(case.label == label for case in source.cases) for label in range(3)] == [320, 320, 320]
    assert len({case.patient_id for case in source.cases}) == 729
    assert source.dropped == {}
    assert read_image(source.cases[0].image).dtype == np.uint8
