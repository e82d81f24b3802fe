"""The tables of docs/evidence.md agree with the CSV files beside it."""

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "docs" / "evidence"


@pytest.fixture
def plots(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("experiments.evidence_plots")


def test_tables_in_the_text_are_those_of_the_csv_files(plots: ModuleType):
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    parts = [part for part in plots.PARTS if not part.startswith("curve")]
    same_steps = [part for part in plots.PARTS if part.startswith("curve-")]
    assert plots.markdown(TABLES, "resnet18-shortcut") in text
    assert plots.across_markdown(TABLES, parts) in text
    for metric in plots.MAIN_METRICS:
        assert plots.arms_markdown(TABLES, parts, metric) in text
    assert plots.curve_markdown(TABLES, same_steps) in text


def test_the_text_leads_to_every_file():
    named = re.findall(r"\]\((evidence/[^)]+)\)", (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8"))
    assert {f"evidence/{path.name}" for path in TABLES.iterdir()} == set(named)


def test_tables_of_real_images_in_the_text_are_those_of_the_csv_files(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT))
    tables = importlib.import_module("experiments.real_images_tables")
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    for part in tables.PARTS:
        assert tables.summary_markdown(TABLES, part) in text
    for metric in ("hit_rate", "best_iou"):
        assert tables.findings_markdown(TABLES, "nih-pretrained", metric) in text
    assert tables.agreement_markdown(TABLES, "poet") in text
