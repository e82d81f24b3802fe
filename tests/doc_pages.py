"""Run the code blocks of a documentation page as a reader would, in a folder of its own and at a small size."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from ggcam.cli import main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

SMALL_FLAGS = {"--size": "64x64", "--cases": "40", "--seeds": "1", "--backbone": "test_resnet"}
"""Flags of a command whose value is replaced."""

LEFT_OUT_FLAGS = ("--controls", "--strict")
"""Flags that a small data set cannot bear: four more arms, and no warning about so few cases."""

ADDED_FLAGS = {
    "simulate": ["--size", "96x80", "--workers", "1"],
    "prepare": ["--size", "64x64", "--workers", "1"],
    "train": ["--epochs", "1", "--batch-size", "8"],
    "study": ["--epochs", "1", "--batch-size", "8"],
}
"""Flags that are added to a command that does not have them."""

SMALL_PYTHON = {
    r"SimulationConfig\(cases=\d+": 'SimulationConfig(cases=40, size="96x80", workers=1',
    r'size="\d+x\d+"\)\)': 'size="64x64", workers=1))',
    r'TrainConfig\((.*)backbone="\w+"': r'TrainConfig(\1epochs=1, batch_size=8, backbone="test_resnet"',
    r"seeds=\d+, controls=True": "seeds=1",
}
"""Patterns in Python code -> their replacements."""


@dataclass(frozen=True)
class Block:
    """A code block: its language and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a Markdown page, or the code cells of a notebook."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        return [Block("python", "".join(cell["source"])) for cell in cells]
    return [Block(token.info.strip(), token.content) for token in MarkdownIt().parse(text) if token.type == "fence"]


def commands(block: Block) -> list[list[str]]:
    """Return the commands of a shell block as words."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def smaller(words: list[str]) -> list[str]:
    """Return a `ggcam` command, without its first word, that does the same in little time."""
    small = [word for word in words[1:] if word not in LEFT_OUT_FLAGS]
    for flag, value in SMALL_FLAGS.items():
        if flag in small:
            small[small.index(flag) + 1] = value
    added = ADDED_FLAGS.get(words[1], [])
    for flag, value in zip(added[::2], added[1::2], strict=True):
        small += [flag, value] if flag not in small else []
    return small


def run_command(words: list[str]) -> None:
    """Run a `ggcam` command; of any other program, check that what it names exists."""
    match words:
        case ["ggcam", *_]:
            main(smaller(words))
        case ["make", target]:
            assert f"\n{target}: " in (ROOT / "Makefile").read_text(), f"there is no make target {target}"
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module), f"there is no module {module}"
        case _:
            raise AssertionError(f"a block runs a program that the tests do not know: {shlex.join(words)}")


def run_python(code: str, variables: dict[str, Any]) -> None:
    """Execute a block, or write it to the file that its first line names: `# my_module.py`."""
    if name := re.match(r"# (\w+\.py)\n", code):
        Path(name.group(1)).write_text(code, encoding="utf-8")
        return
    for pattern, small in SMALL_PYTHON.items():
        code = re.sub(pattern, small, code)
    exec(compile(code, "<block>", "exec"), variables)


def run_page(page: Path) -> dict[str, Any]:
    """Run all shell and Python blocks of a page in order, in the current folder; return the Python variables."""
    variables: dict[str, Any] = {}
    for block in blocks(page):
        if block.language == "sh":
            for words in commands(block):
                run_command(words)
        elif block.language == "python":
            run_python(block.text, variables)
    return variables
