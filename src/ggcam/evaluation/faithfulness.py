"""What metrics.json says of the CAM's faithfulness: whether the score goes and comes with the cells it marks.

The one metric that asks the network again, some forty times a case: so it is made of a sample of cases, when asked for.
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
"""Equal parts of the CAM's cells that are taken away, or brought back, one after another."""

BLANK_CELLS = 8
"""Rows and columns of what is left of an image where it is taken away: where light and dark are, and no more."""

METRICS = ("deletion_auc", "insertion_auc")


def sampled_rows(rows: int, most: int) -> Int[np.ndarray, " m"]:
    """Which of so many rows are measured, in rising order: the same ones for every run over the same cases."""
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
    """Under "faithfulness" the area under the deletion and the insertion curve of the probability of a class.

    Each has "cam", "chance" (cells in random order) and "cam_minus_chance". Less is better for deletion, more for
    insertion. Nothing where there are no rows.

    Args:
        images: row numbers -> images of these rows, integers or floats in 0..1.
        cam: shape (n, h, w), of the class `label`.
        label: shape (n,), the class whose probability is watched.
        predictor: the model.
        rows: which of the n are measured; the others are NaN.
        batch_size: images at a time.
        progress: called with the number of rows that are done.
    """
    if not len(rows):
        return {}
    values = {source: {name: np.full(len(cam), np.nan) for name in METRICS} for source in ("cam", "chance")}
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        image = _floats(images(batch.tolist()))
        pixels, blank = image.numpy(), blurred(image).numpy()
        # A constant CAM stands for a random order.
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
    """Each image as if seen on `BLANK_CELLS` rows and columns, enlarged smoothly."""
    few = [min(BLANK_CELLS, side) for side in image.shape[2:]]
    return interpolate(interpolate(image, few, mode="area"), list(image.shape[2:]), mode="bilinear")


def _floats(image: Shaped[Tensor, "b i H W"]) -> Float[Tensor, "b i H W"]:
    return image if image.is_floating_point() else image.float() / torch.iinfo(image.dtype).max


def _probability(
    predictor: BatchPredictor, label: Int[np.ndarray, " b"]
) -> Callable[[Float[np.ndarray, "b i H W"]], Float[np.ndarray, " b"]]:
    return lambda images: predictor(torch.from_numpy(images)).probabilities[np.arange(len(label)), label]
