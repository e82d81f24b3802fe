"""Every block of the README runs: shell blocks as they stand but for the number of cases and epochs."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

from ggcam.cli import main

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
SMALLER = {"1090": "40", "resnet10t": "test_resnet", "resnet18": "test_resnet", "6": "1"}


def commands() -> list[list[str]]:
    lines = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


def test_the_python_example_trains_and_has_at_most_twelve_lines():
    (example,) = [block for kind, block in BLOCKS if kind == "python"]
    assert len(example.splitlines()) <= 12
    points = torch.rand(4, 20, 2) * 200
    loader = [(torch.rand(4, 1, 256, 224), torch.tensor([0, 1, 2, 0]), points, torch.rand(4, 20))] * 2
    variables = {"loader": loader}
    exec(example, variables)
    assert torch.isfinite(variables["loss"])
    assert variables["output"].cam.shape == (4, 3, 32, 28)


def test_the_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = [words[1] for words in commands() if words[0] == "make"]
    assert targets == ["demo", "test"]
    assert all(f"\n{target}: " in makefile for target in targets)


def test_every_ggcam_command_runs_in_the_order_of_the_readme(simulated, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    download = tmp_path / "physionet.org" / "files"
    shutil.copytree(simulated, download / "egd-cxr" / "1.0.0", ignore=shutil.ignore_patterns("files"))
    shutil.copytree(simulated / "files", download / "mimic-cxr" / "2.0.0" / "files")
    for k, name in enumerate(("healthy", "ill")):
        folder = tmp_path / "my_images" / name
        folder.mkdir(parents=True)
        for number in range(12):
            image = torch.full((40, 40), 20 * number + k, dtype=torch.uint8).numpy()
            import cv2

            cv2.imwrite(str(folder / f"{number}.png"), image)
    for words in commands():
        if words[0] == "ggcam":
            smaller = [SMALLER.get(word, word) for word in words[1:]]
            if words[1] in ("train", "study"):
                smaller += ["--epochs", "1", "--batch-size", "8"]
            if words[1] == "prepare" and "--size" not in words:
                smaller += ["--size", "64x64"]
            main(smaller)
    for left in (
        "DATA-inspect.png",
        "run/mine/report.html",
        "run/egd/report.html",
        "answers/predictions.csv",
        "study/report.html",
        "mine.onnx",
        "answers_onnx/predictions.csv",
        "MINE",
    ):
        assert (tmp_path / left).exists()


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []
