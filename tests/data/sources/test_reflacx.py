import numpy as np
import pytest

from data.sources.reflacx_fixture import Reflacx
from data.sources.round_trip import check_gaze_on_spots, spot
from ggcam.data import sources
from ggcam.data.case import Region
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.sources import reflacx
from ggcam.data.sources.reflacx_labels import CLASS_NAMES
from ggcam.errors import ConfigError, DataError, GGCamError, ImageError, MissingFileError, TableError

BLACK = np.zeros((60, 50), np.uint8)


def present(case):
    return {name for name, value in zip(CLASS_NAMES, case.label, strict=True) if value == 1}


def unknown(case):
    return {name for name, value in zip(CLASS_NAMES, case.label, strict=True) if value is None}


@pytest.fixture
def data(tmp_path):
    """One image with two readings in phase 1, one in phase 2, and one in phase 3 whose gaze was discarded."""
    made = Reflacx(tmp_path)
    first = made.image(BLACK)
    a = made.reading(first, 1, Mass=2, Nodule=4, Pleural_effusion=5, Quality_issue=True, Fibrosis=3)
    b = made.reading(first, 1, Nodule=1, Support_devices=True, Airway_wall_thickening=5)
    c = made.reading(made.image(BLACK), 2, split="validate", Enlarged_hilum=3, Other="wire|coin", Pneumothorax=2)
    d = made.reading(made.image(BLACK), 3, split="test", discarded=True, Atelectasis=5)
    made.look(a, 10, 20, start=-0.5, end=-0.1)
    made.look(a, 11, 20, start=2.0, end=2.25)
    made.look(b, 12, 20)
    made.look(c, 13, 20)
    made.draw(a, (4, 6, 20, 30), 4, "Nodule", "Mass")
    made.draw(a, (4, 6, 20, 30), 2, "Nodule")
    made.draw(b, (1, 2, 3, 4), 5, "Airway wall thickening")
    made.draw(c, (1, 2, 3, 4), 3, "Enlarged hilum", "Pleural abnormality")
    made.draw(d, (5, 6, 7, 8), 5, "Atelectasis")
    made.chests[b] = (4, 5, 48, 56)
    return made


def test_all_parts_of_the_layout_are_read(data):
    source = sources.read(data.write())
    assert (source.name, source.class_names, source.multi_label) == ("reflacx", CLASS_NAMES, True)
    first, second, third = source.cases
    assert [len(case.readings) for case in source.cases] == [2, 1, 0]
    assert [case.split for case in source.cases] == ["train", "valid", "test"]
    assert [case.patient_id for case in source.cases] == ["90000001", "90000002", "90000003"]
    early, late = first.readings.values()
    np.testing.assert_allclose(early.x_px, [10.5, 11.5])
    np.testing.assert_allclose(early.start_s, [-0.5, 2.0])
    np.testing.assert_allclose(early.duration_s, [0.4, 0.25])
    assert set(early.px_per_degree_x) == {20.0}
    assert set(early.px_per_degree_y) == {21.0}
    assert late.x_px.tolist() == [12.5]
    assert early.label.tolist() == ["", ""]
    assert source.dropped == {
        "ellipse with a certainty below 3": 1,
        "ellipse without a label that is a class": 1,
        "reading whose gaze the authors discarded (regions kept)": 1,
        "case without gaze (kept)": 1,
    }
    assert second.regions[:2] == (
        Region("Enlarged hilum", "ellipse", 1, 2, 3, 4),
        Region("Pleural abnormality", "ellipse", 1, 2, 3, 4),
    )
    assert third.regions == (Region("Atelectasis", "ellipse", 5, 6, 7, 8), Region("chest", "box", 2, 3, 46, 54))


def test_labels_of_phase_1_are_mapped_to_those_of_the_other_phases(data):
    first, second, third = sources.read(data.write()).cases
    # At least half of the readings; the higher of two certainties; both labels of an ellipse are one.
    assert present(first) == {
        "Lung nodule or mass", "Pleural abnormality", "Interstitial lung disease", "Support devices",
    }  # fmt: skip
    assert unknown(first) == {"Enlarged hilum", "Hiatal hernia"}
    assert first.regions == (
        Region("Lung nodule or mass", "ellipse", 4, 6, 20, 30),
        Region("chest", "box", 3, 4, 47, 55),
    )
    assert (present(second), unknown(second)) == ({"Enlarged hilum"}, set())
    assert present(third) == {"Atelectasis"}


@pytest.mark.parametrize(
    ("certainty", "expected"), [(1, {"Enlarged hilum", "Pneumothorax"}), (3, {"Enlarged hilum"}), (4, set())]
)
def test_min_certainty_is_the_threshold_of_a_present_class(data, certainty, expected):
    assert present(reflacx.read(data.write(), min_certainty=certainty).cases[1]) == expected


def test_separate_readings_are_one_case_each(data):
    source = reflacx.read(data.write(), readings="separate")
    assert [case.case_id for case in source.cases] == ["P101R000001", "P102R000002", "P203R000003", "P300R000004"]
    assert [case.patient_id[-1] for case in source.cases] == ["1", "1", "2", "3"]
    assert [set(case.readings) for case in source.cases[:2]] == [{"P101R000001"}, {"P102R000002"}]
    assert "Support devices" in present(source.cases[1])
    assert "Lung nodule or mass" not in present(source.cases[1])
    assert source.cases[1].regions == (Region("chest", "box", 4, 5, 48, 56),)


def test_phases_are_selected(data):
    assert len(reflacx.read(data.write(), phases=(2, 3)).cases) == 2
    with pytest.raises(ConfigError, match=r"unknown phase(.|\n)*any of 1, 2 and 3"):
        reflacx.read(data.root, phases=(4,))


def test_the_folder_may_be_nested_and_images_may_be_elsewhere(data, tmp_path):
    data.main = "reflacx-xray-localization-1.0.0/main_data"
    root = data.write()
    assert sources.detect(root) == "reflacx"
    (root / "files").rename(tmp_path / "flat")
    for at, image in enumerate(sorted((tmp_path / "flat").rglob("*.dcm"))):
        image.rename(tmp_path / "flat" / (image.name if at else image.with_suffix(".jpg").name))
    assert len(reflacx.read(root, images=tmp_path / "flat").cases) == 3


def test_fixations_are_drawn_on_the_right_pixel_and_cell_under_zoom_and_pan(tmp_path):
    data = Reflacx(tmp_path / "raw")
    for row, column, height, width in ((20, 60, 200, 160), (150, 30, 180, 300), (99, 99, 128, 128)):
        reading_id = data.reading(data.image(spot(height, width, row, column)), 3)
        data.look(reading_id, column, row)
        shown = dict(zip(("xmin", "ymin", "xmax", "ymax"), (column - 9, row - 9, column + 30, row + 30), strict=True))
        zoom = {f"{edge}_shown_from_image": value for edge, value in shown.items()}
        data.look(reading_id, column, row, start=2, end=3, **zoom)
        # On the black background or on buttons: a part of the image that was not displayed.
        data.look(reading_id, column - 25, row, start=4, end=5, **zoom)
    source = reflacx.read(data.write())
    assert source.dropped["fixation off the displayed part of the image"] == 3
    assert check_gaze_on_spots(source, tmp_path / "out") == 3


def test_fixations_within_half_a_degree_of_the_displayed_part_are_kept(data):
    reading_id = "P203R000003"
    for x in (24, 25, 36, 39, 40, 41):
        data.look(reading_id, x, 20, xmin_shown_from_image=35)
    data.look(reading_id, 39, 20, xmin_shown_from_image="")
    source = reflacx.read(data.write())
    assert source.cases[1].fixations.x_px.tolist() == [13.5, 25.5, 36.5, 39.5, 40.5, 41.5, 39.5]
    assert source.dropped["fixation off the displayed part of the image"] == 1


def test_gaze_off_the_image_is_counted(data):
    for x, y in ((-5, 20), (50, 20), (10, 60), (49, 59)):
        data.look("P203R000003", x, y)
    source = reflacx.read(data.write())
    assert source.dropped["fixation off the image"] == 3


def say(data, reading_id, start, text):
    for at, word in enumerate(text.split()):
        data.words[reading_id].append((word, f"{start + 0.5 * at:.3f}", f"{start + 0.5 * at + 0.4:.3f}"))


def test_fixations_are_labelled_by_the_dictation_with_a_window(data):
    reading_id = "P203R000003"
    say(data, reading_id, 10.0, "There is a large left pleural effusion . No pneumothorax . Enlarged hilum")
    for start in (1.0, 8.0, 11.0, 14.0, 16.0, 30.0):
        data.look(reading_id, 20, 20, start=start, end=start + 0.3)
    gaze = reflacx.read(data.write(), dictation_window_s=3).cases[1].fixations
    assert dict(zip(gaze.start_s.tolist(), gaze.label.tolist(), strict=True)) == {
        1.0: "",
        8.0: "",
        11.0: "Pleural abnormality",
        14.0: "Enlarged hilum",
        16.0: "Enlarged hilum",
        30.0: "",
    }
    assert set(reflacx.read(data.root).cases[1].fixations.label) == {""}


def test_findings_that_a_reader_names_are_read_with_their_place(data):
    reading_id = "P203R000003"
    say(data, reading_id, 10.0, "There is a large left pleural effusion . No pneumothorax . Nodule in the right apex .")
    data.words[reading_id].append(("edema", "", ""))
    data.look(reading_id, 20, 20)
    source = reflacx.read(data.write())
    (mentions,) = [case.mentions[reading_id] for case in source.cases if reading_id in case.mentions]
    assert [(mention.finding, mention.side, mention.height) for mention in mentions] == [
        ("Pleural abnormality", "left", ""),
        ("Pleural abnormality", "left", ""),
        ("Lung nodule or mass", "right", "upper"),
    ]
    assert [mention.start_s for mention in mentions] == [12.5, 13.0, 15.5]
    assert source.dropped["mention of a finding without a time"] == 1
    (data.root / "main_data" / reading_id / "timestamps_transcription.csv").unlink()
    silent = reflacx.read(data.root)
    assert silent.dropped["reading without dictation (kept)"] == 1
    assert not any(reading_id in case.mentions for case in silent.cases)
    with pytest.raises(MissingFileError, match="timestamps_transcription"):
        reflacx.read(data.root, dictation_window_s=1)


def test_a_time_that_is_no_time_of_a_reading_is_refused(data):
    data.words["P203R000003"].append(("edema", "1e9", "1e9"))
    with pytest.raises(TableError, match=r"is not a time of a reading(.|\n)*transcription.csv:2"):
        reflacx.read(data.write())


def test_labels_of_fixations_reach_the_prepared_table(data, tmp_path):
    say(data, "P203R000003", 1.5, "atelectasis")
    source = reflacx.read(data.write(), dictation_window_s=1)
    prepared = prepare_source(source, tmp_path / "out", PrepareConfig(size="64x64", split="source", workers=1))
    table = prepared.fixations.set_index("case_id")
    assert table.loc[source.cases[1].case_id, "label"] == "Atelectasis"
    assert prepared.multi_label
    assert np.isnan(prepared.label_matrix[0, CLASS_NAMES.index("Enlarged hilum")])


def test_missing_images_and_readings_are_left_out_with_skip_missing(data):
    root = data.write()
    next(root.rglob("00000001*.dcm")).unlink()
    (root / "main_data" / "P203R000003" / "fixations.csv").unlink()
    source = reflacx.read(root, skip_missing=True)
    assert len(source.cases) == 2
    assert source.dropped["case whose image is missing"] == 1
    assert source.dropped["reading without fixations.csv"] == 1


# --- broken input

READING = "main_data/P203R000003"


def change(phase=2, **columns):
    def spoil(data):
        data.records[phase][0].update(columns)
        data.write()

    return spoil


def content(name, text):
    return lambda data: (data.write() / name).write_text(text)


def remove(name):
    return lambda data: (data.write() / name).unlink()


def look(*values, **columns):
    def spoil(data):
        data.look("P203R000003", *values, **columns)
        data.write()

    return spoil


def draw(*values):
    def spoil(data):
        data.draw("P203R000003", *values)
        data.write()

    return spoil


def disagree(data):
    data.records[1][1]["subject_id"] = 5
    data.write()


def climb(data):
    path = data.write() / "main_data" / "metadata_phase_2.csv"
    path.write_text(path.read_text().replace("P203R000003", "../x"))


def repeat(data):
    data.records[2].append(data.records[2][0])
    data.write()


def both_phases(data):
    data.records[3][0]["id"] = "P203R000003"
    data.chests["P203R000003"], data.ellipses["P203R000003"] = (1, 1, 2, 2), []
    data.write()


def far_off(data):
    for _ in range(30):
        data.look("P203R000003", 500, 500, xmax_shown_from_image=900, ymax_shown_from_image=900)
    data.write()


BROKEN = {
    "no column": (content("main_data/metadata_phase_2.csv", "id,split\r\na,train\r\n"), TableError, "no column eye_"),
    "a certainty of six": (change(Atelectasis=6), TableError, r"Atelectasis is not a certainty(.|\n)*phase_2.csv:2"),
    "a word for it": (change(Atelectasis="maybe"), TableError, "Atelectasis is not a finite number"),
    "no certainty": (change(Pneumothorax=""), TableError, "Pneumothorax is empty"),
    "neither true nor false": (change(eye_tracking_data_discarded="no"), TableError, "neither True nor False"),
    "unknown split": (change(split="dev"), TableError, r"unknown split(.|\n)*'dev'"),
    "an id that climbs": (climb, TableError, "id may contain only"),
    "no subject": (change(subject_id=""), TableError, "no subject_id"),
    "another image": (change(image="files/p1/q.dcm"), TableError, "dicom_id"),
    "no image": (change(image=""), TableError, "dicom_id"),
    "resized images": (
        change(image_size_x=99),
        DataError,
        r"not have the size of the originals(.|\n)*60x99(.|\n)*60x50",
    ),
    "disagreeing readings": (disagree, TableError, r"disagree about its subject(.|\n)*P102R000002"),
    "one reading twice": (repeat, TableError, r"listed twice(.|\n)*phase_2.csv:3"),
    "one reading in two phases": (both_phases, TableError, "in two phases"),
    "no fixations": (remove(f"{READING}/fixations.csv"), MissingFileError, "1 of 3 readings have no fixations.csv"),
    "no position": (content(f"{READING}/fixations.csv", "a,b\n1,2\n"), TableError, "no column timestamp_start"),
    "a word for a position": (look("left", 3), TableError, r"x_position is not(.|\n)*P203R000003/fixations.csv:3"),
    "no degrees": (look(3, 3, angular_resolution_x_pixels_per_degree=0), TableError, "must be above 0"),
    "far off": (far_off, DataError, "of the fixations lie off"),
    "a flat ellipse": (draw((5, 5, 5, 9), 4, "Atelectasis"), TableError, r"no area(.|\n)*ellipses.csv:3"),
    "an ellipse of words": (draw((5, 5, 6, "b"), 4), TableError, "ymax is not a finite number"),
    "a broken image": (lambda data: next(data.write().rglob("0*.dcm")).write_bytes(b"x"), ImageError, "cannot be read"),
    "no image file": (lambda data: next(data.write().rglob("0*.dcm")).unlink(), MissingFileError, "1 of 3 images"),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(data, spoil, kind, message):
    spoil(data)
    with pytest.raises(GGCamError, match=message) as caught:
        reflacx.read(data.root)
    assert type(caught.value) is kind


def test_invalid_options_are_refused(data, tmp_path):
    root = data.write()
    with pytest.raises(ConfigError, match="a number from 1 to 5"):
        reflacx.read(root, min_certainty=0)
    with pytest.raises(ConfigError, match="0 s or more"):
        reflacx.read(root, dictation_window_s=-1)
    with pytest.raises(MissingFileError, match="file does not exist"):
        reflacx.read(root, dictation_window_s=1, vocabulary=tmp_path / "none.toml")
    with pytest.raises(MissingFileError, match="no metadata"):
        reflacx.read(tmp_path / "main_data" / "P203R000003")
