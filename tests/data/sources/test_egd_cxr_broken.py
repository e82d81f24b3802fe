import pytest

from data.sources.egd_fixture import three_cases
from ggcam.data.sources import egd_cxr
from ggcam.errors import ConfigError, GGCamError, MissingFileError, TableError


def read_back(egd, **options):
    return egd_cxr.read(egd.write(), **options)


def drop_column(table, column):
    def spoil(egd):
        root = egd.write(renamed={column: "else"})
        assert "else" in (root / table).read_text()

    return spoil


def change(**columns):
    def spoil(egd):
        egd.records[1].update(columns)
        egd.write()

    return spoil


def look(*values):
    def spoil(egd):
        egd.look(egd.records[1]["dicom_id"], *values)
        egd.write()

    return spoil


def finding(*values):
    def spoil(egd):
        egd.findings = [[egd.records[0]["dicom_id"], *values]]
        egd.write()

    return spoil


def box(*values):
    def spoil(egd):
        egd.boxes = [[egd.records[0]["dicom_id"], *values]]
        egd.write()

    return spoil


def remove(name):
    def spoil(egd):
        (egd.write() / name).unlink()

    return spoil


def content(name, data):
    def spoil(egd):
        (egd.write() / name).write_bytes(data)

    return spoil


def contradict(egd):
    egd.records.append(egd.records[0] | {"patient_id": 5})
    egd.write()


def no_class(egd):
    for record in egd.records:
        record.update(Normal=0, CHF=0, pneumonia=0)
    egd.write()


BROKEN = {
    "no master sheet": (remove("master_sheet.csv"), MissingFileError, "the table does not exist"),
    "no fixations": (remove("fixations.csv"), MissingFileError, "the table does not exist"),
    "empty master sheet": (content("master_sheet.csv", b""), TableError, "an empty file"),
    "header alone": (
        content("master_sheet.csv", b"dicom_id,path,patient_id,Normal,CHF,pneumonia\n"),
        TableError,
        "no record makes a case",
    ),
    "binary master sheet": (
        content("master_sheet.csv", b"dicom_id,path\n\xff\xfe,\x00"),
        TableError,
        "no column patient",
    ),
    "no column for the class": (drop_column("master_sheet.csv", "CHF"), TableError, "no column CHF"),
    "no column for the position": (drop_column("fixations.csv", "X_ORIGINAL"), TableError, "no column X_ORIGINAL"),
    "a word for a class": (change(CHF="yes"), TableError, r"CHF is not a finite number(.|\n)*master_sheet.csv:3"),
    "a class of two": (change(CHF=2), TableError, r"CHF is neither 0 nor 1(.|\n)*master_sheet.csv:3"),
    "no class at all": (no_class, TableError, "no record makes a case"),
    "no patient": (change(patient_id=""), TableError, r"no patient_id(.|\n)*master_sheet.csv:3"),
    "another image": (change(path="files/p90/x.dcm"), TableError, r"path must be(.|\n)*master_sheet.csv:3"),
    "a path that climbs": (change(path="../" + "-".join(["00000002"] * 5) + ".dcm"), TableError, "path must be"),
    "no path": (change(path=""), TableError, "path must be"),
    "an id that names no file": (change(dicom_id="/" * 44), TableError, r"may contain only(.|\n)*master_sheet.csv:3"),
    "contradicting records": (contradict, TableError, r"twice(.|\n)*master_sheet.csv:5"),
    "pads as words": (change(image_top_pad="wide"), TableError, "image_top_pad is not a finite number"),
    "pads larger than the screen": (change(image_left_pad=960), TableError, "no room for the image"),
    "a word for a position": (look("left", 3), TableError, r"X_ORIGINAL is not a finite number(.|\n)*fixations.csv:5"),
    "an endless fixation": (look(3, 3, 1, "inf"), TableError, r"FPOGD is not a finite number(.|\n)*fixations.csv:5"),
    "a row too short": (
        content("bounding_boxes.csv", b"dicom_id,bbox_name,x1,x2,y1,y2\na,b,1,2,3\n"),
        TableError,
        r"cannot be read(.|\n)*Row #2",
    ),
    "a word for a corner": (box("left lung", "a", 2, 3, 4), TableError, r"x1 is not a finite number(.|\n)*boxes.csv:2"),
    "an unknown kind": (finding("mass", "circle", 1, 2, 3, 4), TableError, r"unknown kind(.|\n)*findings.csv:2"),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(tmp_path, spoil, kind, message):
    egd, _ = three_cases(tmp_path)
    spoil(egd)
    with pytest.raises(GGCamError, match=message) as caught:
        egd_cxr.read(tmp_path)
    assert type(caught.value) is kind


def test_a_viewing_distance_of_0_and_a_missing_folder_of_images_are_refused(tmp_path):
    egd, _ = three_cases(tmp_path)
    root = egd.write()
    with pytest.raises(ConfigError, match="viewing distance"):
        egd_cxr.read(root, viewing_distance_cm=0)
    with pytest.raises(MissingFileError, match="folder of images does not exist"):
        egd_cxr.read(root, images=tmp_path / "nowhere")
