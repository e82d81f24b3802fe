from __future__ import annotations

import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ggcam.data.case import Frame, Region
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import load_prepared
from ggcam.data.schema import CASES, FIXATIONS, REGIONS
from ggcam.data.summary import summary_table
from ggcam.errors import GGCamError, ImageError
from small_source import CLASS_NAMES, small_source


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder that no test changes."""
    folder = tmp_path_factory.mktemp("prepared")
    config = PrepareConfig(size="64x64", workers=1)
    return prepare_source(small_source(folder / "raw", cases=12, height=60, width=44), folder / "out", config).root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy to be broken."""
    return Path(shutil.copytree(whole, tmp_path / "data"))


def test_the_tables_have_the_documented_columns(whole: Path):
    for name, schema in (("cases", CASES), ("fixations", FIXATIONS), ("regions", REGIONS)):
        assert pq.read_schema(whole / f"{name}.parquet").equals(schema)
    assert CASES.names[:5] == ["case_id", "patient_id", "split", "label", "image"]


def test_what_was_prepared_is_read_back(whole: Path):
    data = load_prepared(whole)
    assert (len(data), data.class_names, data.frame) == (12, CLASS_NAMES, Frame(64, 64))
    table = data.fixations
    for case_id, fixations in data.gaze.items():
        rows = table[table["case_id"] == case_id]
        assert fixations.x_px.tolist() == rows["x_px"].tolist()
        assert [name or None for name in fixations.label] == rows["label"].replace({np.nan: None}).tolist()
    region = data.regions.iloc[3]
    assert data.boxes[region["case_id"]] == (Region(*region.iloc[1:]),)
    masks = data.read_masks("case_0001")
    assert {name: (mask.dtype, mask.shape) for name, mask in masks.items()} == dict.fromkeys(
        ("left_lung", "right_lung"), (np.dtype(bool), (64, 64))
    )
    assert not (masks["left_lung"] & masks["right_lung"]).any()
    assert data.read_masks("case_0000") == {}


def test_the_summary_counts_every_case_once(whole: Path):
    data = load_prepared(whole)
    header, *rows = summary_table(data)
    assert header == ("split", *CLASS_NAMES, "cases", "patients", "with gaze")
    assert [row[0] for row in rows] == ["train", "valid", "test", "all"]
    numbers = np.array([[int(cell) for cell in row[1:]] for row in rows])
    assert (numbers[:-1].sum(axis=0) == numbers[-1]).all()
    assert numbers[-1].tolist() == [4, 4, 4, 12, 6, 9]
    assert (numbers[:, :3].sum(axis=1) == numbers[:, 3]).all()


def test_a_table_rewritten_by_pandas_is_accepted(root: Path):
    cases = pd.read_parquet(root / "cases.parquet")
    cases.assign(remark="mine", label=cases["label"].astype("int32")).to_parquet(root / "cases.parquet")
    assert len(load_prepared(root)) == 12


def edit(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], object]:
    def break_it(root: Path) -> None:
        change(pd.read_parquet(root / name)).to_parquet(root / name, index=False)

    return break_it


def put(name: str, column: str, value: object, row: int = 2) -> Callable[[Path], object]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        values = table[column].tolist()
        values[row] = value
        return table.assign(**{column: values})

    return edit(name, change)


def rewrite(change: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda root: (root / "dataset.toml").write_text(change((root / "dataset.toml").read_text()))


def invalid_text(root: Path) -> None:
    """Write a name of a region that is not UTF-8, as only a damaged or hostile file has it."""
    table = pq.read_table(root / "regions.parquet")
    names = pa.array([b"\xff\xfe"] * len(table), pa.binary()).view(pa.string())
    at = table.column_names.index("name")
    pq.write_table(table.set_column(at, pa.field("name", pa.string(), False), names), root / "regions.parquet")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda root: shutil.rmtree(root), "does not exist(.|\n)*ggcam prepare"),
        (lambda root: root.rename(root.with_name("data.partial")), "is incomplete(.|\n)*continue it"),
        (lambda root: (root / "dataset.toml").unlink(), "has no dataset.toml"),
        (rewrite(lambda text: text[: len(text) // 2] + '"'), r"damaged\n.*dataset.toml"),
        (
            rewrite(lambda text: text.replace("schema_version = 2", "schema_version = 99")),
            r"version = 1 or 2\n  got: 99",
        ),
        (
            rewrite(lambda text: text.replace("height_px = 64", "height_px = 50")),
            r"invalid frame\n.*dataset.toml\n  got: 50x64",
        ),
        (
            rewrite(lambda text: text.replace("class_names", "klass_names")),
            r"the key class_names is missing\n.*dataset.toml\n  expected: a list",
        ),
        (
            rewrite(lambda text: text.replace("_px = 64", "_px = 64000")),
            r"invalid frame(.|\n)*64000x64000 is too large",
        ),
        (rewrite(lambda text: text.replace("width_px = 64", "width_px = 64.5")), r"key frame.width_px(.|\n)*integer"),
        (
            rewrite(lambda text: text.replace('"Normal"', f'"{"n" * 200_000}"')),
            r"names of the classes.*\n.*\n.*200 letters",
        ),
        (
            rewrite(lambda text: text.replace('"Pneumonia"', '"Normal"')),
            r"names of the classes(.|\n)*2 of them different",
        ),
        (rewrite(lambda text: text + "x = " + "[" * 100_000), "damaged(.|\n)*nested brackets"),
        (rewrite(lambda text: re.sub("used_bits = .*", "used_bits = inf", text)), "invalid value for key used_bits"),
        (rewrite(lambda text: re.sub("channels = .*", "channels = 2", text)), "invalid value for key channels"),
        (lambda root: (root / "dataset.toml").write_bytes(b"a = '\xe9'"), r"damaged\n.*\n  expected: text in UTF-8"),
        (lambda root: (root / "fixations.parquet").unlink(), r"missing\n.*fixations.parquet"),
        (lambda root: (root / "cases.parquet").write_text("id,label"), r"not a Parquet table\n.*cases.parquet"),
        (lambda root: (root / "images" / "case_0003.png").unlink(), r"1 of 12 images(.|\n)*images/case_0003.png"),
        (lambda root: shutil.rmtree(root / "images"), r"12 of 12 images"),
        (edit("cases.parquet", lambda table: table.drop(columns=["split", "flags"])), "no split, flags"),
        (edit("cases.parquet", lambda table: table.head(0)), "no cases"),
        (edit("cases.parquet", lambda table: table.assign(label="one")), "column label has another type(.|\n)*int64"),
        (put("cases.parquet", "patient_id", None), "no nulls(.|\n)*1 nulls"),
        (put("cases.parquet", "case_id", "case_0000"), r"repeated\n  where: .*cases.parquet:2\n  got: 'case_0000'"),
        (put("cases.parquet", "split", "dev"), r"unknown split\n.*:2\n  expected: train, valid, test\n  got: 'dev'"),
        (put("cases.parquet", "label", 3), r"label is not a class\n.*:2\n.*0 to 2: Normal.*\n  got: 3"),
        (put("cases.parquet", "image", "/etc/passwd"), "unexpected image path"),
        (
            put("fixations.parquet", "case_id", "nobody", 7),
            r"missing from cases(.|\n)*fixations.parquet:7",
        ),
        (put("fixations.parquet", "x_px", float("inf")), r"x_px is not a position\n.*:2"),
        (put("fixations.parquet", "y_px", 1e308), r"y_px is not a position\n.*:2\n.*\n  got: 1e\+308"),
        (put("fixations.parquet", "duration_s", -0.5), r"duration_s is not a duration(.|\n)*-0.5"),
        (put("fixations.parquet", "duration_s", float("inf")), r"duration_s is not a duration(.|\n)*inf"),
        (put("fixations.parquet", "start_s", float("inf")), r"start_s is not a time\n.*:2"),
        (put("fixations.parquet", "px_per_degree_x", 0.0), r"px_per_degree_x is not a resolution\n.*:2"),
        (put("fixations.parquet", "px_per_degree_y", -1.0), r"px_per_degree_y is not a resolution(.|\n)*-1.0"),
        (put("cases.parquet", "raw_height_px", 0), r"raw_height_px is not a size\n.*:2\n.*\n  got: 0"),
        (put("cases.parquet", "raw_width_px", -1), r"raw_width_px is not a size\n.*:2"),
        (put("cases.parquet", "scale_x", 0.0), r"scale_x is not a scale\n.*:2"),
        (put("cases.parquet", "scale_y", float("nan")), r"scale_y has another type, or nulls"),
        (put("cases.parquet", "shift_x_px", float("inf")), r"shift_x_px is not a position\n.*:2"),
        (
            lambda root: (root / "masks" / "case_0001.png").unlink(),
            r"1 of \d+ masks are missing(.|\n)*masks/case_0001.png",
        ),
        (lambda root: shutil.rmtree(root / "masks"), "masks are missing"),
        (put("cases.parquet", "masks", "../case_0001.png"), r"unexpected path of masks"),
        (invalid_text, r"damaged, or not a Parquet table\n  where: .*regions.parquet"),
        (
            edit("fixations.parquet", lambda table: table.head(0)),
            r"has_gaze is true(.|\n)*cases.parquet:1 and 8 more",
        ),
        (put("regions.parquet", "x1_px", float("inf")), r"x1_px is not a position\n.*regions.parquet:2"),
        (put("regions.parquet", "y1_px", -1e6), r"y0_px is above y1_px\n.*regions.parquet:2"),
        (put("regions.parquet", "kind", "star"), r"unknown kind(.|\n)*box, ellipse, mask\n  got: 'star'"),
        (put("regions.parquet", "case_id", "nobody"), r"missing from cases.parquet\n  where: .*regions.parquet:2"),
    ],
)
def test_a_broken_folder_is_refused_with_the_place(root: Path, break_it: Callable[[Path], object], message: str):
    break_it(root)
    with pytest.raises(GGCamError, match=message):
        load_prepared(root)


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_a_damaged_image_is_named(root: Path, content: bytes):
    (root / "images" / "case_0001.png").write_bytes(content)
    data = load_prepared(root)
    with pytest.raises(GGCamError, match=r"damaged\n  where: .*case_0001.png\n  expected: one channel of 64x64"):
        data.read_image("case_0001")


def test_an_image_of_another_size_is_refused(root: Path, whole: Path, tmp_path: Path):
    rewrite(lambda text: text.replace("height_px = 64", "height_px = 96"))(root)
    with pytest.raises(GGCamError, match=r"96x64\n  got: an array of shape \(64, 64\)"):
        load_prepared(root).read_image("case_0001")


def test_masks_of_an_earlier_version_are_those_that_are_there(root: Path):
    table = pq.read_table(root / "cases.parquet")
    assert table.column("masks").null_count == 4
    pq.write_table(table.drop_columns("masks"), root / "cases.parquet")
    (root / "masks" / "case_0001.png").unlink()
    data = load_prepared(root)
    assert data.read_masks("case_0001") == {}
    assert sum(bool(data.read_masks(case_id)) for case_id in data.cases["case_id"]) == 7


def test_masks_that_disappear_after_loading_are_an_error(root: Path):
    data = load_prepared(root)
    (root / "masks" / "case_0001.png").unlink()
    with pytest.raises(ImageError, match=r"missing or damaged(.|\n)*case_0001.png"):
        data.read_masks("case_0001")


@pytest.mark.parametrize("height", [1, 63, 65, 2**31 - 1])
def test_an_image_whose_header_names_another_height_is_refused_before_it_is_decoded(root: Path, height: int):
    path = root / "images" / "case_0000.png"
    content = bytearray(path.read_bytes())
    content[20:24] = height.to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(ImageError, match="missing or damaged"):
        load_prepared(root).read_image("case_0000")
