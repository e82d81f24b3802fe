from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ggcam.errors import DataError, ImageError, MissingFileError
from ggcam.simulation import SimulationConfig
from ggcam.simulation.backgrounds import chest_from_background, find_backgrounds
from ggcam.simulation.canvas import Canvas
from ggcam.simulation.simulator import simulate


def write_x_ray(folder: Path, name: str, size: tuple[int, int] = (120, 110)) -> None:
    image, left, right = (np.full(size, value, np.uint8) for value in (170, 0, 0))
    right[20:90, 15:45] = left[20:95, 65:95] = 255
    image[(left | right) > 0] = 60
    for suffix, layer in (("", image), ("_left_lung", left), ("_right_lung", right)):
        cv2.imwrite(str(folder / f"{name}{suffix}.png"), layer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "x_rays"
    made.mkdir()
    for name in "abcd":
        write_x_ray(made, name)
    return made


def test_a_missing_folder_is_refused(tmp_path: Path):
    with pytest.raises(MissingFileError, match=r"does not exist\n  where: .*nowhere"):
        find_backgrounds(tmp_path / "nowhere")


def test_missing_masks_are_listed(folder: Path):
    (folder / "b_left_lung.png").unlink()
    (folder / "c_right_lung.png").unlink()
    with pytest.raises(MissingFileError, match=r"2 lung masks are missing: b_left_lung.png, c_right_lung.png"):
        find_backgrounds(folder)


def test_too_few_patients_are_refused(folder: Path):
    (folder / "manifest.csv").write_text("id,patient_id\na,x\nb,x\nc,x\nd,y\n")
    with pytest.raises(DataError, match="4 images of 2 patients"):
        find_backgrounds(folder)
    with pytest.raises(DataError, match="0 images of 0 patients"):
        find_backgrounds(folder.parent)


def test_manifest_groups_images_by_patient(folder: Path):
    (folder / "manifest.csv").write_text("id,patient_id\na,x\nb,\nc,x\n")
    assert [background.patient for background in find_backgrounds(folder)] == [0, 1, 0, 2]


def test_an_unreadable_image_stops_the_simulation_and_leaves_no_files(folder: Path, tmp_path: Path):
    (folder / "a.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"cannot be read\n  where: .*a\.png"):
        simulate(tmp_path / "out", SimulationConfig(cases=12, workers=1, backgrounds=folder))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x_rays"]


@pytest.mark.parametrize("broken", ["empty", "smaller"])
def test_an_empty_or_smaller_mask_is_refused(folder: Path, broken: str):
    mask = np.zeros((120, 110), np.uint8) if broken == "empty" else np.full((60, 55), 255, np.uint8)
    cv2.imwrite(str(folder / "a_left_lung.png"), mask)
    background = find_backgrounds(folder)[0]
    with pytest.raises(ImageError, match="expected: 120x110 pixels"):
        chest_from_background(Canvas(128, 104), background, 0.5, np.random.default_rng(0))


def test_a_higher_ratio_widens_the_heart_into_the_left_lung(folder: Path):
    background = find_backgrounds(folder)[0]
    narrow, wide = (
        chest_from_background(Canvas(256, 208), background, ratio, np.random.default_rng(0)) for ratio in (0.40, 0.60)
    )
    assert wide.mediastinum.sum() > 1.1 * narrow.mediastinum.sum()
    assert wide.lungs["left"].sum() < narrow.lungs["left"].sum()
    assert (wide.lungs["right"] == narrow.lungs["right"]).all()
    gained = wide.mediastinum & ~narrow.mediastinum
    assert wide.attenuation[gained].mean() > 1.3 * narrow.attenuation[gained].mean()


def test_real_x_rays_give_plausible_anatomy(real_data: Path):
    backgrounds = find_backgrounds(real_data / "adult_lung_masks")
    assert len(backgrounds) == 90
    for seed, background in enumerate(backgrounds[::9]):
        chest = chest_from_background(Canvas(256, 208), background, 0.55, np.random.default_rng(seed))
        lungs = chest.lungs["left"] | chest.lungs["right"]
        assert 0.08 < lungs.mean() < 0.6
        assert 0.02 < chest.mediastinum.mean() < 0.3
        assert not (lungs & chest.mediastinum).any()
        assert chest.aortic_knob.any()
