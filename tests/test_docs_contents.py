"""What the documentation says about files, columns, names and commands is true and complete."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import pandas as pd

import ggcam
from doc_pages import DOCS
from ggcam.data.schema import MENTIONS
from ggcam.guidance.summary import summarise
from ggcam.training.typicality import INVERTED, MARKS, VIEW


def _tables(page: str, heading: str) -> set[str]:
    """Return the names in code font in the first column of a page's table under a heading."""
    text = (DOCS / page).read_text(encoding="utf-8")
    section = re.split(r"^#+ ", text.split(f"# {heading}\n")[1], flags=re.M)[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("|")]
    return {name for cell in rows for name in re.findall(r"`([^`]+)`", cell)}


def test_the_table_of_mentions_is_described():
    assert _tables("reference/prepared-folder.md", "mentions.parquet") == set(MENTIONS.names)


def test_tables_of_the_prepared_folder_are_described(prepared: Path):
    for name in ("cases", "fixations", "regions"):
        columns = set(pd.read_parquet(prepared / f"{name}.parquet").columns)
        assert _tables("reference/prepared-folder.md", f"{name}.parquet") - {"label_<class>"} == columns
    assert _tables("reference/prepared-folder.md", "dataset.toml") == set(ggcam.load_prepared(prepared).meta)


def test_files_of_a_run_are_described(trained: Path):
    described = _tables("reference/run-folder.md", "The run folder")
    net = next(path.parent.name for path in trained.glob("*/NET.pt"))
    files = {path.name + "/" * path.is_dir() for path in [*trained.iterdir(), *(trained / net).iterdir()]} - {f"{net}/"}
    class_name = net.partition("_")[0]
    sometimes = {"NET.onnx", "NET-int8.onnx", "lock", "divergence.txt"}
    assert {name.replace(class_name, "<Net>") for name in files} | sometimes == described


def test_the_table_of_guidances_is_that_of_the_registry():
    rows = []
    for name, guidance in ggcam.GUIDANCES.items():
        found = summarise(name, guidance)
        options = ", ".join(f"`{option}`" for option in found.options) or "-"
        rows.append(f"| `{name}` | {found.description} | {found.needs} | {options} | {found.source or '-'} |")
    text = (DOCS / "guidances.md").read_text(encoding="utf-8").replace("`vit_*`, `deit_*`", "vit_*, deit_*")
    assert "\n".join(rows) in text
    explained = set(re.findall(r"^\| `([^`]+)` \|", text.split("What holds for all of them")[1], flags=re.M))
    assert explained == set(ggcam.GUIDANCES) - {"none"}


def test_marks_are_described():
    assert _tables("guides/unusual-images.md", "What the marks mean") == {*MARKS, INVERTED, VIEW}


def test_tables_of_a_run_are_described(trained: Path):
    run = ggcam.open_run(trained)
    typicality = json.loads((trained / "typicality.json").read_text())
    inside = {"low", "high", "median", "marked", "by_mark"}
    assert set(typicality) | inside == _tables("reference/run-folder.md", "typicality.json") | inside
    assert set(run.history.columns) == _tables("reference/run-folder.md", "history.csv")
    columns = set(pd.read_parquet(trained / "predictions.parquet").columns)
    named = {re.sub(r"^(logit|probability)_.*", r"\1_<class>", column) for column in columns}
    assert named == _tables("reference/run-folder.md", "predictions.parquet")
    in_the_text = {"auroc_delong", "reliability", "evaluation", "uncalibrated", "temperature"}
    assert set(run.metrics) | {"faithfulness"} == _tables("reference/run-folder.md", "metrics.json") | in_the_text


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "reference/python.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"(?:auto\w+|data):: ([\w.]+)", text))
    assert {name for name in ggcam.__all__ if name not in documented} == {"__version__", "plots"} - documented


def test_every_command_is_in_the_reference():
    sys.path.insert(0, str(DOCS))
    generate = importlib.import_module("generate_commands")
    sys.path.remove(str(DOCS))
    page = generate.command_reference()
    for option in (
        "ggcam simulate",
        "--shortcut",
        "ggcam export",
        "--min-lr",
        "--faithfulness-cases",
        "ggcam prepare siim-acr",
        "--axis-order",
    ):
        assert option in page
