"""`ggcam prepare`: naming and recognising the source, and the options of each."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from commands.calling import call, refusal
from data.sources.reflacx_fixture import Reflacx
from data.sources.test_folder import add_image, write_text
from ggcam.commands.source_options import GENERAL_OPTIONS, accepted_options, documented_options
from ggcam.data.prepared import load_prepared
from ggcam.data.sources import READERS, command_line_name, option_names

SMALL = ("--size", "64x64", "--workers", "1")
OPTIONS = {name: set(option_names(reader.read)) - set(GENERAL_OPTIONS) for name, reader in READERS.items()}


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """REFLACX with six images."""
    data = Reflacx(tmp_path / "raw")
    for number in range(6):
        image = data.image(np.full((60, 50), 20 * number + 10, np.uint8))
        reading = data.reading(image, 2 + number % 2, Atelectasis=number, Pneumothorax=5 - number)
        data.look(reading, 10, 20)
    return data.write()


def flags_in(help_text: str) -> set[str]:
    """Options that a help text explains, with underscores."""
    return {flag.replace("-", "_") for flag in re.findall(r"^\W+ --([a-z-]+)", help_text, re.MULTILINE)}


# --- help


def test_the_help_lists_the_sources_but_not_their_options(capsys):
    called = call(capsys, "prepare", "--help")
    assert called.code == 0
    for name, reader in READERS.items():
        assert re.search(rf"{command_line_name(name)} +{re.escape(reader.summary)}", " ".join(called.out.split()))
    assert "ggcam prepare SOURCE --help" in called.out
    assert {"size", "split", "skip_missing", "source"} <= flags_in(called.out)
    assert not flags_in(called.out) & set.union(*OPTIONS.values())
    assert "None" not in called.out


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("form", ["{}", "--source {}", "--source={}"])
def test_the_help_of_a_source_explains_its_options_and_no_others(capsys, name: str, form: str):
    called = call(capsys, "prepare", *form.format(command_line_name(name)).split(), "--help")
    assert called.code == 0
    assert flags_in(called.out) & set.union(*OPTIONS.values()) == OPTIONS[name]
    assert READERS[name].expected_files in " ".join(called.out.split())
    assert "None" not in called.out
    assert ":class:" not in called.out


def test_every_option_is_documented_and_has_one_type_for_all_sources():
    by_name: dict[str, set[object]] = {}
    accepted = accepted_options(reader.read for reader in READERS.values())
    for name, reader in READERS.items():
        doc = documented_options(reader.read).__doc__ or ""
        for option in OPTIONS[name]:
            assert f"\n    {option}: " in doc, f"{name}: {option}"
        of_one = accepted_options([reader.read])
        for option, kind in type(of_one).__annotations__.items():
            by_name.setdefault(option, set()).add(kind)
            assert type(accepted).__annotations__[option] == kind
    assert all(len(kinds) == 1 for kinds in by_name.values())
    assert accepted.given() == {}


# --- the source is recognised or named


def test_a_recognised_source_takes_its_options(capsys, raw: Path, tmp_path: Path):
    out = tmp_path / "out"
    options = ("--phases", 2, 3, "--readings", "separate", "--min-certainty", 4)
    called = call(capsys, "prepare", raw, out, *options, *SMALL)
    assert called.code == 0, called.err
    assert "Atelectasis" in called.out
    assert load_prepared(out).label_matrix[:, 2].tolist() == [0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize("first", [("reflacx",), ("--source", "reflacx"), ("--source=reflacx",)])
def test_a_named_source_takes_its_options(capsys, raw: Path, tmp_path: Path, first: tuple[str, ...]):
    called = call(capsys, "prepare", *first, raw, tmp_path / "out", "--phases", 2, *SMALL)
    assert called.code == 0, called.err
    assert len(load_prepared(tmp_path / "out")) == 3


def test_the_former_name_of_the_original_still_works(capsys):
    called = call(capsys, "prepare", "released", "--help")
    assert flags_in(called.out) >= OPTIONS["original"]


@pytest.mark.parametrize("name", ["egd-cxr", "egd_cxr"])
def test_a_name_has_hyphens_or_underscores(capsys, simulated: Path, tmp_path: Path, name: str):
    split = ("--split-file", simulated / "split.csv")
    assert call(capsys, "prepare", name, simulated, tmp_path / "out", *split, *SMALL).code == 0
    assert load_prepared(tmp_path / "out").meta["source"] == "egd_cxr"


def test_a_table_is_read_by_its_options(capsys, tmp_path: Path):
    names = [f"{side}/{number}.png" for side in "ab" for number in range(3)]
    add_image(tmp_path / "raw", *names, height=40, width=30)
    table = write_text(tmp_path / "gaze.csv", "file,GX,GY", *(f"{name},130,220" for name in names))
    options = ["--fixations", table, "--columns", "image=file,x=GX,y=GY", "--units", "screen_px"]
    options += ["--image-rect", 100, 200, 160, 280, "--px-per-degree", 36]
    called = call(capsys, "prepare", "table", tmp_path / "raw", tmp_path / "out", *options, *SMALL)
    assert called.code == 0, called.err
    data = load_prepared(tmp_path / "out")
    case = data.cases.iloc[0]
    gaze = data.gaze[case["case_id"]]
    assert gaze.x_px[0] == pytest.approx(15 * case["scale_x"] + case["shift_x_px"])
    assert gaze.y_px[0] == pytest.approx(10 * case["scale_y"] + case["shift_y_px"])
    assert gaze.px_per_degree_x[0] == pytest.approx(18 * case["scale_x"])


def test_a_folder_with_the_name_of_a_source_is_given_as_a_path(capsys, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    add_image(tmp_path / "folder", *(f"{side}/{number}.png" for side in "ab" for number in range(10)))
    assert call(capsys, "prepare", "./folder", "out", *SMALL).code == 0
    assert len(load_prepared(tmp_path / "out")) == 20


def test_an_option_that_the_source_lacks_is_refused_with_the_sources_that_have_it(capsys, raw: Path, tmp_path: Path):
    for first in ((), ("reflacx",)):
        message = refusal(capsys, "prepare", *first, raw, tmp_path / "out", "--axis-order", "row-first")
        assert "the source reflacx has no option --axis-order" in message
        assert "--axis-order is an option of siim-acr" in message
    assert not (tmp_path / "out").exists()


def test_a_misspelled_option_or_source_is_refused(capsys, raw: Path, tmp_path: Path):
    assert "--dictation-window-s" in refusal(capsys, "prepare", raw, tmp_path / "out", "--dictation-window", 3)
    assert "egd-cxr, original" in refusal(capsys, "prepare", raw, tmp_path / "out", "--source", "egd")
    message = refusal(capsys, "prepare", "reflacx", raw, tmp_path / "out", "--source", "table")
    assert "the source is named twice where: reflacx, --source table" in message


# --- a function of the user's

OWN_SOURCE = '''
from pathlib import Path
import ggcam


def read(root: Path, letter: str = "a", scale: float | None = None, odd_only: bool = False) -> ggcam.Source:
    """Read my images.

    Args:
        root: folder with the images.
        letter: which images are healthy.
        scale: factor of the coordinates.
        odd_only: leave out images with an even number.
    """
    paths = sorted(root.glob("*[13579].png" if odd_only else "*.png"))
    cases = [ggcam.Case(path.stem, path.stem, int(path.name[0] != letter), path) for path in paths]
    return ggcam.Source("own", ("healthy", "ill"), tuple(cases), {f"scale {scale}": 1})
'''


@pytest.fixture
def own_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"own_source_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN_SOURCE)
    add_image(tmp_path / "raw", *(f"{letter}{number}.png" for letter in "ab" for number in range(10)))
    return f"{name}:read"


def test_a_function_of_the_users_is_a_source_and_its_parameters_are_options(capsys, own_source: str):
    called = call(capsys, "prepare", "raw", "out", "--source", own_source, "--letter", "b", "--scale", 2, *SMALL)
    assert called.code == 0, called.out + called.err
    data = load_prepared(Path("out"))
    assert (data.class_names, data.meta["source"], len(data)) == (("healthy", "ill"), "own", 20)
    assert data.cases.set_index("case_id").loc[["a1", "b1"], "label"].tolist() == [1, 0]
    assert data.meta["dropped"]["scale 2.0"] == 1
    assert call(capsys, "prepare", "raw", "odd", "--source", own_source, "--odd-only", *SMALL).code == 0
    assert len(load_prepared(Path("odd"))) == 10


def test_the_help_explains_the_options_of_a_function_of_the_users(capsys, own_source: str):
    text = " ".join(call(capsys, "prepare", "--source", own_source, "--help").out.split())
    assert "--letter STR which images are healthy. (default: a)" in text
    assert "--scale FLOAT factor of the coordinates. (optional)" in text
    assert "--odd-only, --no-odd-only leave out images with an even number. (default: off)" in text
    assert "None" not in text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no_such_module:read", "there is no module no_such_module"),
        ("math:read", "the module math has no read"),
        ("math:pi", "a source must be a function"),
        ("os:listdir", "the source os:listdir did not return a Source"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused(capsys, raw: Path, tmp_path: Path, source: str, message: str):
    assert message in refusal(capsys, "prepare", raw, tmp_path / "out", "--source", source)
