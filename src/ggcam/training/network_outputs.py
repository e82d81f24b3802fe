"""What calibration and the description of the training images need of a data set: one pass of the best network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Shaped

from ggcam.data.affine import Affine
from ggcam.data.dataset import PreparedDataset
from ggcam.data.image_statistics import ImageStatistics, image_statistics
from ggcam.data.pixel_arrays import to_uint8
from ggcam.models.cam import CAMClassifier
from ggcam.models.feature_distance import pooled_features

MAX_CASES = 1000
"""Maximum number of training images that are described: more hardly change the limits."""


@dataclass(frozen=True, eq=False)
class NetworkOutputs:
    """Outputs of a network for n cases, and what their images look like.

    Attributes:
        logits: shape (n, k).
        features: shape (n, c), see :func:`ggcam.models.feature_distance.pooled_features`.
        statistics: of n images; empty if they were not asked for.
    """

    logits: Float[np.ndarray, "n k"]
    features: Float32[np.ndarray, "n c"]
    statistics: Sequence[ImageStatistics]


def network_outputs(
    model: CAMClassifier,
    dataset: PreparedDataset,
    batch_size: int,
    rows: Int[np.ndarray, " n"] | None = None,
    statistics: bool = False,
    grey_colour: float = np.nan,
) -> NetworkOutputs:
    """Run a network over a data set without augmentation, in float32 on the network's device.

    Args:
        model: the network; its mode stays as it is.
        dataset: the cases.
        batch_size: number of images in one forward pass.
        rows: rows of the cases to take; None for all.
        statistics: whether to compute the statistics of the images.
        grey_colour: colourfulness of the raw images where the prepared ones are grey; NaN if it is not known.

    Returns:
        Logits, features and statistics.
    """
    rows = np.arange(len(dataset)) if rows is None else rows
    was_training, device = model.training, next(model.parameters()).device
    logits: list[torch.Tensor] = []
    features: list[torch.Tensor] = []
    found: list[ImageStatistics] = []
    model.eval()
    try:
        with torch.inference_mode():
            for chunk in torch.from_numpy(rows).split(batch_size):
                images = dataset.batch(chunk.tolist()).image
                output = model(images.to(device).contiguous(memory_format=torch.channels_last))
                logits.append(output.logits.cpu())
                features.append(pooled_features(output.features).cpu())
                if statistics:
                    cases = dataset.cases.iloc[chunk.tolist()]
                    found += [
                        _statistics(image, case, grey_colour)
                        for image, case in zip(images.numpy(), cases.itertuples(), strict=True)
                    ]
    finally:
        model.train(was_training)
    return NetworkOutputs(torch.cat(logits).double().numpy(), torch.cat(features).numpy(), found)


def described_rows(count: int) -> Int[np.ndarray, " n"]:
    """Choose the training images to describe: all, or `MAX_CASES` that are evenly spaced.

    Args:
        count: number of training images.

    Returns:
        Their rows, in order.
    """
    return np.linspace(0, count - 1, min(count, MAX_CASES)).round().astype(int)


def _statistics(image: Shaped[np.ndarray, "i H W"], case: Any, grey_colour: float) -> ImageStatistics:
    """Describe a prepared image; `case` is its row of the table of cases."""
    pixels = image[0] if len(image) == 1 else np.ascontiguousarray(np.moveaxis(image, 0, -1))
    affine = Affine(case.scale_x, case.shift_x_px, case.scale_y, case.shift_y_px)
    return image_statistics(to_uint8(pixels), (case.raw_height_px, case.raw_width_px), affine, grey_colour)
