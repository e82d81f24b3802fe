"""Each check catches its own damage, and all are silent on healthy data of several seeds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from ggcam.data.checks.check import DataCheck, check_data
from ggcam.data.checks.result import CheckResult, Level
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import load_prepared
from ggcam.data.sources import egd_cxr
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.simulator import simulate
from small_source import small_source

Damage = Callable[[Path], object]


def checked(root: Path) -> DataCheck:
    return check_data(load_prepared(root))


def found(root: Path, name: str) -> CheckResult:
    return next(result for result in checked(root).results if result.name == name)


def troubles(root: Path) -> list[tuple[str, Level]]:
    return [(result.name, result.level) for result in checked(root).results if result.level != "ok"]


def change(name: str, how: Callable[[pd.DataFrame], pd.DataFrame]) -> Damage:
    def damage(root: Path) -> None:
        how(pd.read_parquet(root / name)).to_parquet(root / name, index=False)

    return damage


def moved_raw(how: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Damage:
    """Fixations as a mistake in the raw image's pixels would leave them."""

    def damage(root: Path) -> None:
        table = pd.read_parquet(root / "fixations.parquet")
        place = pd.read_parquet(root / "cases.parquet").set_index("case_id").loc[table["case_id"]]
        scale_x, scale_y, shift_x, shift_y = (
            place[name].to_numpy() for name in ("scale_x", "scale_y", "shift_x_px", "shift_y_px")
        )
        x, y = how((table["x_px"] - shift_x) / scale_x, (table["y_px"] - shift_y) / scale_y)
        table.assign(x_px=scale_x * x + shift_x, y_px=scale_y * y + shift_y).to_parquet(root / "fixations.parquet")

    return damage


def in_frame(**columns: Callable[[pd.DataFrame], object]) -> Damage:
    return change("fixations.parquet", lambda table: table.assign(**columns))


def of_cases(**columns: Callable[[pd.DataFrame], object]) -> Damage:
    return change("cases.parquet", lambda table: table.assign(**columns))


def copy_image(there: Callable[[pd.DataFrame], bool]) -> Damage:
    """The first case's image in the place of the first other one that answers."""

    def damage(root: Path) -> None:
        cases = pd.read_parquet(root / "cases.parquet")
        cases["first_split"] = cases["split"].iloc[0]
        other = next(row for _, row in cases.iloc[1:].iterrows() if there(row))
        shutil.copy(root / cases["image"].iloc[0], root / other["image"])

    return damage


def blank(root: Path) -> None:
    image = next((root / "images").iterdir())
    cv2.imwrite(str(image), np.full_like(cv2.imread(str(image), cv2.IMREAD_UNCHANGED), 7))


def leave_without_masks(root: Path) -> None:
    shutil.rmtree(root / "masks")
    change("regions.parquet", lambda table: table[~table["name"].str.contains("lung")])(root)


def same_gaze_twice(root: Path) -> None:
    table = pd.read_parquet(root / "fixations.parquet")
    first, second = table["case_id"].unique()[:2]
    copied = table[table["case_id"] == first].assign(case_id=second)
    pd.concat([table[table["case_id"] != second], copied]).to_parquet(root / "fixations.parquet", index=False)


def a_patient_in_two_splits(root: Path) -> None:
    cases = pd.read_parquet(root / "cases.parquet")
    tested, trained = (cases.index[cases["split"] == split][0] for split in ("test", "train"))
    cases.loc[tested, "patient_id"] = cases.loc[trained, "patient_id"]
    cases.to_parquet(root / "cases.parquet", index=False)


def dropped_off_image(times: float) -> Damage:
    def damage(root: Path) -> None:
        rows = len(pd.read_parquet(root / "fixations.parquet"))
        path = root / "dataset.toml"
        text = path.read_text()
        before = load_prepared(root).meta["dropped"]["fixation off the image"]
        old = f'"fixation off the image" = {before}'
        assert old in text
        path.write_text(text.replace(old, f'"fixation off the image" = {round(times * rows)}'))

    return damage


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared data, to damage."""
    return Path(shutil.copytree(prepared, tmp_path / "DATA"))


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("size", ["64x64", "96x64"])
def test_healthy_data_pass(tmp_path_factory: pytest.TempPathFactory, seed: int, size: str):
    raw = tmp_path_factory.getbasetemp() / f"healthy_{seed}"
    if not raw.exists():
        simulate(raw, SimulationConfig(cases=40, size="96x80", seed=seed, workers=1))
    data = raw.with_name(f"{raw.name}_{size}")
    prepare_source(egd_cxr.read(raw), data, PrepareConfig(size=size, split_file=raw / "split.csv", workers=1))
    assert troubles(data) == []
    leave_without_masks(data)
    assert troubles(data) == []


@pytest.mark.parametrize(
    ("damage", "name", "level", "says"),
    [
        (in_frame(x_px=lambda t: t.y_px, y_px=lambda t: t.x_px), "axes of the gaze", "error", "exchanging x and y"),
        (moved_raw(lambda x, y: (y, x)), "axes of the gaze", "error", "exchanging x and y"),
        (moved_raw(lambda x, y: (y * 80 / 96, x * 96 / 80)), "axes of the gaze", "error", "exchanging x and y"),
        (moved_raw(lambda x, y: (x, 96 - y)), "axes of the gaze", "error", "upside down"),
        (in_frame(x_px=lambda t: t["x_px"] / 2, y_px=lambda t: t["y_px"] / 2), "scale of the gaze", "error", "width"),
        (moved_raw(lambda x, y: (x / 2, y / 2)), "scale of the gaze", "error", "doubling"),
        (moved_raw(lambda x, y: (x / 1.5, y / 1.5)), "scale of the gaze", "error", "by 1.5"),
        (moved_raw(lambda x, y: (x / 2, y)), "scale of the gaze", "warning", "width"),
        (moved_raw(lambda x, y: (x * 2, y * 2)), "scale of the gaze", "error", "halving"),
        (moved_raw(lambda x, y: (x * 2, y * 2)), "gaze on the image", "error", "% of the time"),
        (moved_raw(lambda x, y: (x, y + 30)), "gaze on the image", "warning", "% of the time"),
        (moved_raw(lambda x, y: (x + 40, y)), "gaze on the lungs", "warning", "of the image"),
        (moved_raw(lambda x, y: (0 * x + 40, 0 * y + 40)), "entropy of the gaze maps", "warning", "0 a point"),
        (a_patient_in_two_splits, "patients", "error", "1 in several splits"),
        (copy_image(lambda case: case["split"] != case["first_split"]), "duplicate images", "error", " = "),
        (copy_image(lambda case: case["split"] == case["first_split"]), "duplicate images", "error", " = "),
        (blank, "blank images", "error", "1: "),
        (lambda root: (root / "images" / "x.png").touch(), "files without a case", "warning", "x.png"),
        (of_cases(split=lambda t: t["split"].replace("valid", "train")), "classes", "warning", "any case in valid"),
        (of_cases(has_gaze=lambda t: False), "images without gaze", "warning", "60 of 60"),
        (of_cases(has_gaze=lambda t: False), "gaze without an image", "warning", "55: "),
        (dropped_off_image(0.5), "fixations off the image", "warning", "33.3%"),
        (dropped_off_image(2.0), "fixations off the image", "error", "66.7%"),
        (in_frame(duration_s=lambda t: 1000 * t["duration_s"]), "length of the fixations", "error", "median"),
        (in_frame(duration_s=lambda t: 10 * t["duration_s"]), "length of the fixations", "warning", "median"),
        (in_frame(start_s=lambda t: -t["start_s"]), "order in time", "warning", "broken in 55"),
        (change("fixations.parquet", lambda t: t.groupby("case_id").head(3)), "fixations a case", "warning", "100%"),
        (in_frame(label=lambda t: "lump"), "labels of the fixations", "warning", "no classes: lump"),
        (same_gaze_twice, "duplicate gaze", "warning", " = "),
    ],
)  # fmt: skip
def test_each_check_catches_its_damage(root: Path, damage: Damage, name: str, level: Level, says: str):
    damage(root)
    result = found(root, name)
    assert (result.level, says in result.value, bool(result.hint)) == (level, True, True), result


@pytest.mark.parametrize(
    "damage",
    [a_patient_in_two_splits, copy_image(lambda case: True), blank, dropped_off_image(2.0), same_gaze_twice],
)
def test_no_other_check_mistakes_it_for_its_own(root: Path, damage: Damage):
    damage(root)
    assert len(troubles(root)) == 1


def test_a_swap_says_nothing_of_the_scale(root: Path):
    moved_raw(lambda x, y: (y * 80 / 96, x * 96 / 80))(root)
    assert troubles(root) == [("axes of the gaze", "error")]


def test_without_lungs_of_its_own_a_swap_is_a_suspicion(root: Path):
    leave_without_masks(root)
    moved_raw(lambda x, y: (y * 80 / 96, x * 96 / 80))(root)
    result = found(root, "axes of the gaze")
    assert (result.level, "usual place of lungs" in result.value) == ("warning", True)


def test_copies_of_one_patient_in_one_split_may_be_readings_kept_apart(root: Path):
    cases = pd.read_parquet(root / "cases.parquet")
    first, second = cases.index[cases["split"] == "train"][:2]
    cases.loc[second, "patient_id"] = cases.loc[first, "patient_id"]
    cases.to_parquet(root / "cases.parquet", index=False)
    shutil.copy(root / cases.loc[first, "image"], root / cases.loc[second, "image"])
    assert troubles(root) == [("duplicate images", "warning")]
    assert checked(root).copies == ((cases.loc[first, "case_id"], cases.loc[second, "case_id"]),)


def test_few_cases_are_no_ground_for_suspicion(root: Path):
    moved_raw(lambda x, y: (y, x))(root)
    cases = pd.read_parquet(root / "cases.parquet")
    kept = cases[cases["has_gaze"]].groupby("split").head(5)
    kept.to_parquet(root / "cases.parquet", index=False)
    change("fixations.parquet", lambda table: table[table["case_id"].isin(kept["case_id"])])(root)
    change("regions.parquet", lambda table: table[table["case_id"].isin(kept["case_id"])])(root)
    result = found(root, "axes of the gaze")
    assert (result.level, "too few to tell" in result.value) == ("ok", True)


def test_without_any_gaze_the_images_are_still_checked(root: Path):
    change("fixations.parquet", lambda table: table.head(0))(root)
    of_cases(has_gaze=lambda table: False)(root)
    check = checked(root)
    assert [result.name for result in check.warnings] == ["images without gaze"]
    assert (check.gaze_sum.sum(), len(check.counts), len(check.durations_s)) == (0, 0, 0)
    assert all(np.isnan(row.fixations) for row in check.classes)


def test_the_classes_are_counted(prepared: Path):
    data = load_prepared(prepared)
    check = check_data(data)
    assert sum(row.cases for row in check.classes) == len(data)
    assert sum(row.with_gaze for row in check.classes) == len(check.counts) == data.cases["has_gaze"].sum()
    assert check.counts.sum() == len(check.durations_s) == len(data.fixations)
    assert check.gaze_sum.sum() == pytest.approx(data.fixations["duration_s"].sum())


def test_images_in_several_sizes_without_any_chest_are_checked_too(tmp_path: Path):
    source = small_source(tmp_path / "raw", cases=24)
    root = prepare_source(source, tmp_path / "DATA", PrepareConfig(size="64x64", workers=1)).root
    seen = []
    check = check_data(load_prepared(root), lambda done, total: seen.append((done, total)))
    assert check.errors == ()
    assert seen == [(number, 24) for number in range(1, 25)]


def test_labels_and_readings_of_the_gaze_are_told(root: Path):
    assert "readings" not in found(root, "fixations a case").value
    assert "labels of the fixations" not in {result.name for result in checked(root).results}
    half = {
        "label": lambda t: np.where(np.arange(len(t)) % 2, "CHF", ""),
        "reading_id": lambda t: np.arange(len(t)) % 3,
    }
    in_frame(**half)(root)
    labels = found(root, "labels of the fixations")
    assert (labels.level, labels.value) == ("ok", "50% name a finding, 1 of 3 classes")
    assert "in up to 3 readings" in found(root, "fixations a case").value
