import json
import logging
import pickle
from collections import OrderedDict
from dataclasses import replace

import cv2
import numpy as np
import pytest

from data.sources.round_trip import check_gaze_on_spots, spot
from data.sources.siim_fixture import Siim
from ggcam.data import sources
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.sources import siim_acr
from ggcam.data.sources.axis_order import on_lesion, on_lungs
from ggcam.data.sources.siim_gaze import read_gaze_clusters
from ggcam.errors import ConfigError, DataError, GGCamError, MissingFileError, TableError
from ggcam.report.contact_sheet import contact_sheet

BLACK = np.zeros((40, 30), np.uint8)


def lesion(rows, columns):
    mask = np.zeros_like(BLACK)
    mask[rows, columns] = 1
    return mask


@pytest.fixture
def siim(tmp_path):
    """One healthy image without gaze, and one with two lesions and gaze."""
    made = Siim(tmp_path)
    made.case(BLACK)
    made.case(
        BLACK,
        lesion(slice(2, 8), slice(4, 6)),
        lesion(slice(30, 40), slice(20, 21)),
        clusters=[(0.1, 0.25, 6), (0.5, 0.75, 3), (1.07, 0.2, 2), (0.2, 0.3, 0)],
    )
    return made


@pytest.mark.parametrize("form", ["json", "pickle"])
def test_all_parts_of_the_layout_are_read(siim, form):
    source = sources.read(siim.write(form))
    assert (source.name, source.class_names) == ("siim_acr", ("no pneumothorax", "pneumothorax"))
    healthy, ill = source.cases
    assert (healthy.label, ill.label) == (0, 1)
    assert (healthy.readings, healthy.region_masks) == ({}, {})
    assert ill.patient_id.startswith("9.9.999.0.1.")
    assert (ill.regions, list(ill.region_masks)) == ((), ["pneumothorax"])
    drawn = lesion(slice(2, 8), slice(4, 6)) | lesion(slice(30, 40), slice(20, 21))
    np.testing.assert_array_equal(ill.region_masks["pneumothorax"].read(*BLACK.shape), drawn.astype(bool))
    gaze = ill.readings["1"]
    np.testing.assert_allclose(gaze.y_px, [4, 20])
    np.testing.assert_allclose(gaze.x_px, [7.5, 22.5])
    np.testing.assert_allclose(gaze.duration_s, [0.1, 0.05])
    assert np.isnan(gaze.start_s).all()
    assert source.dropped == {
        "fixation off the image": 1,
        "fixation of duration 0 or less": 1,
        "case without gaze (kept)": 1,
    }


def test_column_first_is_read(siim):
    gaze = siim_acr.read(siim.write(), axis_order="column-first").cases[1].fixations
    np.testing.assert_allclose(gaze.x_px, [3, 15])
    np.testing.assert_allclose(gaze.y_px, [10, 30])


@pytest.mark.parametrize("order", ["row-first", "column-first"])
def test_fixations_are_drawn_on_the_right_pixel_and_cell(tmp_path, order):
    siim = Siim(tmp_path)
    for row, column, height, width in ((20, 60, 200, 160), (150, 30, 180, 300), (99, 99, 128, 128)):
        share = ((row + 0.5) / height, (column + 0.5) / width)
        siim.case(spot(height, width, row, column), clusters=[(*(share if order == "row-first" else share[::-1]), 9)])
    source = siim_acr.read(siim.write(), axis_order=order)
    assert check_gaze_on_spots(source, tmp_path / "out") == 3


def test_a_run_of_length_0_is_not_a_lesion(siim):
    siim.rows[0] = (siim.rows[0][0], "3 0")
    source = siim_acr.read(siim.write())
    assert (source.cases[0].label, source.cases[0].region_masks) == (1, {})
    assert source.dropped["lesion without area"] == 1


def test_images_are_found_at_any_depth_and_missing_ones_are_left_out_with_skip_missing(siim, tmp_path):
    root = siim.write()
    source = siim_acr.read(root)
    flat = tmp_path / "flat"
    flat.mkdir()
    cv2.imwrite(str(flat / f"{source.cases[1].case_id}.png"), BLACK)
    cv2.imwrite(str(flat / "stranger.png"), BLACK)
    with pytest.raises(MissingFileError, match="1 of 2 images are missing"):
        siim_acr.read(root, images=flat)
    found = siim_acr.read(root, images=flat, skip_missing=True)
    assert [case.case_id for case in found.cases] == [source.cases[1].case_id]
    assert found.cases[0].patient_id == found.cases[0].case_id
    assert found.dropped["image that the table does not list"] == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="none of the images"):
        siim_acr.read(root, images=tmp_path / "empty", skip_missing=True)


def many(root, transposed_gaze=False, transposed_lesions=False, cases=24):
    """Readings of the lungs, longest on the lesion in the upper left of the image."""
    siim, rng = Siim(root), np.random.default_rng(0)
    size = np.zeros((60, 60), np.uint8)
    for _ in range(cases):
        mask = np.zeros_like(size)
        mask[6:21, 12:18] = 1
        points = [(0.2, 0.25, 9), *((rng.uniform(0.1, 0.7), rng.choice([0.25, 0.75]), 2) for _ in range(8))]
        points = [(b, a, n) if transposed_gaze else (a, b, n) for a, b, n in points]
        siim.case(size, mask.T if transposed_lesions else mask, clusters=points)
    return siim.write()


def test_exchanged_axes_are_reported_with_the_option_that_fixes_them(tmp_path, caplog):
    (tmp_path / "right").mkdir()
    (tmp_path / "wrong").mkdir()
    right = many(tmp_path / "right")
    with caplog.at_level(logging.WARNING):
        siim_acr.read(right)
    assert not caplog.records
    with pytest.raises(DataError, match=r"less gaze lies on the lungs(.|\n)*--axis-order row-first"):
        siim_acr.read(right, axis_order="column-first")
    wrong = many(tmp_path / "wrong", transposed_gaze=True)
    with pytest.raises(DataError, match=r"less gaze lies on the lungs(.|\n)*gaze.json(.|\n)*--axis-order column-first"):
        siim_acr.read(wrong)
    assert len(siim_acr.read(wrong, axis_order="column-first").cases) == 24


def test_transposed_lesions_are_not_mistaken_for_transposed_gaze(tmp_path):
    with pytest.raises(DataError, match="less gaze lies on the lesions than its transpose"):
        siim_acr.read(many(tmp_path, transposed_lesions=True))


def test_too_few_readings_to_check_the_order_are_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        siim_acr.read(many(tmp_path, cases=3))
    assert "3 readings are too few" in caplog.text


def test_density_on_a_lesion_is_relative_to_the_mean():
    mask = np.zeros((10, 10), bool)
    mask[:5] = True
    points = np.array([[0.1, 0.5, 3.0], [0.9, 0.5, 1.0], [1.07, 0.5, 4.0]])
    assert on_lesion(points, mask) == pytest.approx(3 / 8 / 0.5)
    assert np.isnan(on_lesion(points[:0], mask))
    assert np.isnan(on_lungs(points[:0]))


# --- real gaze


def test_real_gaze_has_the_marginals_of_rows_first(real_data):
    clusters = read_gaze_clusters(real_data / "siim_gaze" / "siim_acr_gaze_125.json")
    first, second, samples = np.concatenate(list(clusters.values())).T
    assert (len(clusters), len(samples), samples.sum()) == (125, 5286, 6710)
    down = np.histogram(first, 10, (0, 1), weights=samples)[0]
    across = np.histogram(second, 10, (0, 1), weights=samples)[0]
    # One peak at the apices; two peaks, at the two lungs, with a valley at the mediastinum.
    assert down.argmax() == 1
    assert (np.diff(down[1:]) < 0).all()
    assert across[3] > 1.3 * across[5]
    assert across[6] > 1.3 * across[5]


def real_siim(root, real_data):
    """The real gaze on empty images, because the real ones are not available."""
    gaze = real_data / "siim_gaze" / "siim_acr_gaze_125.json"
    ids = [entry["image_id"] for entry in json.loads(gaze.read_text())]
    (root / "images").mkdir()
    for image_id in ids:
        cv2.imwrite(str(root / "images" / f"{image_id}.png"), np.zeros((96, 96), np.uint8))
    rows = [f"{image_id}, -1" for image_id in ids]
    (root / "train-rle.csv").write_text("\n".join(["ImageId, EncodedPixels", *rows]))
    (root / "gaze.json").write_bytes(gaze.read_bytes())
    return root


def test_real_gaze_is_accepted_in_its_order_and_refused_in_the_other(tmp_path, real_data):
    root = real_siim(tmp_path, real_data)
    source = siim_acr.read(root)
    kept = sum(len(case.fixations) for case in source.cases)
    assert kept + source.dropped["fixation off the image"] == 5286
    assert source.dropped["fixation off the image"] < 100
    assert sum(case.fixations.total_s for case in source.cases) == pytest.approx(6710 / 60, rel=0.02)
    with pytest.raises(DataError, match=r"above 0\.6\d(.|\n)*got: 0\.[45]\d"):
        siim_acr.read(root, axis_order="column-first")


def test_real_scanpaths_are_drawn_on_an_empty_frame(tmp_path, real_data):
    source = siim_acr.read(real_siim(tmp_path, real_data))
    data = prepare_source(source, tmp_path / "out", PrepareConfig(size="96x96", workers=1))
    picture = cv2.imread(str(contact_sheet(data, tmp_path / "sheet.png", per_class=3)))
    without = replace(source, cases=tuple(replace(case, readings={}) for case in source.cases))
    data = prepare_source(without, tmp_path / "without", PrepareConfig(size="96x96", workers=1))
    empty = cv2.imread(str(contact_sheet(data, tmp_path / "empty.png", per_class=3)))
    coloured, coloured_without = (np.ptp(image.astype(int), axis=2) > 30 for image in (picture, empty))
    assert coloured.mean() > 0.01
    assert coloured_without.mean() < coloured.mean() / 10


# --- broken input


def content(name, data):
    return lambda siim: (siim.write() / name).write_bytes(data)


def rle(*rows):
    def spoil(siim):
        root = siim.write()
        (root / "train-rle.csv").write_text("\n".join(["ImageId, EncodedPixels", *rows, ""]))

    return spoil


def clusters(found):
    def spoil(siim):
        root = siim.write()
        (root / "gaze.json").write_text(json.dumps(found))

    return spoil


def a_pickle(found):
    def spoil(siim):
        root = siim.write()
        (root / "gaze.json").unlink()
        (root / "gaze.pkl").write_bytes(found if isinstance(found, bytes) else pickle.dumps(found))

    return spoil


def lesion_row(runs):
    def spoil(siim):
        siim.rows[0] = (siim.rows[0][0], runs)
        siim.write()

    return spoil


def entry(**changes):
    return clusters([{"image_id": "1.2", "gaze_x": [0.5], "gaze_y": [0.5], "time": [1]} | changes])


class Evil:
    def __reduce__(self):
        return (print, ("run",))


BROKEN = {
    "no table": (lambda siim: (siim.write() / "train-rle.csv").unlink(), MissingFileError, "the table does not exist"),
    "no gaze": (lambda siim: (siim.write() / "gaze.json").unlink(), MissingFileError, "no gaze file"),
    "two gaze files": (lambda siim: (siim.write(), siim.write("pickle")), ConfigError, "several gaze files"),
    "no runs": (content("train-rle.csv", b"ImageId,Pixels\n"), TableError, "no column EncodedPixels"),
    "empty table": (rle(), TableError, "no rows"),
    "half a run": (lesion_row("5 2 7"), TableError, r"not pairs(.|\n)*csv:2"),
    "words for runs": (lesion_row("five two"), TableError, r"not pairs(.|\n)*'five two'"),
    "absolute runs": (lesion_row("900 200 1100 50"), TableError, r"exceed the image(.|\n)*relative to the end"),
    "both ill and healthy": (rle("a,-1", "a,3 4"), TableError, r"both with and without(.|\n)*csv:2"),
    "nothing said": (rle("a,"), TableError, r"no EncodedPixels(.|\n)*csv:2"),
    "no json": (content("gaze.json", b"[{"), DataError, r"gaze\.json(.|\n)*valid JSON"),
    "no list": (clusters({"image_id": "1"}), TableError, "not a list"),
    "no entry": (clusters([]), TableError, "no entries"),
    "no field": (clusters([{"image_id": "1.2", "gaze_x": []}]), TableError, r"entry 0(.|\n)*no gaze_y, time"),
    "uneven lists": (entry(time=[1, 2]), TableError, r"the same length(.|\n)*entry 0(.|\n)*1, 1, 2"),
    "a number for a list": (entry(time=4), TableError, "the same length"),
    "words for numbers": (entry(time=["long"]), TableError, "three numbers per cluster"),
    "endless": (entry(gaze_x=[1e999]), DataError, "Infinity, which JSON does not have"),
    "negative": (entry(time=[-1]), TableError, "negative number of samples"),
    "no name": (entry(image_id=7), TableError, "does not name an image"),
    "one image twice": (
        clusters([{"image_id": "1.2", "gaze_x": [], "gaze_y": [], "time": []}] * 2),
        TableError,
        r"two entries(.|\n)*1\.2",
    ),
    "a pickle that runs code": (a_pickle(Evil()), DataError, "builtins.print"),
    "a pickle of a class": (a_pickle(OrderedDict()), DataError, "collections.OrderedDict"),
    "a pickle of numpy": (a_pickle({"1.2": np.zeros((1, 3))}), DataError, r"not allowed(.|\n)*numpy"),
    "a pickle cut off": (a_pickle(pickle.dumps({"1.2": []})[:-3]), DataError, "truncated or damaged"),
    "a pickle of a list": (a_pickle([1]), TableError, "not a dictionary"),
    "pairs for triples": (a_pickle({"1.2": [(1, 2)]}), TableError, r"three numbers(.|\n)*1\.2"),
}


@pytest.mark.parametrize(("spoil", "kind", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_input_is_refused_with_place_and_reason(siim, spoil, kind, message, capsys):
    spoil(siim)
    with pytest.raises(GGCamError, match=message) as caught:
        siim_acr.read(siim.root)
    assert type(caught.value) is kind
    assert capsys.readouterr().out == ""
