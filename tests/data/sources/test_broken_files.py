"""Damage by downloads, cloud storage and spreadsheets, applied to the tables of every source.

Damage that only one source can have is in the tests of that source.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.sources.egd_fixture import three_cases
from data.sources.reflacx_fixture import Reflacx
from data.sources.siim_fixture import Siim
from data.sources.test_folder import add_image, write_text
from data.sources.test_nih import BOXES as BOX_LIST
from data.sources.test_nih import IMAGES as CHEST_X_RAY14
from data.sources.test_nih import write as write_chest_x_ray14
from data.sources.test_vindr import ROWS as VINDR_ROWS
from data.sources.test_vindr import write as write_vindr
from ggcam.data import sources
from ggcam.errors import GGCamError, TableError

BLACK = np.zeros((60, 50), np.uint8)


def egd(root: Path) -> None:
    three_cases(root)[0].write()


def reflacx(root: Path) -> None:
    made = Reflacx(root)
    made.look(made.reading(made.image(BLACK), 2), 10, 20)
    made.write()


def siim(root: Path) -> None:
    made = Siim(root)
    made.case(BLACK)
    made.case(BLACK, (BLACK + 1), clusters=[(0.1, 0.25, 6)])
    made.write()


def table(root: Path) -> None:
    add_image(root, "a.png", "b.png")
    write_text(root / "labels.csv", "image,label", "a.png,0", "b.png,1")
    write_text(root / "points.csv", "image,x,y", "a.png,3,4")


def boxes(root: Path) -> None:
    add_image(root, "a.png", "b.png")
    write_text(root / "labels.csv", "image,label", "a.png,0", "b.png,1")
    write_text(root / "regions.csv", "image,name,x0_px,y0_px,x1_px,y1_px", "a.png,1,3,4,9,8")


def chest_x_ray14(root: Path) -> None:
    write_chest_x_ray14(root, *CHEST_X_RAY14, boxes=BOX_LIST)


def vindr(root: Path) -> None:
    write_vindr(root, *VINDR_ROWS)


TABLES: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "EGD-CXR's sheet": ("egd_cxr", egd, "master_sheet.csv"),
    "EGD-CXR's fixations": ("egd_cxr", egd, "fixations.csv"),
    "REFLACX's metadata": ("reflacx", reflacx, "main_data/metadata_phase_2.csv"),
    "REFLACX's fixations": ("reflacx", reflacx, "main_data/P201R000001/fixations.csv"),
    "REFLACX's ellipses": ("reflacx", reflacx, "main_data/P201R000001/anomaly_location_ellipses.csv"),
    "SIIM-ACR's runs": ("siim_acr", siim, "train-rle.csv"),
    "a table of labels": ("table", table, "labels.csv"),
    "a table of points": ("table", table, "points.csv"),
    "a table of regions": ("folder", boxes, "regions.csv"),
    "ChestX-ray14's entries": ("nih", chest_x_ray14, "Data_Entry_2017.csv"),
    "ChestX-ray14's boxes": ("nih", chest_x_ray14, "BBox_List_2017.csv"),
    "VinDr-CXR's boxes": ("vindr", vindr, "train.csv"),
}

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html><html><head><title>Log in</title></head></html>"

DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "not fetched by Git LFS": (lambda content: POINTER, r"Git LFS pointer(.|\n)*git lfs pull"),
    "the page of a log-in": (lambda content: PAGE, r"a web page(.|\n)*sign in"),
    "a spreadsheet": (lambda content: b"PK\x03\x04" + bytes(40), r"ZIP archive or a spreadsheet(.|\n)*export"),
    "no header": (lambda content: content.split(b"\n", 1)[1], "no column"),
    "nothing": (lambda content: b"", r"no column(.|\n)*an empty file"),
    "noise": (lambda content: bytes(range(128, 256)) * 9, "no column|cannot be read"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize(("source", "write", "name"), TABLES.values(), ids=TABLES)
def test_a_damaged_table_is_reported_with_place_and_hint(tmp_path, source, write, name, damage, message):
    write(tmp_path)
    assert len(sources.read(tmp_path, source).cases) >= 1
    path = tmp_path / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TableError, match=message) as caught:
        sources.read(tmp_path, source)
    assert str(path) in str(caught.value)


HARMLESS: dict[str, Callable[[bytes], bytes]] = {
    "a byte-order mark": lambda content: b"\xef\xbb\xbf" + content,
    "line ends of Windows": lambda content: content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "no end of the last line": lambda content: content.rstrip(b"\r\n"),
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "still compressed": gzip.compress,
    "semicolons": lambda content: content.replace(b",", b";"),
    "tabs": lambda content: content.replace(b",", b"\t"),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize(("source", "write", "name"), TABLES.values(), ids=TABLES)
def test_what_editors_do_to_a_table_changes_nothing(tmp_path, source, write, name, change):
    write(tmp_path)
    before = sources.read(tmp_path, source)
    path = tmp_path / name
    path.write_bytes(change(path.read_bytes()))
    after = sources.read(tmp_path, source)
    assert after.dropped == before.dropped
    for one, other in zip(before.cases, after.cases, strict=True):
        assert (one.case_id, one.label, one.regions) == (other.case_id, other.label, other.regions)
        np.testing.assert_array_equal(one.fixations.x_px, other.fixations.x_px)


@pytest.mark.parametrize(("content", "message"), [(POINTER, "git lfs pull"), (PAGE, "a web page")])
def test_a_damaged_image_or_gaze_file_is_reported_the_same_way(tmp_path, content, message):
    siim(tmp_path)
    image = next(tmp_path.rglob("*.dcm"))
    for path in (tmp_path / "gaze.json", image):
        whole = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(GGCamError, match=message) as caught:
            sources.read(tmp_path, "siim_acr")
        assert path.name in str(caught.value)
        path.write_bytes(whole)


def test_decimal_commas_are_reported_as_such(tmp_path):
    table(tmp_path)
    write_text(tmp_path / "points.csv", "image,x,y", 'a.png,"3,5",4')
    with pytest.raises(TableError, match=r"x is not a finite number(.|\n)*decimal point, not a comma(.|\n)*'3,5'"):
        sources.read(tmp_path, "table")
