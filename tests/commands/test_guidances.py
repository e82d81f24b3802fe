"""`ggcam guidances`."""

from __future__ import annotations

import pytest

from commands.calling import call
from ggcam.guidance import GUIDANCES
from ggcam.guidance.options import hyperparameters


def test_every_method_is_listed_with_its_options_and_source(capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    called = call(capsys, "guidances")
    assert called.code == 0
    for name, found in GUIDANCES.items():
        assert f" {name} " in called.out
        assert found.source in called.out
        for option, parameter in hyperparameters(found).items():
            assert f"{option}={str(parameter.default).lower()}" in called.out.lower()
    assert "attention; a head of its own" in called.out
    assert "a plain vision transformer (vit_*, deit_*)" in called.out
