"""Each check finds its damage, and none reports correct data of several seeds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from ggcam.data.case import ANATOMY_REGIONS
from ggcam.data.checks.check import DataCheck, check_data
from ggcam.data.checks.result import CheckResult, Level
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import load_prepared
from ggcam.data.schema import MENTIONS
from ggcam.data.sources import egd_cxr
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.simulator import simulate
from small_source import small_source

Damage = Callable[[Path], object]


def run_checks(root: Path) -> DataCheck:
    return check_data(load_prepared(root))


def result_of(root: Path, name: str) -> CheckResult:
    return next(result for result in run_checks(root).results if result.name == name)


def problems(root: Path) -> list[tuple[str, Level]]:
    return [(result.name, result.level) for result in run_checks(root).results if result.level != "ok"]


def edit_table(name: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Damage:
    def damage(root: Path) -> None:
        edit(pd.read_parquet(root / name)).to_parquet(root / name, index=False)

    return damage


def edit_raw(edit: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Damage:
    """Change the positions of the fixations in pixels of the raw image."""

    def damage(root: Path) -> None:
        table = pd.read_parquet(root / "fixations.parquet")
        affine = pd.read_parquet(root / "cases.parquet").set_index("case_id").loc[table["case_id"]]
        scale_x, scale_y, shift_x, shift_y = (
            affine[name].to_numpy() for name in ("scale_x", "scale_y", "shift_x_px", "shift_y_px")
        )
        x, y = edit((table["x_px"] - shift_x) / scale_x, (table["y_px"] - shift_y) / scale_y)
        table.assign(x_px=scale_x * x + shift_x, y_px=scale_y * y + shift_y).to_parquet(root / "fixations.parquet")

    return damage


def edit_fixations(**columns: Callable[[pd.DataFrame], object]) -> Damage:
    return edit_table("fixations.parquet", lambda table: table.assign(**columns))


def edit_cases(**columns: Callable[[pd.DataFrame], object]) -> Damage:
    return edit_table("cases.parquet", lambda table: table.assign(**columns))


def without_attention(root: Path) -> None:
    """Say that no case has gaze, and remove the regions of findings."""
    edit_cases(has_gaze=lambda table: False)(root)
    edit_table("regions.parquet", lambda table: table[table["name"].isin(ANATOMY_REGIONS)])(root)


def copy_image(onto: Callable[[pd.Series], bool]) -> Damage:
    """Replace the image of the first other case that meets a condition by that of the first case."""

    def damage(root: Path) -> None:
        cases = pd.read_parquet(root / "cases.parquet")
        cases["first_split"] = cases["split"].iloc[0]
        other = next(row for _, row in cases.iloc[1:].iterrows() if onto(row))
        shutil.copy(root / cases["image"].iloc[0], root / other["image"])

    return damage


def blank(root: Path) -> None:
    image = next((root / "images").iterdir())
    cv2.imwrite(str(image), np.full_like(cv2.imread(str(image), cv2.IMREAD_UNCHANGED), 7))


def edit_images(edit: Callable[[np.ndarray], np.ndarray], number: int = 1) -> Damage:
    """Change the pixels of the first images."""

    def damage(root: Path) -> None:
        for image in sorted((root / "images").iterdir())[:number]:
            cv2.imwrite(str(image), edit(cv2.imread(str(image), cv2.IMREAD_UNCHANGED)))

    return damage


def remove_lungs(root: Path) -> None:
    shutil.rmtree(root / "masks")
    edit_cases(masks=lambda table: None)(root)
    edit_table("regions.parquet", lambda table: table[~table["name"].str.contains("lung")])(root)


def keep_three_fixations(root: Path) -> None:
    edit_table("fixations.parquet", lambda table: table.groupby("case_id").head(3))(root)


def duplicate_gaze(root: Path) -> None:
    table = pd.read_parquet(root / "fixations.parquet")
    first, second = table["case_id"].unique()[:2]
    copied = table[table["case_id"] == first].assign(case_id=second)
    pd.concat([table[table["case_id"] != second], copied]).to_parquet(root / "fixations.parquet", index=False)


def put_patient_in_two_splits(root: Path) -> None:
    cases = pd.read_parquet(root / "cases.parquet")
    tested, trained = (cases.index[cases["split"] == split][0] for split in ("test", "train"))
    cases.loc[tested, "patient_id"] = cases.loc[trained, "patient_id"]
    cases.to_parquet(root / "cases.parquet", index=False)


def set_dropped_off_image(times: float) -> Damage:
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
    """A copy of the prepared data that a test may damage."""
    return Path(shutil.copytree(prepared, tmp_path / "DATA"))


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("size", ["64x64", "96x64"])
def test_correct_data_pass(tmp_path_factory: pytest.TempPathFactory, seed: int, size: str):
    raw = tmp_path_factory.getbasetemp() / f"healthy_{seed}"
    if not raw.exists():
        simulate(raw, SimulationConfig(cases=40, size="96x80", seed=seed, workers=1))
    data = raw.with_name(f"{raw.name}_{size}")
    prepare_source(egd_cxr.read(raw), data, PrepareConfig(size=size, split_file=raw / "split.csv", workers=1))
    assert problems(data) == []
    remove_lungs(data)
    assert problems(data) == []


@pytest.mark.parametrize(
    ("damage", "name", "level", "text"),
    [
        (edit_fixations(x_px=lambda t: t.y_px, y_px=lambda t: t.x_px), "axes of the gaze", "error", "swapping x and y"),
        (edit_raw(lambda x, y: (y, x)), "axes of the gaze", "error", "swapping x and y"),
        (edit_raw(lambda x, y: (y * 80 / 96, x * 96 / 80)), "axes of the gaze", "error", "swapping x and y"),
        (edit_raw(lambda x, y: (x, 96 - y)), "axes of the gaze", "error", "flipping it vertically"),
        (edit_fixations(x_px=lambda t: t.x_px / 2, y_px=lambda t: t.y_px / 2), "scale of the gaze", "error", "width"),
        (edit_raw(lambda x, y: (x / 2, y / 2)), "scale of the gaze", "error", "doubling"),
        (edit_raw(lambda x, y: (x / 1.5, y / 1.5)), "scale of the gaze", "error", "by 1.5"),
        (edit_raw(lambda x, y: (x / 2, y)), "scale of the gaze", "warning", "width"),
        (edit_raw(lambda x, y: (x * 2, y * 2)), "scale of the gaze", "error", "halving"),
        (edit_raw(lambda x, y: (x * 2, y * 2)), "gaze on the image", "error", "% of the time"),
        (edit_raw(lambda x, y: (x, y + 30)), "gaze on the image", "warning", "% of the time"),
        (edit_raw(lambda x, y: (x + 40, y)), "gaze on the lungs", "warning", "of the image"),
        (edit_raw(lambda x, y: (0 * x + 40, 0 * y + 40)), "entropy of the gaze maps", "warning", "0 at one point"),
        (put_patient_in_two_splits, "patients", "error", "1 in several splits"),
        (copy_image(lambda case: case["split"] != case["first_split"]), "duplicate images", "error", " = "),
        (copy_image(lambda case: case["split"] == case["first_split"]), "duplicate images", "error", " = "),
        (blank, "blank images", "error", "1: "),
        (edit_images(lambda i: i // 16), "nearly black images", "warning", "1: "),
        (edit_images(lambda i: i // 16 + 239), "nearly white images", "warning", "1: "),
        (edit_images(lambda i: i // 8 * 8), "images with under 64 grey levels", "warning", "1: "),
        (edit_cases(flags=lambda t: "few grey levels"), "images with under 64 grey levels", "warning", "60: "),
        (edit_images(lambda i: 255 - i, 4), "images inverted against the others", "warning", "4: "),
        (lambda root: (root / "images" / "x.png").touch(), "files without a case", "warning", "x.png"),
        (edit_cases(split=lambda t: t["split"].replace("valid", "train")), "classes", "warning", "any case in valid"),
        (without_attention, "images without gaze", "warning", "60 of 60"),
        (edit_cases(has_gaze=lambda t: False), "gaze off the frame", "warning", "55: "),
        (set_dropped_off_image(0.5), "fixations off the image", "warning", "33.3%"),
        (set_dropped_off_image(2.0), "fixations off the image", "error", "66.7%"),
        (edit_fixations(duration_s=lambda t: 1000 * t["duration_s"]), "duration of the fixations", "error", "median"),
        (edit_fixations(duration_s=lambda t: 10 * t["duration_s"]), "duration of the fixations", "warning", "median"),
        (edit_fixations(start_s=lambda t: -t["start_s"]), "order in time", "warning", "violated in 55"),
        (keep_three_fixations, "fixations per case", "warning", "100%"),
        (edit_fixations(label=lambda t: "lump"), "labels of the fixations", "warning", "not a class: lump"),
        (duplicate_gaze, "duplicate gaze", "warning", " = "),
    ],
)  # fmt: skip
def test_each_check_finds_its_damage(root: Path, damage: Damage, name: str, level: Level, text: str):
    damage(root)
    result = result_of(root, name)
    assert (result.level, text in result.value, bool(result.hint)) == (level, True, True), result


@pytest.mark.parametrize(
    "damage",
    [
        put_patient_in_two_splits,
        copy_image(lambda case: True),
        blank,
        edit_images(lambda i: 255 - i, 4),
        set_dropped_off_image(2.0),
        duplicate_gaze,
    ],
)
def test_no_other_check_reports_the_damage(root: Path, damage: Damage):
    damage(root)
    assert len(problems(root)) == 1


def test_swapped_axes_are_not_reported_as_scale(root: Path):
    edit_raw(lambda x, y: (y * 80 / 96, x * 96 / 80))(root)
    assert problems(root) == [("axes of the gaze", "error")]


def test_without_known_lungs_swapped_axes_are_a_warning(root: Path):
    remove_lungs(root)
    edit_raw(lambda x, y: (y * 80 / 96, x * 96 / 80))(root)
    result = result_of(root, "axes of the gaze")
    assert (result.level, "usual position of the lungs" in result.value) == ("warning", True)


def test_copies_of_one_patient_in_one_split_are_a_warning(root: Path):
    cases = pd.read_parquet(root / "cases.parquet")
    first, second = cases.index[cases["split"] == "train"][:2]
    cases.loc[second, "patient_id"] = cases.loc[first, "patient_id"]
    cases.to_parquet(root / "cases.parquet", index=False)
    shutil.copy(root / cases.loc[first, "image"], root / cases.loc[second, "image"])
    assert problems(root) == [("duplicate images", "warning")]
    assert run_checks(root).copies == ((cases.loc[first, "case_id"], cases.loc[second, "case_id"]),)


def test_the_axes_of_a_few_cases_are_not_checked(root: Path):
    edit_raw(lambda x, y: (y, x))(root)
    cases = pd.read_parquet(root / "cases.parquet")
    kept = cases[cases["has_gaze"]].groupby("split").head(5)
    kept.to_parquet(root / "cases.parquet", index=False)
    edit_table("fixations.parquet", lambda table: table[table["case_id"].isin(kept["case_id"])])(root)
    edit_table("regions.parquet", lambda table: table[table["case_id"].isin(kept["case_id"])])(root)
    result = result_of(root, "axes of the gaze")
    assert (result.level, "fewer than 20 cases" in result.value) == ("ok", True)


def test_without_any_gaze_the_images_are_still_checked(root: Path):
    edit_table("fixations.parquet", lambda table: table.head(0))(root)
    without_attention(root)
    check = run_checks(root)
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


def test_images_of_several_sizes_without_a_chest_are_checked(tmp_path: Path):
    source = small_source(tmp_path / "raw", cases=24)
    root = prepare_source(source, tmp_path / "DATA", PrepareConfig(size="64x64", workers=1)).root
    seen = []
    check = check_data(load_prepared(root), lambda done, total: seen.append((done, total)))
    assert check.errors == ()
    assert seen == [(number, 24) for number in range(1, 25)]


def test_labels_and_readings_of_the_gaze_are_reported(root: Path):
    assert "readings" not in result_of(root, "fixations per case").value
    assert "labels of the fixations" not in {result.name for result in run_checks(root).results}
    half = {
        "label": lambda t: np.where(np.arange(len(t)) % 2, "CHF", ""),
        "reading_id": lambda t: np.arange(len(t)) % 3,
    }
    edit_fixations(**half)(root)
    labels = result_of(root, "labels of the fixations")
    assert (labels.level, labels.value) == ("ok", "50% name a finding, 1 of 3 classes")
    assert "in up to 3 readings" in result_of(root, "fixations per case").value


def test_findings_in_dictations_are_reported(prepared: Path):
    data = load_prepared(prepared)
    name = "findings in the dictations"
    assert name not in {result.name for result in check_data(data).results}
    ids = data.fixations.iloc[0][["case_id", "reading_id"]].tolist()
    rows = [(*ids, "CHF", 1.0, 2.0, "left", ""), (*ids, "CHF", 4.0, 5.0, "", "lower")]
    for extra, level in (([], "ok"), ([(*ids, "lump", 6.0, 7.0, "", "")], "warning")):
        named = replace(data, mentions=pd.DataFrame(rows + extra, columns=MENTIONS.names))
        result = next(each for each in check_data(named).results if each.name == name)
        assert result.level == level
        assert ("not a class: lump" in result.value) == (level == "warning")
        assert result.value.startswith(f"{len(rows) + len(extra)} in ")
        assert f"{1 / (2 + len(extra)):.0%} of them with a side" in result.value


# --- data other than chest X-rays with gaze


def test_gaze_on_other_images_is_not_compared_with_the_lungs(prepared: Path):
    data = load_prepared(prepared)
    names = {result.name for result in check_data(data).results}
    photographs = replace(data, meta={**data.meta, "kind": "other"})
    results = check_data(photographs).results
    assert names - {result.name for result in results} == {"gaze on the lungs", "axes of the gaze"}
    scale = next(result for result in results if result.name == "scale of the gaze")
    assert "lungs" not in scale.value


def test_regions_of_findings_guide_as_gaze_does(prepared: Path):
    data = load_prepared(prepared)
    without = replace(data, cases=data.cases.assign(has_gaze=False), fixations=data.fixations[:0])
    result = next(result for result in check_data(without).results if result.name == "images without gaze")
    assert result.level == "ok"
    assert "with regions of findings" in result.value
    nothing = replace(without, regions=data.regions[:0])
    result = next(result for result in check_data(nothing).results if result.name == "images without gaze")
    assert result.level == "warning"
