"""Faithfulness of the CAM: whether the score depends on the cells that it marks.

It is the only metric that runs the network again, some forty times per case; so it is measured on a sample of cases, on
request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn.functional import interpolate

from ggcam.inference.probabilities import BatchPredictor
from ggcam.metrics.bootstrap_statistics import CaseMean, weighted_mean
from ggcam.metrics.faithfulness import deletion_insertion

STEPS = 10
"""Number of equal parts in which the cells of the CAM are removed or brought back."""

BLANK_CELLS = 8
"""Rows and columns of the image in place of removed cells, which only shows where it is light and dark."""

METRICS = ("deletion_auc", "insertion_auc")
"""Names of the metrics, which are attributes of `metrics.faithfulness.Faithfulness`."""


def sampled_rows(rows: int, most: int) -> Int[np.ndarray, " m"]:
    """Choose the rows to measure, the same ones for every run over the same cases.

    Args:
        rows: number of rows to choose from.
        most: maximum number of rows.

    Returns:
        Shape (m,), in ascending order.
    """
    return np.sort(np.random.default_rng(0).permutation(rows)[:most])


def faithfulness_metrics(
    images: Callable[[list[int]], Shaped[Tensor, "b i H W"]],
    cam: Float[np.ndarray, "n h w"],
    label: Int[np.ndarray, " n"],
    predictor: BatchPredictor,
    rows: Int[np.ndarray, " m"],
    batch_size: int,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Measure the areas under the deletion and the insertion curve of the probability of a class.

    Args:
        images: function from row numbers to the images of these rows, integers or floats in 0..1.
        cam: shape (n, h, w), CAM of the class `label`.
        label: shape (n,), class whose probability is measured.
        predictor: the model.
        rows: shape (m,), rows to measure; the others are NaN.
        batch_size: number of images per batch.
        progress: called with the number of finished rows.

    Returns:
        Under "faithfulness", "deletion_auc" (lower is better) and "insertion_auc" (higher is better), each with "cam",
        "chance" (cells in random order) and "cam_minus_chance", as statistics of the weights of the n rows. Empty
        without rows.
    """
    if not len(rows):
        return {}
    values = {source: {name: np.full(len(cam), np.nan) for name in METRICS} for source in ("cam", "chance")}
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        image = _floats(images(batch.tolist()))
        pixels, blank = image.numpy(), blurred(image).numpy()
        # A constant CAM gives a random order.
        for source, order in (("cam", cam[batch]), ("chance", np.zeros((len(batch), *cam.shape[1:])))):
            score = _probability(predictor, label[batch])
            found = deletion_insertion(pixels, order, score, blank, STEPS, seed=np.random.default_rng(start))
            for name in METRICS:
                values[source][name][batch] = getattr(found, name)
        if progress is not None:
            progress(start + len(batch))

    def metric(name: str) -> dict[str, CaseMean]:
        own, chance = values["cam"][name], values["chance"][name]
        means = {"cam": own, "chance": chance, "cam_minus_chance": own - chance}
        return {source: weighted_mean(each) for source, each in means.items()}

    return {"faithfulness": {"cases": len(rows), **{name: metric(name) for name in METRICS}}}


def blurred(image: Float[Tensor, "b i H W"]) -> Float[Tensor, "b i H W"]:
    """Reduce each image to `BLANK_CELLS` rows and columns, and enlarge it smoothly.

    Args:
        image: images.

    Returns:
        Images of the same size, without details.
    """
    cells = [min(BLANK_CELLS, side) for side in image.shape[2:]]
    return interpolate(interpolate(image, cells, mode="area"), list(image.shape[2:]), mode="bilinear")


def _floats(image: Shaped[Tensor, "b i H W"]) -> Float[Tensor, "b i H W"]:
    return image if image.is_floating_point() else image.float() / torch.iinfo(image.dtype).max


def _probability(
    predictor: BatchPredictor, label: Int[np.ndarray, " b"]
) -> Callable[[Float[np.ndarray, "b i H W"]], Float[np.ndarray, " b"]]:
    return lambda images: predictor(images).probabilities[np.arange(len(label)), label]
