"""The check of the dependencies finds versions with known vulnerabilities."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from packaging.version import Version

ADVISORIES = [
    {"package": "torch", "fixed": "2.11.0", "id": "CVE-1"},
    {"package": "torch", "fixed": "2.13.0", "id": "CVE-2", "accepted": "not reachable"},
    {"package": "ray", "fixed": "2.56.0", "id": "CVE-3"},
]


@pytest.fixture(scope="module")
def check() -> ModuleType:
    path = Path(__file__).parents[1] / ".ci" / "check_versions.py"
    spec = importlib.util.spec_from_file_location("check_versions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_dependency_is_read_with_its_least_version(check):
    project = {
        "name": "mine",
        "dependencies": ["torch>=2.11,!=2.12.0", "Ray[default]>=2.9; python_version < '4'", "numpy"],
        "optional-dependencies": {"all": ["mine[extra]", "ray==2.60"], "extra": ["tomli_w~=1.0"]},
    }
    expected = [("torch", "2.11"), ("ray", "2.9"), ("numpy", None), ("ray", "2.60"), ("tomli-w", "1.0")]
    found = [(name, version and str(version)) for name, version in check.least_versions({"project": project})]
    assert found == expected


def test_a_version_below_the_fixed_one_is_a_problem(check):
    versions = [("torch", Version("2.11")), ("ray", Version("2.9")), ("numpy", None), ("scipy", Version("1.0"))]
    assert list(check.problems(versions, ADVISORIES, "pyproject.toml")) == [
        "pyproject.toml: ray 2.9 is below 2.56.0 (CVE-3)",
        "pyproject.toml: numpy has no least version",
    ]


def test_the_dependencies_of_this_project_have_no_known_vulnerability(check, capsys):
    assert check.main() == 0, capsys.readouterr().out


def test_a_pinned_version_below_the_fixed_one_is_a_problem(check):
    pinned = list(check.pinned_versions("absl-py==2.5.1\ntorch==2.10.0+cpu\n"))
    assert pinned[0] == ("absl-py", Version("2.5.1"))
    (problem,) = check.problems(pinned, ADVISORIES, "constraints.txt")
    assert problem == "constraints.txt: torch 2.10.0+cpu is below 2.11.0 (CVE-1)"
