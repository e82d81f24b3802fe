"""EGD-CXR: raw samples, transcripts, and the tables of MIMIC-CXR."""

import gzip
import pickle
from collections import Counter

import numpy as np
import pytest

from data.dicom_fixture import write_dicom
from data.sources.egd_fixture import Egd, three_cases
from data.sources.round_trip import check_gaze_on_spots, spot
from ggcam.data import sources
from ggcam.data.sources import egd_cxr, egd_gaze
from ggcam.data.sources.egd_gaze import CaseIds, read_samples
from ggcam.data.sources.egd_screen import EgdScreen
from ggcam.errors import ConfigError, DataError, GGCamError, MissingFileError, TableError
from ggcam.gaze.events import FixationDetection

SPOTS = ((20, 60, 200, 160), (150, 30, 180, 300), (99, 99, 128, 128))


def on_screen(height, width, row, column):
    """Fraction of the screen that the released mapping gives the centre of a pixel."""
    ratio = 1024 / max(height, width)
    left, top = (1920 - int(width * ratio)) // 2, (1024 - int(height * ratio)) // 2
    right, bottom = 1920 - int(width * ratio) - left, 1024 - int(height * ratio) - top
    x = left + (column + 0.5) * (1920 - left - right) / width
    y = top + (row + 0.5) * (1080 - top - bottom) / height
    return x / 1920, y / 1080


def sample(egd, dicom_id, at, x, y, valid=1, pixel=("", "")):
    egd.samples.append(
        {"DICOM_ID": dicom_id, "Time (in secs)": f"{at:.4f}", "BPOGX": x, "BPOGY": y, "BPOGV": valid}
        | {"FPOGV": valid, "X_ORIGINAL": pixel[0], "Y_ORIGINAL": pixel[1]}
    )


@pytest.fixture
def raw(tmp_path):
    """Three cases with known spots, each viewed for half a second after a glance aside."""
    egd = Egd(tmp_path / "raw")
    for row, column, height, width in SPOTS:
        dicom_id = egd.case("Normal", height=height, width=width)
        image = next(egd.root.rglob(f"{dicom_id}.dcm"))
        write_dicom(image, spot(height, width, row, column), bits=8)
        x, y = on_screen(height, width, row, column)
        for n in range(32):
            sample(egd, dicom_id, n / 60, x * (0.9 if n < 2 else 1), y, pixel=(column, row))
        sample(egd, dicom_id, 0.9, 0.1, 0.1, valid=0, pixel=(column, row))
    return egd


@pytest.mark.parametrize("method", ["ivt", "idt", "dwell"])
def test_samples_are_drawn_on_the_right_pixel_and_cell(tmp_path, raw, method):
    source = egd_cxr.read(raw.write(), detect=method)
    assert check_gaze_on_spots(source, tmp_path / "out") == 3
    for case in source.cases:
        gaze = case.readings["1"]
        assert len(gaze) == (32 if method == "dwell" else 1)
        assert gaze.total_s == pytest.approx(32 / 60 if method == "dwell" else 0.48, abs=0.03)
    assert source.dropped[f"invalid sample ({'FPOGV' if method == 'dwell' else 'BPOGV'})"] == 3


def test_the_result_does_not_depend_on_the_tasks_or_their_order(raw, monkeypatch):
    root = raw.write()
    together = egd_cxr.read(root, detect="idt")
    handed_out = []

    def backwards(work, tasks, workers):
        handed_out.append((len(tasks), workers))
        return reversed([pickle.loads(pickle.dumps(work(pickle.loads(pickle.dumps(task))))) for task in tasks])

    monkeypatch.setattr(egd_gaze, "SAMPLES_PER_TASK", 10)
    monkeypatch.setattr(egd_gaze, "parallel_map", backwards)
    apart = egd_cxr.read(root, detect="idt")
    assert handed_out == [(3, 0)]
    for one, other in zip(together.cases, apart.cases, strict=True):
        assert len(one.fixations) > 0
        np.testing.assert_array_equal(one.fixations.x_px, other.fixations.x_px)


def test_fixations_are_drawn_on_the_right_pixel_and_cell(tmp_path, raw):
    for record, (row, column, _, _) in zip(raw.records, SPOTS, strict=True):
        raw.look(record["dicom_id"], column, row)
    assert check_gaze_on_spots(egd_cxr.read(raw.write()), tmp_path / "out") == 3


def test_samples_on_other_images_are_counted_by_reason(tmp_path):
    egd, ids = three_cases(tmp_path)
    left_out = egd.case("consolidation")
    for dicom_id in (ids[0][:-5], "f" * 44, left_out, "", ids[1]):
        sample(egd, dicom_id, 0.1, 0.5, 0.5, pixel=(10, 20))
    sample(egd, ids[1], 0.2, 0.5, 0.5, pixel=(-1, -2))
    egd.samples[-1]["Time (in secs)"] = ""
    source = egd_cxr.read(egd.write(), detect="dwell")
    assert source.dropped == {
        "record in none of the three classes": 1,
        "sample on a calibration image": 2,
        "sample on an image that is not in the master sheet": 1,
        "sample on an image that was left out": 1,
        "sample without time": 1,
        "fixation of duration 0 or less": 1,
        "case without gaze (kept)": 3,
    }


def test_compressed_samples_are_read(tmp_path, raw):
    root = raw.write()
    with gzip.open(root / "eye_gaze.csv.gz", "wb") as packed:
        packed.write((root / "eye_gaze.csv").read_bytes())
    plain = egd_cxr.read(root, detect="ivt")
    (root / "eye_gaze.csv").unlink()
    again = egd_cxr.read(root, detect="ivt")
    for one, other in zip(plain.cases, again.cases, strict=True):
        np.testing.assert_array_equal(one.fixations.x_px, other.fixations.x_px)


def test_every_rest_in_many_samples_becomes_a_fixation(tmp_path):
    """100 images with 300 samples each: ten rests of half a second, among columns that are not read."""
    ids, rows = ["-".join([f"{n:08x}"] * 5) for n in range(100)], 30_000
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.3, 0.7, (2, rows // 30)).repeat(30, axis=1) + rng.normal(0, 0.001, (2, rows))
    ballast = ",".join(["0.12345"] * 30)
    lines = [
        f"{ids[n * 100 // rows]},{n % (rows // 100) / 60:.4f},{x[n]:.5f},{y[n]:.5f},1,{ballast}" for n in range(rows)
    ]
    path = tmp_path / "eye_gaze.csv"
    others = ",".join(f"c{n}" for n in range(30))
    path.write_text("\n".join([f"DICOM_ID,Time (in secs),BPOGX,BPOGY,BPOGV,{others}", *lines, ""]))
    del lines
    screen = EgdScreen(np.zeros((100, 2)), np.full((100, 2), 2.5), np.full((100, 2), 90.0))
    case_ids = CaseIds({name: at for at, name in enumerate(ids)}, frozenset(ids), 44)
    found = read_samples(path, case_ids, screen, FixationDetection("ivt"), Counter())
    assert len(found.rows.case) == pytest.approx(1000, rel=0.02)
    np.testing.assert_array_equal(np.unique(found.rows.case), np.arange(100))


# --- transcripts


def test_fixations_are_labelled_by_the_transcript_with_a_window(tmp_path):
    egd, ids = three_cases(tmp_path)
    egd.fixations.clear()
    for end in (2.0, 9.5, 12.0, 20.0):
        egd.look(ids[0], 10, 20, start=100 + end, duration=0.5)
        egd.fixations[-1]["Time (in secs)"] = end
    egd.look(ids[1], 10, 20)
    egd.say(ids[0], ("The heart is normal.", 1.0, 3.0), ("Right lower lobe consolidation.", 11.0, 13.0))
    source = egd_cxr.read(egd.write(), dictation_window_s=2)
    assert source.cases[0].fixations.label.tolist() == ["", "pneumonia", "pneumonia", ""]
    assert source.cases[1].fixations.label.tolist() == [""]
    assert source.dropped["case without transcript (kept)"] == 2
    assert set(egd_cxr.read(egd.root).cases[0].fixations.label) == {""}


def test_a_users_vocabulary_defines_the_labels(tmp_path):
    egd, ids = three_cases(tmp_path)
    egd.say(ids[0], ("a lump", 98.0, 99.5))
    (tmp_path / "mine.toml").write_text('mass = ["lump"]')
    source = egd_cxr.read(egd.write(), dictation_window_s=0, vocabulary=tmp_path / "mine.toml")
    assert source.cases[0].fixations.label.tolist() == ["mass"]


# --- MIMIC-CXR beside it


@pytest.mark.parametrize("packed", [False, True])
def test_the_official_split_is_taken_from_the_images(tmp_path, packed):
    egd, ids = three_cases(tmp_path)
    root = egd.write()
    rows = [f"{name},s,p,{split}" for name, split in zip(ids, ("train", "validate", "test"), strict=True)]
    text = "\n".join(["dicom_id,study_id,subject_id,split", *rows, "other,s,p,train", ""]).encode()
    name = "mimic-cxr-2.0.0-split.csv"
    (root / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(text) if packed else text)
    assert [case.split for case in egd_cxr.read(root).cases] == ["train", "valid", "test"]
    assert [case.split for case in egd_cxr.read(root, images=root / "files").cases] == ["train", "valid", "test"]


def test_images_are_found_by_their_name_below_any_folder(tmp_path):
    egd, ids = three_cases(tmp_path)
    root = egd.write()
    store = tmp_path / "mirror" / "mimic-cxr-jpg" / "2.0.0" / "files" / "p90"
    store.mkdir(parents=True)
    for image in root.rglob("*.dcm"):
        image.rename(store / image.with_suffix(".jpg").name)
    assert [case.case_id for case in sources.read(root, images=tmp_path / "mirror").cases] == ids


def test_resized_images_are_recognised_by_the_metadata(tmp_path):
    egd, ids = three_cases(tmp_path)
    root = egd.write()
    table = root / "mimic-cxr-2.0.0-metadata.csv"
    table.write_text("\n".join(["dicom_id,Rows,Columns", *(f"{name},61,50" for name in ids), ""]))
    assert len(egd_cxr.read(root).cases) == 3
    table.write_text(f"dicom_id,Rows,Columns\n{ids[1]},3056,2544\n")
    with pytest.raises(
        DataError, match=r"1 of 3 images do not have the size of the originals(.|\n)*3056x2544(.|\n)*61x50"
    ):
        egd_cxr.read(root)


# --- broken input


def samples(**columns):
    def spoil(egd):
        sample(egd, egd.records[0]["dicom_id"], 0.1, 0.5, 0.5)
        egd.samples[-1].update(columns)
        egd.write()

    return spoil


def transcript(text):
    def spoil(egd):
        egd.say(egd.records[0]["dicom_id"])
        next(egd.write().rglob("transcript.json")).write_text(text)

    return spoil


def without_time(egd):
    egd.write(renamed={"Time (in secs)": "clock"})


def a_split(egd):
    (egd.write() / "mimic-cxr-2.0.0-split.csv").write_text("dicom_id,split\na,dev\n")


def no_column(egd):
    sample(egd, egd.records[0]["dicom_id"], 0.1, 0.5, 0.5)
    egd.write(renamed={"BPOGX": "else"})


WORDS = {"dictation_window_s": 1.0}
BROKEN = {
    "no samples": (lambda egd: egd.write(), {"detect": "ivt"}, MissingFileError, "the table does not exist"),
    "no column": (no_column, {"detect": "ivt"}, TableError, "no column BPOGX"),
    "a word for a place": (samples(BPOGX="left"), {"detect": "ivt"}, TableError, r"eye_gaze\.csv(.|\n)*'left'"),
    "no velocity": (samples(), {"detect": "ivt", "velocity_deg_per_s": 0.0}, ConfigError, "velocity_deg_per_s must"),
    "no json": (transcript("[{"), WORDS, TableError, r"damaged(.|\n)*transcript\.json"),
    "another form": (transcript('{"full_text": ""}'), WORDS, TableError, "KeyError: 'time_stamped_text'"),
    "no time": (transcript('{"time_stamped_text": [{"phrase": "a"}]}'), WORDS, TableError, "begin_time"),
    "no clock": (without_time, WORDS, TableError, "require the column Time"),
    "a negative window": (transcript('{"time_stamped_text": []}'), {"dictation_window_s": -1.0}, ConfigError, "0 s"),
    "an unknown split": (a_split, {}, TableError, r"unknown split(.|\n)*'dev'"),
}


@pytest.mark.parametrize(("spoil", "options", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(tmp_path, spoil, options, kind, message):
    egd, _ = three_cases(tmp_path)
    spoil(egd)
    with pytest.raises(GGCamError, match=message) as caught:
        egd_cxr.read(tmp_path, **options)
    assert type(caught.value) is kind
