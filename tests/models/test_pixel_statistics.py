"""Pixels are standardised as a network's pretrained weights expect."""

from __future__ import annotations

import pytest
import timm

from ggcam.models.cam import imagenet_statistics
from ggcam.models.pixel_statistics import native_statistics


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "vit_base_patch16_224.mae", "vgg11"])
def test_colour_images_are_standardised_as_timm_does(name):
    config = timm.get_pretrained_cfg(name)
    assert config is not None
    assert native_statistics(name, 3) == (config.mean, config.std)


def test_the_tag_of_a_name_decides():
    assert native_statistics("vit_base_patch16_224", 1) == ((0.5,), (0.5,))
    assert native_statistics("vit_base_patch16_224.mae", 1) == imagenet_statistics(1)


def test_grey_images_by_the_means_over_the_colours():
    assert native_statistics("resnet18", 1) == ((0.449,), (0.226,)) == imagenet_statistics(1)


@pytest.mark.parametrize("name", ["no_such_network", "resnet18.no_such_tag"])
def test_a_network_without_pretrained_weights_has_the_default(name):
    assert native_statistics(name, 3) == imagenet_statistics(3)
