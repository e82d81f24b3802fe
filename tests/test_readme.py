"""Every block of the README runs at a small size, and its tree names the files that are there."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import ggcam
from doc_pages import ROOT, blocks, commands, run_command, run_python

README = ROOT / "README.md"
SOURCE = ROOT / "src" / "ggcam"

NAMED_ROOMS = (
    *("utils", "gaze", "data", "data/sources", "data/prepare", "data/checks", "data/original", "models", "guidance"),
    *("metrics", "report", "training", "inference", "dicom_output", "dicomweb", "server"),
    *("evaluation", "study", "commands"),
)
"""Rooms in which the tree names every module."""


def test_the_python_example_trains_predicts_and_has_at_most_twelve_lines(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (example,) = [block.text for block in blocks(README) if block.language == "python"]
    assert len([line for line in example.splitlines() if line]) <= 12
    variables: dict = {}
    run_python(example, variables)
    assert variables["evaluation"].metrics["cases"] > 0
    assert variables["result"].predicted in ("Normal", "CHF", "pneumonia")
    assert variables["result"].cam["pneumonia"].shape == variables["data"].frame.shape


def test_every_command_runs_in_the_order_of_the_readme(simulated, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    download = tmp_path / "physionet.org" / "files"
    shutil.copytree(simulated, download / "egd-cxr" / "1.0.0", ignore=shutil.ignore_patterns("files"))
    shutil.copytree(simulated / "files", download / "mimic-cxr" / "2.0.0" / "files")
    for level, name in enumerate(("healthy", "ill")):
        folder = tmp_path / "my_images" / name
        folder.mkdir(parents=True)
        for number in range(12):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 40), 20 * number + level, np.uint8))
    for block in blocks(README):
        for words in commands(block) if block.language == "sh" else ():
            run_command(words)
    for name in (
        "DATA-inspect.png",
        "run/mine/report.html",
        "run/egd/report.html",
        "answers/predictions.csv",
        "study/report.html",
        "mine.onnx",
        "answers_onnx/predictions.csv",
        "NET.pt",
    ):
        assert (tmp_path / name).is_file()
    assert ggcam.load_prepared(tmp_path / "MINE").class_names == ("healthy", "ill")


def _tree() -> list[Path]:
    """Return the files and folders below src/ggcam that the tree names."""
    (tree,) = [block.text for block in blocks(README) if block.text.startswith("src/ggcam/")]
    named: list[Path] = []
    folders: list[Path] = []
    for line in tree.split("\n\nbenchmarks/")[0].splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.match(r"\s*((?:[\w.]+[/]?(?:, )?)+)", line)
        for name in re.findall(r"\w+\.py|\w+/", names.group(1)) if names else ():
            parent = folders[depth - 2] if depth > 1 else Path()
            named.append(parent / name)
            if name.endswith("/"):
                folders[depth - 1 :] = [parent / name]
    return named


def test_the_tree_names_only_files_that_exist():
    named = _tree()
    assert len(named) > 100
    assert [str(path) for path in named if not (SOURCE / path).exists()] == []
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("room", NAMED_ROOMS)
def test_the_tree_names_every_module(room: str):
    modules = {path.name for path in (SOURCE / room).glob("*.py")} - {"__init__.py"}
    assert {path.name for path in _tree() if path.parent == Path(room) and path.suffix} == modules


def test_the_tree_names_every_room():
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert {path.name for path in _tree() if not path.suffix and path.parent == Path()} == rooms
