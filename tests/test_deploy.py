"""The files for containers name options that exist, and Orthanc starts with its own."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from pathlib import Path

import pytest

from dicomweb.orthanc import Orthanc
from ggcam.commands.dicomweb_options import DicomwebOptions
from ggcam.commands.serve import serve

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


def test_the_options_of_the_service_exist():
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    given = set(re.findall(r"^\s+- --([a-z-]+)", text, flags=re.M))
    options = {*inspect.signature(serve).parameters, *(field.name for field in dataclasses.fields(DicomwebOptions))}
    assert "token-file" in given  # other machines can reach it
    assert {name.replace("-", "_") for name in given} <= options


def test_every_file_that_is_mounted_exists_or_is_a_secret():
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    mounted = re.findall(r"- \./([^:]+):", text)
    assert len(mounted) == 7
    guide = (ROOT / "docs/guides/pacs.md").read_text(encoding="utf-8")
    for name in mounted:
        assert (DEPLOY / name).is_file() or Path(name).name in guide, name


def test_orthanc_starts_with_its_settings_and_asks_for_a_password(tmp_path: Path):
    settings = json.loads((DEPLOY / "orthanc.json").read_text(encoding="utf-8"))
    assert settings["AuthenticationEnabled"] is True
    orthanc = Orthanc(tmp_path, settings)
    try:
        assert orthanc.rest("dicom-web/studies") == []
        assert orthanc.rest("system")["Name"] == "Research PACS"
    finally:
        orthanc.kill()


def test_the_image_runs_as_a_user_and_copies_files_that_exist():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "USER 10001" in lines
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in copied} <= set(sent)


@pytest.mark.parametrize("name", ["Dockerfile", "deploy/compose.yaml"])
def test_images_are_pinned(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    images = [image for image in re.findall(r"(?:FROM|image:) (\S+)", text) if image != "ggcam"]
    assert images
    assert [image for image in images if not re.search(r":v?\d+\.\d+\.\d+", image)] == []
