"""Masks of findings in the prepared folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from ggcam.data.case import Case, Region, Source
from ggcam.data.framing import Fitted, Frame
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import EMPTY_MASK, prepare_source
from ggcam.data.prepared import load_prepared
from ggcam.data.region_masks import MaskFiles, Polygons, RunLengths
from ggcam.errors import ImageError, PreparedFolderError, TableError

HEIGHT, WIDTH = 90, 70
CONFIG = PrepareConfig(size="128x96", workers=1, split_fractions=(1.0, 0.0, 0.0))


def ellipse(path: Path, centre: tuple[int, int]) -> Path:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, centre, (12, 20), 30, 0, 360, 255, -1)
    cv2.imwrite(str(path), mask)
    return path


def source(root: Path, n_cases: int = 4) -> Source:
    """Cases of which each second one has a mask file, polygons and a mask without a pixel."""
    root.mkdir(exist_ok=True)
    cases = []
    for number in range(n_cases):
        image = root / f"{number}.png"
        cv2.imwrite(str(image), np.full((HEIGHT, WIDTH), 9 + number, np.uint8))
        masks = {
            "Nodule": Polygons(((10.0, 20.0, 50.0, 20.0, 50.0, 61.0, 10.0, 61.0),)),
            "Mass": MaskFiles((ellipse(root / f"{number}_mass.png", (30 + number, 40)),)),
            "Edema": Polygons(((10.0, 20.0, 10.1, 20.0, 10.1, 20.1),)),
        }
        regions = (Region("Nodule", "ellipse", 1, 2, 3, 4),)
        cases.append(
            Case(
                f"c{number}", f"p{number}", number % 2, image, regions=regions, region_masks=masks if number % 2 else {}
            )
        )
    return Source("mine", ("a", "b"), tuple(cases), kind="other")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_masks_are_fitted_like_their_images_and_their_boxes_are_in_the_table(tmp_path: Path):
    given = source(tmp_path / "raw")
    data = prepare_source(given, tmp_path / "out", CONFIG)
    assert (data.read_region_masks("c0"), list(data.read_region_masks("c1"))) == ({}, ["Mass", "Nodule"])
    framing = Fitted(Frame(128, 96))
    for name, mask in data.read_region_masks("c3").items():
        np.testing.assert_array_equal(mask, framing.mask(given.cases[3].region_masks[name].read(HEIGHT, WIDTH)))
    table = data.regions[data.regions["case_id"] == "c1"]
    assert list(zip(table["name"], table["kind"], strict=True)) == [
        ("Nodule", "ellipse"),
        ("Mass", "mask"),
        ("Nodule", "mask"),
    ]
    assert data.meta["dropped"][EMPTY_MASK] == 2
    assert sorted(path.name for path in (data.root / "region_masks").iterdir()) == ["c1.png", "c3.png"]
    # The bits follow the order of the names.
    bits = cv2.imread(str(data.root / "region_masks" / "c1.png"), cv2.IMREAD_UNCHANGED)
    assert bits.dtype == np.uint8
    np.testing.assert_array_equal((bits & 2) > 0, data.read_region_masks("c1")["Nodule"])
    assert data.kind == "other"


def test_the_box_of_a_mask_is_exact_to_half_a_pixel(tmp_path: Path):
    data = prepare_source(source(tmp_path / "raw"), tmp_path / "out", CONFIG)
    affine = Fitted(Frame(128, 96)).affine(HEIGHT, WIDTH)
    expected = Region("Nodule", "mask", 10, 20, 50, 61).transformed(affine)
    found = next(region for region in data.boxes["c1"] if (region.name, region.kind) == ("Nodule", "mask"))
    for side in ("x0_px", "y0_px", "x1_px", "y1_px"):
        assert getattr(found, side) == pytest.approx(getattr(expected, side), abs=0.5)


def test_the_same_source_gives_the_same_bytes_also_after_an_interruption(tmp_path: Path):
    given = source(tmp_path / "raw", 8)
    prepare_source(given, tmp_path / "one", CONFIG)
    prepare_source(given, tmp_path / "two", CONFIG)

    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_source(given, tmp_path / "three", CONFIG, interrupt)
    prepare_source(given, tmp_path / "three", CONFIG)
    assert files(tmp_path / "one") == files(tmp_path / "two") == files(tmp_path / "three")


def test_up_to_16_masks_are_kept(tmp_path: Path):
    given = source(tmp_path / "raw")
    stripes = [(float(n), 0.0, n + 9.0, 0.0, n + 9.0, 80.0, float(n), 80.0) for n in range(16)]
    case = replace(given.cases[1], region_masks={f"m{n:02}": Polygons((each,)) for n, each in enumerate(stripes)})
    given = replace(given, cases=(given.cases[0], case))
    data = prepare_source(given, tmp_path / "out", CONFIG)
    found = data.read_region_masks("c1")
    assert len(found) == 16
    edges = [int(np.flatnonzero(mask.any(axis=0))[0]) for mask in found.values()]
    assert edges == sorted(set(edges))


@dataclass(frozen=True)
class Other:
    """A mask of the user's own."""

    answer: object

    def read(self, height_px: int, width_px: int):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (RunLengths((20,), 4, 5, "a.json"), r"another size(.|\n)*a\.json(.|\n)*\(90, 70\)(.|\n)*\(4, 5\)"),
        (MaskFiles((Path("nowhere.png"),)), r"does not exist(.|\n)*nowhere\.png"),
        (Other(np.zeros((4, 5), bool)), r"mask of Mass has another size or type(.|\n)*\(4, 5\)"),
        (Other(np.zeros((HEIGHT, WIDTH))), r"mask of Mass has another size or type(.|\n)*float64"),
        (Other(KeyError("lost")), r"mask of Mass cannot be read(.|\n)*KeyError: 'lost'"),
    ],
)
def test_a_mask_that_cannot_be_used_is_reported_like_a_damaged_image(tmp_path: Path, mask, message):
    given = source(tmp_path / "raw")
    case = replace(given.cases[1], region_masks={"Mass": mask})
    given = replace(given, cases=(given.cases[0], case, *given.cases[2:]))
    with pytest.raises(ImageError, match=message):
        prepare_source(given, tmp_path / "out", CONFIG)
    data = prepare_source(given, tmp_path / "skipped", replace(CONFIG, skip_missing=True))
    assert list(data.cases["case_id"]) == ["c0", "c2", "c3"]


def test_a_folder_of_the_first_version_is_read(tmp_path: Path):
    given = source(tmp_path / "raw")
    given = replace(given, cases=tuple(replace(case, region_masks={}) for case in given.cases))
    prepare_source(given, tmp_path / "out", CONFIG)
    path = tmp_path / "out" / "dataset.toml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join("schema_version = 1" if "schema_version" in x else x for x in lines if "kind =" not in x))
    data = load_prepared(tmp_path / "out")
    assert (data.read_region_masks("c1"), data.kind) == ({}, "chest")


def test_missing_and_repeated_masks_are_refused(tmp_path: Path):
    data = prepare_source(source(tmp_path / "raw"), tmp_path / "out", CONFIG)
    table = data.regions
    path = data.root / "regions.parquet"
    pd.concat([table, table[-1:]]).to_parquet(path, index=False)
    with pytest.raises(TableError, match=r"two masks of one name(.|\n)*regions\.parquet:8(.|\n)*'Nodule'"):
        load_prepared(data.root)
    many = pd.concat([table, *(table[-1:].assign(name=f"m{n}") for n in range(15))])
    many.to_parquet(path, index=False)
    with pytest.raises(TableError, match=r"too many masks(.|\n)*at most 16(.|\n)*'c3'"):
        load_prepared(data.root)
    table.to_parquet(path, index=False)
    (data.root / "region_masks" / "c1.png").unlink()
    with pytest.raises(PreparedFolderError, match=r"1 of 2 region_masks are missing(.|\n)*c1\.png"):
        load_prepared(data.root)
