"""Distance of the features of an image from those of the training images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ggcam.errors import RunFolderError
from ggcam.utils.npz import read_npz


class FeatureDistance(nn.Module):
    """Mahalanobis distance of pooled features from their mean over the training images.

    The features are averaged over the grid, and their (signed) square root is taken, which makes the skewed
    distribution of rectified features more like a normal one (Perronnin, Sanchez and Mensink, "Improving the Fisher
    Kernel for Large-Scale Image Classification", ECCV 2010). The distance detects images unlike the training's: Lee et
    al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks" (NeurIPS 2018);
    here with one mean for all classes, because a case may have several labels.

    Args:
        mean: shape (c,), mean of the pooled features.
        whitening: shape (c, c), W with W^T W = inverse of their covariance.

    Example:
        >>> distance = FeatureDistance(torch.zeros(2), torch.eye(2))
        >>> distance(torch.full((1, 2, 4, 4), 9.0))
        tensor([4.2426])
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, mean: Float[Tensor, " c"], whitening: Float[Tensor, "c c"]):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("whitening", whitening)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
        """Compute the distances.

        Args:
            features: shape (b, c, h, w), see :class:`ggcam.CAMOutput`.

        Returns:
            Shape (b,), at least 0, in float32.
        """
        return self.of_pooled(pooled_features(features))

    def of_pooled(self, pooled: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
        """Compute the distances of features that are pooled already.

        Args:
            pooled: shape (b, c), see :func:`pooled_features`.

        Returns:
            Shape (b,), at least 0, in float32.
        """
        # An einsum, which stays in float32 when an ONNX file is quantised.
        whitened = torch.einsum("bc,kc->bk", pooled - self.mean, self.whitening)
        return whitened.square().sum(dim=1).sqrt()


def pooled_features(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
    """Average features over the grid, and take their signed square root.

    Args:
        features: shape (b, c, h, w).

    Returns:
        Shape (b, c), float32.
    """
    mean = features.float().mean(dim=(2, 3))
    return mean.sign() * mean.abs().sqrt()


def load_feature_distance(path: Path, num_features: int) -> FeatureDistance:
    """Read what measures the distance of features.

    Args:
        path: JSON file that :func:`ggcam.training.typicality.save_typicality` wrote.
        num_features: number of features of the network.

    Returns:
        The module, on the CPU.

    Raises:
        MissingFileError: the archive does not exist.
        RunFolderError: it is damaged, or of a network with another number of features.
    """
    archive = path.with_suffix(".npz")
    arrays = read_npz(archive, {"mean": ("f", 1), "whitening": ("f", 2)}, RunFolderError)
    shapes = arrays["mean"].shape, arrays["whitening"].shape
    if shapes != ((num_features,), (num_features, num_features)):
        raise RunFolderError(
            "the statistics of the features do not fit the network",
            where=archive,
            expected=f"{num_features} features",
            got=f"shapes {shapes[0]} and {shapes[1]}",
        )
    return FeatureDistance(*(torch.from_numpy(arrays[name].astype(np.float32)) for name in ("mean", "whitening")))
