"""Importing an object that the user names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ggcam.errors import ConfigError
from ggcam.utils.user_code import import_object, is_reference


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with Python's path and modules restored afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.parametrize("text", ["my_module:read", "package.module:Name"])
def test_a_module_and_a_name_are_a_reference(text: str):
    assert is_reference(text)


@pytest.mark.parametrize(
    "text", ["read", "my-module:read", "my_module:", ":read", "C:\\folder", "a:b:c", "a b:c", "a:2"]
)
def test_anything_else_is_not(text: str):
    assert not is_reference(text)
    with pytest.raises(ConfigError, match=r"not a reference(.|\n)*--source(.|\n)*my_module:name"):
        import_object(text, "--source")


def test_an_object_in_the_current_directory_is_found_and_never_shadows_an_installed_module(here: Path):
    (here / "own_code_a.py").write_text("def read(root):\n    return root\n")
    (here / "colorsys.py").write_text("def hls_to_rgb():\n    return 'mine'\n")
    sys.modules.pop("colorsys", None)
    assert import_object("own_code_a:read", "--source")(5) == 5
    assert import_object("colorsys:hls_to_rgb", "--source")(0, 0, 0) == (0, 0, 0)


@pytest.mark.parametrize(
    ("reference", "content", "message"),
    [
        ("own_code_b:read", None, r"there is no module own_code_b(.|\n)*own_code_b\.py in (.|\n)*PYTHONPATH"),
        ("own_code_c:read", "import not_installed_anywhere", r"cannot be imported(.|\n)*not_installed_anywhere"),
        ("own_code_d:read", "def read(:", r"cannot be imported(.|\n)*SyntaxError"),
        ("own_code_e:read", "1 / 0", r"cannot be imported(.|\n)*ZeroDivisionError: division by zero"),
        ("own_code_f:read", "def load(): ...\n_hidden = print", r"own_code_f has no read(.|\n)*one of load$"),
    ],
)
def test_a_failing_import_says_why(here: Path, reference: str, content: str | None, message: str):
    if content is not None:
        (here / f"{reference.partition(':')[0]}.py").write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        import_object(reference, "--source")
    assert f"--source {reference}" in str(caught.value)
