"""Weights that timm provides: unknown ones, and missing connections, are reported at once and in words."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ggcam.errors import ConfigError
from ggcam.models import hub
from ggcam.models.backbones import create_backbone
from ggcam.training.config import TrainConfig
from ggcam.utils.telemetry import disable_telemetry


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(hub, "getproxies", dict)


@pytest.mark.usefixtures("offline")
def test_without_a_connection_the_repository_and_the_way_around_are_named():
    with pytest.raises(ConfigError, match=r"no connection to Hugging Face(.|\n)*timm/resnet18.a1_in1k(.|\n)*--weights"):
        create_backbone("hf-hub:timm/resnet18.a1_in1k", (64, 64), pretrained=True)


@pytest.mark.usefixtures("offline")
def test_weights_that_were_downloaded_before_need_no_connection(monkeypatch):
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda repository, file: str(Path(repository, file)))
    hub.check_download("resnet18")


@pytest.mark.usefixtures("offline")
def test_behind_a_proxy_the_name_of_the_server_need_not_be_known(monkeypatch):
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "proxy:3128"})
    hub.check_download("resnet18")


def test_a_network_without_pretrained_weights_is_refused():
    with pytest.raises(ConfigError, match="timm provides no weights for beit3_giant_patch14_224"):
        hub.check_download("beit3_giant_patch14_224")


@pytest.mark.parametrize("pretrained", [False, True])
def test_an_unknown_tag_is_refused_with_those_that_there_are(pretrained):
    with pytest.raises(ConfigError, match=r"tag 'nope'(.|\n)*resnet18.a1_in1k"):
        create_backbone("resnet18.nope", (64, 64), pretrained=pretrained)


@pytest.mark.parametrize(
    "name", ["hf-hub:timm/resnet10t.c3_in1k", "hf_hub:timm/resnet10t.c3_in1k", "timm/resnet10t.c3_in1k"]
)
def test_a_repository_of_timm_is_recorded_by_timms_own_name(name):
    assert TrainConfig(backbone=name).backbone == "resnet10t.c3_in1k"
    assert create_backbone(name, (64, 64)).num_features == 512


def test_other_repositories_are_refused_with_a_way_to_use_their_files():
    with pytest.raises(ConfigError, match=r"no network 'hf-hub:someone/net'(.|\n)*its architecture(.|\n)*--weights"):
        create_backbone("hf-hub:someone/net", (64, 64))


def test_requests_do_not_describe_the_installation():
    disable_telemetry()
    import huggingface_hub

    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY
