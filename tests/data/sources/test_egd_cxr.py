import math
import shutil

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.egd_fixture import Egd, three_cases
from ggcam.data.case import Region
from ggcam.data.images import read_image
from ggcam.data.sources import egd_cxr
from ggcam.errors import DataError, ImageError, MissingFileError


def read_back(egd, **options):
    return egd_cxr.read(egd.write(), **options)


def test_all_parts_of_the_layout_are_read(tmp_path):
    egd, ids = three_cases(tmp_path)
    source = read_back(egd)
    assert source.name == "egd_cxr"
    assert source.class_names == ("Normal", "CHF", "pneumonia")
    assert [case.case_id for case in source.cases] == ids
    assert [case.label for case in source.cases] == [2, 0, 1]
    assert [case.patient_id for case in source.cases] == ["90000001", "90000002", "90000003"]
    assert [case.split for case in source.cases] == [None] * 3
    assert source.dropped == {}
    for number, case in enumerate(source.cases):
        assert read_image(case.image).shape == (61, 50)
        assert list(case.readings) == ["1"]
        fixations = case.readings["1"]
        assert (fixations.x_px[0], fixations.y_px[0]) == (10.5 + number, 20.5 + number)
        assert (fixations.start_s[0], fixations.duration_s[0]) == (1.0, 0.3)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-3, 60), st.integers(-3, 70), st.floats(0, 60), st.sampled_from([0, 0.15, 0.3, 2.5])),
        max_size=30,
    )
)
def test_fixations_are_in_order_of_time_and_those_left_out_are_counted(tmp_path_factory, points):
    egd = Egd(tmp_path_factory.mktemp("egd"))
    ids = [egd.case("Normal"), egd.case("CHF")]
    points = [(x % 50 if len(points) >= 20 else x, y % 61 if len(points) >= 20 else y, s, d) for x, y, s, d in points]
    for number, (x, y, start, duration) in enumerate(points):
        egd.look(ids[number % 2], x, y, start, duration)
    source = read_back(egd)
    for which, case in enumerate(source.cases):
        mine = [point for number, point in enumerate(points) if number % 2 == which]
        kept = [(x, y, s, d) for x, y, s, d in mine if 0 <= x < 50 and 0 <= y < 61 and d > 0]
        kept.sort(key=lambda point: point[2])
        found = case.fixations
        np.testing.assert_allclose(found.x_px, [x + 0.5 for x, *_ in kept])
        np.testing.assert_allclose(found.y_px, [y + 0.5 for _, y, *_ in kept])
        np.testing.assert_allclose(found.start_s, [s for *_, s, _ in kept])
        np.testing.assert_allclose(found.duration_s, [d for *_, d in kept])
    left_out = sum(count for reason, count in source.dropped.items() if reason.startswith("fixation"))
    assert left_out + sum(len(case.fixations) for case in source.cases) == len(points)


def test_a_negative_coordinate_is_off_the_image_whatever_its_size(tmp_path):
    egd, ids = three_cases(tmp_path)
    for x, y in ((-1, -1), (-2, -3), (-1, 5), (50, 5), (5, 61), (5000, 5)):
        egd.look(ids[0], x, y)
    egd.look(ids[0], 49, 60)
    egd.look(ids[0], 0, 0)
    source = read_back(egd)
    assert source.dropped == {"fixation off the image": 6}
    assert sorted(source.cases[0].fixations.x_px) == [0.5, 10.5, 49.5]


def test_invalid_instant_and_empty_fixations_are_counted_separately(tmp_path):
    egd, ids = three_cases(tmp_path)
    egd.look(ids[0], 5, 5, valid=0)
    egd.look(ids[0], 5, 5, valid="")
    egd.look(ids[0], 5, 5, duration=0)
    egd.look(ids[0], 5, 5, duration=-0.1)
    egd.look(ids[0], "", "")
    egd.look(ids[0], 5, 5, duration="")
    egd.look(ids[0], "5.0", "5.0", valid="1.0")
    source = read_back(egd)
    assert source.dropped == {
        "invalid fixation (FPOGV)": 2,
        "fixation of duration 0 or less": 2,
        "fixation without position or duration": 2,
    }
    assert len(source.cases[0].fixations) == 2


def test_fixations_on_other_images_are_counted_by_reason(tmp_path):
    egd, ids = three_cases(tmp_path)
    nothing = egd.case("consolidation")
    egd.look(ids[0][:-5], 960, 540)
    egd.look("", "", "")
    egd.look("f" * 44, 3, 3)
    egd.look(nothing, 3, 3)
    # The values of rows that do not belong to a case are not parsed.
    egd.look(ids[0][:-5], "?", "?")
    source = read_back(egd)
    assert source.dropped == {
        "record in none of the three classes": 1,
        "fixation on a calibration image": 3,
        "fixation on an image that is not in the master sheet": 1,
        "fixation on an image that was left out": 1,
    }


def test_a_case_without_fixations_is_kept_without_readings(tmp_path):
    egd, _ = three_cases(tmp_path)
    silent = egd.case("CHF")
    egd.look(silent, -1, -1)
    source = read_back(egd)
    assert source.cases[3].readings == {}
    assert source.dropped == {"fixation off the image": 1, "case without gaze (kept)": 1}


def test_records_with_no_or_several_classes_short_ids_and_duplicates_are_counted(tmp_path):
    egd, ids = three_cases(tmp_path)
    egd.case()
    egd.case("Normal", "CHF")
    egd.case("Normal", "CHF", "pneumonia")
    egd.case("Normal", dicom_id="calibration")
    egd.records.append(egd.records[0])
    source = read_back(egd)
    assert [case.case_id for case in source.cases] == ids
    assert source.dropped == {
        "record in none of the three classes": 1,
        "record in several of the three classes": 2,
        "record whose dicom_id is not 44 characters long": 1,
        "duplicate record": 1,
    }


def test_blank_class_columns_mean_no(tmp_path):
    egd, _ = three_cases(tmp_path)
    egd.records[0].update({"Normal": "", "CHF": "", "pneumonia": "1.0"})
    assert read_back(egd).cases[0].label == 2


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_quoted_line_breaks_do_not_split_a_record(tmp_path, newline):
    egd, ids = three_cases(tmp_path)
    root = egd.write(newline=newline)
    assert len((root / "master_sheet.csv").read_text().splitlines()) > 4
    assert [case.case_id for case in egd_cxr.read(root).cases] == ids


def test_a_zipped_table_of_fixations_is_read(tmp_path):
    egd, _ = three_cases(tmp_path)
    root = egd.write(zipped=True)
    assert egd_cxr.can_read(root)
    assert [len(case.fixations) for case in egd_cxr.read(root).cases] == [1, 1, 1]


# --- screen geometry


def test_pixels_per_degree_follow_the_screen(tmp_path):
    egd = Egd(tmp_path)
    dicom_id = egd.case("Normal", height=3056, width=2544)
    egd.look(dicom_id, 5, 5)
    fixations = read_back(egd).cases[0].fixations
    # 1 degree at 65 cm is 11.345 mm, 36.48 pixels of 0.311 mm; one shows 2544 / 852 and 3056 / 1080 image pixels.
    screen_px = 2 * 650 * math.tan(math.radians(0.5)) / 0.311
    assert screen_px == pytest.approx(36.48, abs=0.01)
    assert fixations.px_per_degree_x[0] == pytest.approx(screen_px * 2.986, rel=1e-3)
    assert fixations.px_per_degree_y[0] == pytest.approx(screen_px * 2.830, rel=1e-3)


@pytest.mark.parametrize("old_names", [False, True])
@pytest.mark.parametrize(("size", "pads"), [((3056, 2544), (0, 0, 534, 534)), ((2544, 3056), (86, 86, 448, 448))])
def test_padding_under_either_name_equals_the_computed_one(tmp_path, old_names, size, pads):
    egd = Egd(tmp_path)
    names = ("image_top_pad", "image_bottom_pad", "image_left_pad", "image_right_pad")
    for columns in ({}, dict(zip(names, pads, strict=True))):
        egd.look(egd.case("Normal", height=size[0], width=size[1], **columns), 5, 5)
    renamed = {name: name.removesuffix("_pad") for name in names} if old_names else {}
    by_rule, by_pads = egd_cxr.read(egd.write(renamed)).cases
    assert by_rule.fixations.px_per_degree_x == pytest.approx(by_pads.fixations.px_per_degree_x)
    assert by_rule.fixations.px_per_degree_y == pytest.approx(by_pads.fixations.px_per_degree_y)


def test_padding_in_the_sheet_overrides_the_computed_one(tmp_path):
    egd = Egd(tmp_path)
    pads = {"image_top_pad": 0, "image_bottom_pad": 0, "image_left_pad": 480, "image_right_pad": 480}
    egd.look(egd.case("Normal", height=64, width=48, **pads), 5, 5)
    screen_px = 2 * 650 * math.tan(math.radians(0.5)) / 0.311
    assert read_back(egd).cases[0].fixations.px_per_degree_x[0] == pytest.approx(screen_px * 48 / 960)


def test_pixels_per_degree_grow_with_the_viewing_distance(tmp_path):
    egd, _ = three_cases(tmp_path)
    root = egd.write()
    near, far = (egd_cxr.read(root, viewing_distance_cm=cm).cases[0].fixations for cm in (50, 100))
    np.testing.assert_allclose(far.px_per_degree_x, 2 * near.px_per_degree_x)
    np.testing.assert_array_equal(far.x_px, near.x_px)


# --- regions and masks


def test_boxes_are_in_the_order_x1_x2_y1_y2(tmp_path):
    egd, ids = three_cases(tmp_path)
    egd.boxes = [
        [ids[0], "left lung", 1.5, 20.0, 3.0, 44.25],
        [ids[0], "cardiac silhouette", 10, 30, 20, 50],
        [ids[0], "trachea", 10, 10, 20, 50],
        [ids[0], "right lung", "", 30, 20, 50],
        ["f" * 44, "left lung", 1, 2, 3, 4],
    ]
    source = read_back(egd)
    assert source.cases[0].regions == (
        Region("left lung", "box", 1.5, 3.0, 20.0, 44.25),
        Region("cardiac silhouette", "box", 10, 20, 30, 50),
    )
    assert source.dropped == {
        "region of an image that is not a case (bounding_boxes.csv)": 1,
        "region without area (bounding_boxes.csv)": 2,
    }


def test_findings_follow_the_boxes(tmp_path):
    egd, ids = three_cases(tmp_path)
    egd.boxes = [[ids[1], "left lung", 1, 20, 3, 44]]
    egd.findings = [[ids[1], "consolidation", "ellipse", 5, 6, 7, 8.5], [ids[1], "marker", "box", 0, 0, 4, 4]]
    assert read_back(egd).cases[1].regions == (
        Region("left lung", "box", 1, 3, 20, 44),
        Region("consolidation", "ellipse", 5, 6, 7, 8.5),
        Region("marker", "box", 0, 0, 4, 4),
    )


@pytest.mark.parametrize("spelling", ["mediastanum", "mediastinum"])
def test_masks_are_found_in_either_spelling(tmp_path, spelling):
    egd, ids = three_cases(tmp_path)
    folder = tmp_path / "audio_segmentation_transcripts" / ids[0]
    folder.mkdir(parents=True)
    for name in ("left_lung", "right_lung", spelling, "aortic_knob"):
        cv2.imwrite(str(folder / f"{name}.png"), np.zeros((61, 50), np.uint8))
    source = read_back(egd)
    assert source.cases[0].masks == {
        "left_lung": folder / "left_lung.png",
        "right_lung": folder / "right_lung.png",
        "mediastinum": folder / f"{spelling}.png",
    }
    assert source.cases[1].masks == {}


# --- images


@pytest.mark.parametrize("files", ["files", ""])
@pytest.mark.parametrize("suffix", [".dcm", ".jpg"])
def test_images_may_be_elsewhere_with_or_without_files_as_dicom_or_jpeg(tmp_path, files, suffix):
    root, elsewhere = tmp_path / "egd", tmp_path / "mimic"
    root.mkdir()
    egd, ids = three_cases(root)
    shutil.move(root / "files", elsewhere / "files")
    if suffix == ".jpg":
        for path in list(elsewhere.rglob("*.dcm")):
            path.unlink()
            cv2.imwrite(str(path.with_suffix(".jpg")), np.zeros((61, 50), np.uint8))
    source = read_back(egd, images=elsewhere if files else elsewhere / "files")
    assert [case.image.suffix for case in source.cases] == [suffix] * 3
    assert [case.image.stem for case in source.cases] == ids


def test_missing_images_are_listed_together_or_left_out(tmp_path):
    egd, ids = three_cases(tmp_path)
    egd.look(egd.case("CHF", image=False), 1, 1)
    egd.look(egd.case("CHF", image=False), 1, 1)
    root = egd.write()
    with pytest.raises(MissingFileError, match="2 of 5 images are missing") as caught:
        egd_cxr.read(root)
    assert "00000004-00000004" in str(caught.value)
    assert "00000005-00000005" in str(caught.value)
    assert "--images" in str(caught.value)
    source = egd_cxr.read(root, skip_missing=True)
    assert [case.case_id for case in source.cases] == ids
    assert source.dropped == {"case whose image is missing": 2, "fixation on an image that was left out": 2}


def test_unreadable_images_are_listed_together_or_left_out(tmp_path):
    egd, ids = three_cases(tmp_path)
    root = egd.write()
    broken = root / egd.records[1]["path"]
    broken.write_bytes(b"")
    with pytest.raises(ImageError, match="1 of 3 images cannot be read") as caught:
        egd_cxr.read(root)
    assert str(broken) in str(caught.value)
    source = egd_cxr.read(root, skip_missing=True)
    assert [case.case_id for case in source.cases] == [ids[0], ids[2]]
    assert source.dropped == {"case whose image cannot be read": 1, "fixation on an image that was left out": 1}


def test_gaze_that_does_not_fit_the_images_is_refused(tmp_path):
    egd, ids = three_cases(tmp_path)
    for number in range(30):
        egd.look(ids[0], 1000 + number, 2000)
    with pytest.raises(DataError, match="91% of the fixations lie off their images") as caught:
        read_back(egd)
    assert "resized" in str(caught.value)


# --- broken input
