"""The losses between a CAM and gaze as functions: for the guidance methods, and for training loops of your own."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ggcam.gaze.maps import as_peak

LossKind = Literal["cc", "mse"]


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
        kind: "cc" is 1 - r, where r is the Pearson correlation over the cells: 0 (same pattern) to 2 (opposite
            pattern), whatever the scale and shift of the CAM. "mse" is the mean squared error to the gaze map divided
            by its maximum; the CAM should then lie between 0 and 1, after a sigmoid for example.
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
    per_case = 1 - pearson(cam, density) if kind == "cc" else squared_error(cam, as_peak(density))
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
