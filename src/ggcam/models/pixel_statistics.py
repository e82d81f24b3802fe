"""Mean and standard deviation by which a network standardises its images: those that its weights were trained with."""

from __future__ import annotations

from statistics import fmean

import timm

from ggcam.models import xrv
from ggcam.models.cam import imagenet_statistics
from ggcam.models.xrv import find_xrv_network

Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of the pixels scaled to 0..1: one for all channels, or one per channel."""


def native_statistics(name: str, in_channels: int) -> Statistics:
    """Return the mean and the standard deviation that the pretrained weights of a network expect.

    For grey images, these are the means over the three channels. The weights of the first layer are summed over the
    channels then, so that a grey image has the features that the same image in colour, with three equal channels, would
    have: exactly where all channels have the same statistics, and nearly so with those of ImageNet, which differ by a
    few per cent.

    Args:
        name: name of a backbone; the tag of a timm network, such as "vit_base_patch16_224.mae", says which weights.
        in_channels: number of channels of the images.

    Returns:
        Mean and standard deviation of the pixels scaled to 0..1; those of ImageNet for a network without pretrained
        weights.

    Example:
        >>> native_statistics("tf_efficientnet_lite0", 1)
        ((0.5,), (0.5,))
    """
    if find_xrv_network(name) is not None:
        return (xrv.MEAN,), (xrv.STD,)
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # a tag that timm does not know; building the network says so
        config = None
    if config is None or len(config.mean) != 3 or len(config.std) != 3:
        return imagenet_statistics(in_channels)
    if in_channels == 3:
        return tuple(config.mean), tuple(config.std)
    return (round(fmean(config.mean), 6),), (round(fmean(config.std), 6),)
