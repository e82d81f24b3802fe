"""The losses between a CAM and gaze as functions: for the guidance methods, and for training loops of your own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ggcam.gaze.maps import as_peak

LossKind = Literal["cc", "mse", "bce", "kl", "nss", "ssim"]

_SSIM_CONSTANTS = (0.01**2, 0.03**2)
"""Of Wang et al. (2004), for maps from 0 to 1."""

_EPSILON = 1e-6
"""Distance from 0 and 1 that a probability keeps, so that its logarithm is finite."""


def cam_gaze_loss(
    cam: Float[Tensor, "b h w"] | Float[Tensor, "b 1 h w"],
    density: Float[Tensor, "b h w"],
    kind: LossKind = "cc",
    reduction: Literal["mean", "none"] = "mean",
) -> Tensor:
    """Compute how far the CAM of each case is from its gaze map, for the CAM of any network.

    Args:
        cam: CAM of one class per case, usually the true one.
        density: gaze map of each case on the grid of the CAM, such as `GazeBatch.density` returns: each sums to 1. A
            case whose map is all zero has no gaze, and contributes 0.
        kind: how the two are compared. Three kinds take any CAM: "cc" is 1 - r, where r is the Pearson correlation
            over the cells: 0 (same pattern) to 2 (opposite pattern), whatever the scale and shift of the CAM; "nss" is
            the mean of the standardised CAM where the gaze is (normalised scanpath saliency), subtracted from the
            largest possible one, which the gaze map itself has; "kl" is the divergence of the CAM's softmax from the
            gaze map. Three take a CAM from 0 to 1, after a sigmoid for
            example, and the gaze map divided by its maximum: "mse" is the mean squared error, "bce" the binary cross
            entropy, "ssim" is 1 - the structural similarity over windows of 3x3 cells.
        reduction: "mean" over all cases, those without gaze included; "none" keeps one value per case.

    Returns:
        A scalar, or shape (b,) with reduction "none".

    Raises:
        ValueError: the shapes do not match, or there is no such kind.

    Example:
        >>> import torch
        >>> from ggcam import GazeBatch, cam_gaze_loss
        >>> points = torch.tensor([[[96.0, 32.0]], [[0.0, 0.0]]])  # x and y of one fixation per image, in pixels
        >>> seconds = torch.tensor([[0.3], [0.0]])  # the second image has no gaze
        >>> gaze = GazeBatch(points, seconds, torch.full_like(points, 8.0), image_size=(128, 128))
        >>> cam = torch.tensor([[[0.0, 5.0], [0.0, 0.0]], [[1.0, 2.0], [3.0, 4.0]]], requires_grad=True)
        >>> cam_gaze_loss(cam, gaze.density((2, 2)), reduction="none").detach().round(decimals=3)
        tensor([0., 0.])
        >>> cam_gaze_loss(cam.flip(1), gaze.density((2, 2))).item()  # the CAM upside down, mean over both images
        0.666...
    """
    if kind not in get_args(LossKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(LossKind))}, got {kind!r}")
    if cam.ndim == 4:
        cam = cam.squeeze(1)
    if cam.shape != density.shape:
        raise ValueError(
            f"the CAM has shape {tuple(cam.shape)} and the gaze map {tuple(density.shape)}; "
            f"draw the gaze map on the CAM's grid"
        )
    if cam.dtype in (torch.float16, torch.bfloat16):
        cam = cam.float()
    per_case = _LOSSES[kind](cam, density)
    per_case = torch.where(density.sum(dim=(1, 2)) > 0, per_case, 0)
    return per_case.mean() if reduction == "mean" else per_case


def pearson(a: Float[Tensor, "b h w"], b: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Compute the Pearson correlation over the cells of each pair of maps.

    Args:
        a: maps.
        b: maps to compare them with.

    Returns:
        Shape (b,), -1 to 1; 0, with a gradient of 0, where a map is constant.
    """
    a = a.flatten(1) - a.mean(dim=(1, 2))[:, None]
    b = b.flatten(1) - b.mean(dim=(1, 2))[:, None]
    # Clamped under the root, so that the gradient of a constant map is 0 instead of NaN.
    norm = (a.square().sum(1) * b.square().sum(1)).clamp_min(1e-20).sqrt()
    return (a * b).sum(1) / norm


def squared_error(cam: Float[Tensor, "b h w"], gaze: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Compute the mean squared difference over the cells of each pair of maps.

    Args:
        cam: maps.
        gaze: maps to compare them with.

    Returns:
        Shape (b,), 0 or more.
    """
    return (cam - gaze).square().mean(dim=(1, 2))


def binary_cross_entropy(cam: Float[Tensor, "b h w"], gaze: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Compute the mean binary cross entropy over the cells of each pair of maps.

    Args:
        cam: maps from 0 to 1; 0 and 1 count as 1e-6 and 1 - 1e-6.
        gaze: targets from 0 to 1.

    Returns:
        Shape (b,), 0 or more.
    """
    cam = cam.clamp(_EPSILON, 1 - _EPSILON)
    # Not torch's function, which refuses to run under autocast on a GPU.
    return -(gaze * cam.log() + (1 - gaze) * (1 - cam).log()).mean(dim=(1, 2))


def divergence(cam: Float[Tensor, "b h w"], density: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Compute the Kullback-Leibler divergence of the softmax of each CAM from a gaze map.

    Args:
        cam: maps.
        density: gaze maps, each summing to 1.

    Returns:
        Shape (b,), 0 or more, in nats.
    """
    log_cam = cam.flatten(1).log_softmax(dim=1)
    return functional.kl_div(log_cam, density.flatten(1), reduction="none").sum(dim=1)


def scanpath_saliency(cam: Float[Tensor, "b h w"], density: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Compute the normalised scanpath saliency: the standardised CAM, averaged with the gaze map as weights.

    Args:
        cam: maps.
        density: gaze maps, each summing to 1.

    Returns:
        Shape (b,); 0, with a gradient of 0, where a CAM is constant.
    """
    centred = cam - cam.mean(dim=(1, 2), keepdim=True)
    deviation = centred.square().mean(dim=(1, 2)).clamp_min(1e-20).sqrt()
    return (centred * density).sum(dim=(1, 2)) / deviation


def structural_similarity(a: Float[Tensor, "b h w"], b: Float[Tensor, "b h w"]) -> Float[Tensor, " b"]:
    """Compute the structural similarity of maps from 0 to 1, over windows of 3x3 cells inside the grid.

    Wang et al., "Image quality assessment" (IEEE TIP 2004), with uniform windows: the grid of a CAM is too small for
    the usual Gaussian ones of 11x11.

    Args:
        a: maps.
        b: maps to compare them with.

    Returns:
        Shape (b,), -1 to 1.
    """
    size = (min(3, a.shape[1]), min(3, a.shape[2]))

    def mean(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values[:, None], size, stride=1)[:, 0]

    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = _SSIM_CONSTANTS
    similarity = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    )
    return similarity.mean(dim=(1, 2))


_LOSSES: Mapping[LossKind, Callable[[Tensor, Tensor], Tensor]] = {
    "cc": lambda cam, density: 1 - pearson(cam, density),
    "mse": lambda cam, density: squared_error(cam, as_peak(density)),
    "bce": lambda cam, density: binary_cross_entropy(cam, as_peak(density)),
    "kl": divergence,
    "nss": lambda cam, density: scanpath_saliency(density, density) - scanpath_saliency(cam, density),
    "ssim": lambda cam, density: 1 - structural_similarity(cam, as_peak(density)),
}
