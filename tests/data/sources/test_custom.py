"""A source of the user's own: a function, in Python or named as my_module:read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import ggcam
from data.sources.test_folder import add_image
from ggcam.data import sources
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.errors import ConfigError, DataError, GGCamError, MissingFileError


def read_pairs(root: Path, suffix: str = ".png", skip_missing: bool = False) -> ggcam.Source:
    """Two images, one with gaze."""
    gaze = ggcam.Fixations.build([3.0], [4.0], 0.5)
    cases = (
        ggcam.Case("a", "p1", 0, root / f"a{suffix}", {"1": gaze}),
        ggcam.Case("b", "p2", 1, root / f"b{suffix}"),
    )
    return ggcam.Source("pairs", ("healthy", "ill"), cases, {"skipped": int(skip_missing)})


def test_a_function_is_a_source_with_options_of_its_own(tmp_path: Path):
    source = sources.read(tmp_path, read_pairs, suffix=".jpg")
    assert source.name == "pairs"
    assert source.cases[1].image == tmp_path / "b.jpg"
    assert sources.read(tmp_path, read_pairs, skip_missing=True).dropped == {"skipped": 1}


def test_skip_missing_is_passed_only_to_a_function_that_has_it(tmp_path: Path):
    assert sources.read(tmp_path, lambda root: read_pairs(root), skip_missing=True).dropped == {"skipped": 0}


def test_a_function_is_found_by_module_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    code = "import ggcam\ndef read(root):\n    return ggcam.Source('mine', ('x', 'y'), ())\n"
    (tmp_path / "source_of_test_custom.py").write_text(code)
    assert sources.read(tmp_path, "source_of_test_custom:read").name == "mine"
    with pytest.raises(ConfigError, match=r"has no load(.|\n)*read"):
        sources.read(tmp_path, "source_of_test_custom:load")


def test_an_unknown_option_names_the_formats_that_have_it(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"read_pairs has no option --axis-order(.|\n)*--suffix(.|\n)*of siim-acr"):
        sources.read(tmp_path, read_pairs, axis_order="row-first")
    with pytest.raises(ConfigError, match="has no option --colour") as caught:
        sources.read(tmp_path, read_pairs, colour="red")
    assert "hint" not in str(caught.value)


def fail(root: Path):
    return {}["file"]


def refuse(root: Path):
    raise MissingFileError("study.csv does not exist", where=root)


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (fail, DataError, r"the source fail failed(.|\n)*test_custom\.py:\d+(.|\n)*KeyError: 'file'"),
        (refuse, MissingFileError, "^study.csv does not exist"),
        (lambda root: [1], ConfigError, r"did not return a Source(.|\n)*got: list"),
        ("not a function", ConfigError, "unknown source"),
        ("math:pi", ConfigError, r"a source must be a function(.|\n)*--source math:pi(.|\n)*got: float"),
    ],
)
def test_a_function_that_fails_is_reported_with_place_and_reason(tmp_path: Path, function, kind, message):
    with pytest.raises(GGCamError, match=message) as caught:
        sources.read(tmp_path, function)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("patient_id", 7, r"patient_id of the wrong type(.|\n)*case a(.|\n)*str(.|\n)*7 \(int\)"),
        ("case_id", 3, "case_id of the wrong type"),
        ("label", "ill", r"label of the wrong type(.|\n)*int or tuple(.|\n)*'ill' \(str\)"),
        ("image", "a.png", "image of the wrong type"),
    ],
)
def test_an_attribute_of_another_type_is_refused(tmp_path: Path, attribute: str, value: object, message: str):
    source = read_pairs(tmp_path)
    object.__setattr__(source.cases[0], attribute, value)  # types are not checked at run time outside the tests
    with pytest.raises(DataError, match=message):
        sources.read(tmp_path, lambda root: source)


def test_its_cases_are_prepared(tmp_path: Path):
    add_image(tmp_path / "raw", "a.png", "b.png", height=40, width=30)
    config = PrepareConfig(size="64x64", workers=1, split_fractions=(1.0, 0.0, 0.0))
    data = prepare(tmp_path / "raw", tmp_path / "out", config, source=read_pairs)
    assert data.cases["has_gaze"].tolist() == [True, False]
    assert data.fixations["duration_s"].tolist() == [0.5]
