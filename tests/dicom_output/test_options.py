"""Which DICOM objects to write: invalid options name what is valid."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from ggcam.dicom_output.options import DicomOptions, check_highdicom, parse_kinds
from ggcam.errors import ConfigError


@pytest.mark.parametrize("text", ["", "pm,xx", "all"])
def test_an_unknown_kind_is_an_error_that_lists_the_kinds(text):
    with pytest.raises(ConfigError, match="pm, sr, sc, seg, pr"):
        parse_kinds(text)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kinds": ("sr", "pr")}, "add pm"),
        ({"kinds": ()}, "unknown kind"),
        ({"mask_threshold": 0.0}, "above 0, at most 1"),
        ({"mask_threshold": float("nan")}, "above 0, at most 1"),
    ],
)
def test_invalid_options_are_errors(wrong, words):
    with pytest.raises(ConfigError, match=words):
        DicomOptions(**wrong)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    check_highdicom("--dicom-out")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'ggcam\[dicom\]'"):
        check_highdicom("--dicom-out")


def test_importing_ggcam_does_not_import_highdicom():
    code = "import sys, ggcam, ggcam.cli, ggcam.commands.predict; sys.exit('highdicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
