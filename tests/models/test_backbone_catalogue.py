"""Which networks can be a backbone: lists, limits, and what is found out by trying."""

from __future__ import annotations

import re

import pytest
import timm

from doc_pages import DOCS
from ggcam.errors import ConfigError
from ggcam.models.backbone_catalogue import ORIGINAL, XRV, find_networks, list_families, try_networks
from ggcam.models.backbone_limits import LIMITS, find_limit
from ggcam.models.backbones import create_backbone

REFUSED = {
    "pit_ti_224": "returns its class token",
    "volo_d1_224": "another layout",
    "coat_lite_tiny": "several sets of tokens",
    "crossvit_tiny_240": "several sets of tokens",
    "efficientvim_m1": "several stages",
    "csatv2": "colour images",
    "efficientformer_l1": "224x224",
    "convit_tiny": "square images",
    "mvitv2_tiny": "square images",
    "nest_tiny": "square images",
    "halonet26t": "multiples of 256",
    "bat_resnext26ts": "multiples of 256",
    "mobilevitv2_050": "multiples of 64",
    "mobilenetv5_base": "512x512",
    "qwen3_vit_88m_merge": "merges its features",
}


def test_the_families_hold_every_network_once():
    families = list_families()
    assert [family.name for family in families[:2]] == [ORIGINAL, XRV]
    names = [name for family in families[2:] for name in family.networks]
    assert sorted(names) == sorted(timm.list_models())


def test_networks_are_found_by_a_part_of_their_name_or_a_pattern():
    assert find_networks("original-eff") == [f"original-effnet-{size}" for size in ("s", "m", "l", "xl")]
    assert find_networks("test_resnet") == ["test_resnet"]
    assert find_networks("test_?it") == ["test_vit"]
    assert find_networks("nothing") == []


def test_every_pattern_of_a_limit_is_that_of_a_network():
    assert all(timm.list_models(pattern) for limit in LIMITS for pattern in limit.names)


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_a_network_that_cannot_be_a_backbone_is_refused_in_words(name, reason):
    with pytest.raises(ConfigError, match=f"{name} cannot be the backbone for these images: .*{reason}"):
        create_backbone(name, (200, 152))


def test_limits_allow_the_images_that_the_networks_accept():
    for name, allowed in (("mvitv2_tiny", (96, 96)), ("halonet26t", (256, 512)), ("efficientformer_l1", (224, 224))):
        limit = find_limit(name)
        assert limit is not None
        assert limit.allows(*allowed)
    assert find_limit("resnet18") is None
    assert not any(limit.allows(200, 152) for limit in LIMITS)


def test_networks_are_tried_at_a_size():
    tried = {info.name: info for info in try_networks(["test_resnet", "test_vit", "pit_ti_224"], (100, 64))}
    assert (tried["test_resnet"].grid, tried["test_resnet"].stride) == ((4, 2), 32)
    assert (tried["test_vit"].grid, tried["test_vit"].stride) == ((7, 4), 16)
    parameters = create_backbone("test_resnet", (64, 64)).parameters()
    assert tried["test_resnet"].parameters == sum(parameter.numel() for parameter in parameters)
    assert tried["pit_ti_224"].grid is None
    assert tried["pit_ti_224"].reason == "it returns its class token instead of a grid of features"


def test_a_network_that_no_limit_knows_is_refused_by_trying(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ggcam.models.backbone_limits.LIMITS", ())
    with pytest.raises(ConfigError, match="pit_ti_224 does not return one feature vector per cell"):
        create_backbone("pit_ti_224", (64, 64))


def test_the_guide_lists_the_limits():
    guide = (DOCS / "guides" / "backbones.md").read_text(encoding="utf-8")
    listed = [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in guide.splitlines() if row.startswith("| `")]
    assert listed == [list(limit.names) for limit in LIMITS]
