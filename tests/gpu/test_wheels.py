"""`make gpu` downloads nothing: it needs what comes with PyTorch and a few other packages, and the wheels."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

COMES_WITH_PYTORCH = {
    "cv2", "huggingface_hub", "hypothesis", "jaxtyping", "jinja2", "filelock", "lightning", "matplotlib", "numpy",
    "pandas", "PIL", "pyarrow", "pytest", "rich", "safetensors", "scipy", "sklearn", "threadpoolctl", "timm", "torch",
}  # fmt: skip
"""Packages that are taken for granted: PyTorch's, timm's and Lightning's own, and those for tables, plots and tests."""

OURS = {"benchmarks", "commands", "ggcam", "gpu", "multilabel_fixture", "typechecker"}

ON_DEMAND = ("dicom_output", "server", "dicomweb")
"""Rooms that nothing in training and its benchmarks imports."""

RUN_THERE = [
    *(path for path in (ROOT / "src" / "ggcam").rglob("*.py") if path.parent.name not in ON_DEMAND),
    *(ROOT / "benchmarks" / "gpu").glob("*.py"),
    *(
        ROOT / "benchmarks" / f"{name}.py"
        for name in ("gpu_step", "training_ways", "raw_cases", "record", "side_by_side")
    ),
    *(ROOT / "tests" / "gpu").glob("*.py"),
    *(ROOT / "tests" / f"{name}.py" for name in ("conftest", "typechecker", "multilabel_fixture")),
]


def wheels() -> set[str]:
    lines = (ROOT / "benchmarks" / "gpu_wheels.txt").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def imported_at_once(path: Path) -> Iterator[str]:
    """Yield the packages that a file imports when it is imported itself, not later inside a function."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("path", RUN_THERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_at_once_is_there(path):
    missing = set(imported_at_once(path)) - COMES_WITH_PYTORCH - OURS - wheels() - set(sys.stdlib_module_names)
    assert not missing, "import it only where it is used, or add it to benchmarks/gpu_wheels.txt"


def test_every_wheel_has_a_version():
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert wheels() <= set(pinned)
