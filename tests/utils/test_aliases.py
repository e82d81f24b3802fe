"""The word `released` for `original`, on the command line and in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from ggcam import create_backbone, create_guidance
from ggcam.cli import main
from ggcam.data.sources import read
from ggcam.errors import ConfigError, GGCamError
from ggcam.guidance import OriginalGuidance
from ggcam.inference.export import export_run
from ggcam.models.original_nets import OriginalResNet
from ggcam.study.plan import plan_study
from ggcam.training.config import TrainConfig
from ggcam.utils.aliases import canonical_arguments, canonical_name


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("released", "original"),
        ("released-resnet-50", "original-resnet-50"),
        ("Released-EffNet-S", "original-EffNet-S"),
        ("effnet-released", "effnet-original"),
        ("original", "original"),
        ("resnet18", "resnet18"),
        ("released.module:Guidance", "released.module:Guidance"),
        ("unreleased", "unreleased"),
        ("released_net", "released_net"),
    ],
)
def test_released_is_replaced_as_a_whole_word(alias: str, name: str):
    assert canonical_name(alias) == name


def test_command_line_options_with_choices_accept_the_alias():
    old = ["train", "released", "--preset", "effnet-released", "--preset=resnet-released", "--out", "released"]
    assert canonical_arguments(old) == [
        *("train", "released", "--preset", "effnet-original", "--preset=resnet-original", "--out", "released")
    ]
    assert canonical_arguments(["--format", "released", "--write-released", "released"]) == [
        *("--format", "original", "--write-original", "released")
    ]


def test_python_functions_accept_the_alias(tmp_path: Path):
    assert type(create_guidance("released")) is OriginalGuidance
    assert isinstance(create_backbone("released-resnet-18", (64, 64)), OriginalResNet)
    config = TrainConfig(guidance="released", backbone="released-effnet-s")
    assert (config.guidance, config.backbone) == ("original", "original-effnet-s")
    arms = plan_study(TrainConfig(), ["none", "released"], seeds=1).arms
    assert [arm.guidance for arm in arms] == ["none", "original"]
    (tmp_path / "raw").mkdir()
    with pytest.raises(GGCamError) as of_alias:
        read(tmp_path / "raw", "released")
    with pytest.raises(GGCamError) as of_name:
        read(tmp_path / "raw", "original")
    assert str(of_alias.value) == str(of_name.value)


def test_export_accepts_the_alias_and_refuses_unknown_formats(tmp_path: Path):
    with pytest.raises(GGCamError, match="run folder"):
        export_run(tmp_path / "run", "released", tmp_path / "NET.pt")
    with pytest.raises(ConfigError, match="onnx, onnx-int8, bundle, original"):
        export_run(tmp_path / "run", "pickle", tmp_path / "NET.pt")


@pytest.mark.parametrize(
    "arguments",
    [
        ("prepare", "RAW", "OUT", "--preset", "released"),
        ("prepare", "RAW", "OUT", "--source", "released", "--write-released", "PT"),
        ("train", "DATA", "--preset", "effnet-released"),
        ("train", "DATA", "--guidance", "released", "--backbone", "released-resnet-18"),
        ("study", "DATA", "--guidance", "none,released"),
        ("export", "RUN", "--format", "released"),
    ],
)
def test_commands_accept_the_alias(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    messages = []
    for given in (arguments, [each.replace("released", "original") for each in arguments]):
        with pytest.raises(SystemExit, match="2"):
            main(list(given))
        messages.append(capsys.readouterr().err)
    # The folders do not exist: both fail there, and not at the option.
    assert messages[0] == messages[1]
    assert "ggcam: " in messages[0]
    assert "where:" in messages[0]
