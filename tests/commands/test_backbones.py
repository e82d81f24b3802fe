"""`ggcam backbones`."""

from __future__ import annotations

import pytest

from commands.calling import call, refusal


def test_families_and_limits_are_listed(capsys: pytest.CaptureFixture[str]):
    called = call(capsys, "backbones")
    assert called.code == 0
    for text in ("original GG-CAM", "resnet", "pit_*: it returns its class token", "mvitv2_*, nest_*: it needs square"):
        assert text in called.out


def test_networks_are_listed_with_their_grid(capsys: pytest.CaptureFixture[str]):
    called = call(capsys, "backbones", "test_resnet", "--size", "96x64")
    assert called.code == 0
    assert "CAM at 96x64" in called.out
    assert "3x2" in called.out
    assert "32 px" in called.out


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]):
    assert "no network has 'resnet_18' in its name" in refusal(capsys, "backbones", "resnet_18")
