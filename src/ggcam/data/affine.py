"""A map between the pixel coordinates of two images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ggcam.gaze.fixations import Fixations


@dataclass(frozen=True)
class Affine:
    """A map between the continuous pixel coordinates of two images (origin at the top-left corner).

    `x' = scale_x * x + shift_x_px` and `y' = scale_y * y + shift_y_px`.

    Attributes:
        scale_x: scale along x; negative to mirror.
        shift_x_px: shift along x in pixels of the target.
        scale_y: scale along y; negative to mirror.
        shift_y_px: shift along y in pixels of the target.

    Example:
        >>> halved = Affine(scale_x=0.5, scale_y=0.5, shift_x_px=10.0)
        >>> halved.apply_x(np.array([100.0])), halved.inverse().apply_x(np.array([60.0]))
        (array([60.]), array([100.]))
    """

    scale_x: float = 1.0
    shift_x_px: float = 0.0
    scale_y: float = 1.0
    shift_y_px: float = 0.0

    def apply_x(self, x_px: np.ndarray) -> np.ndarray:
        """Map x coordinates.

        Args:
            x_px: x coordinates in pixels.

        Returns:
            x coordinates in the target image.
        """
        return self.scale_x * x_px + self.shift_x_px

    def apply_y(self, y_px: np.ndarray) -> np.ndarray:
        """Map y coordinates.

        Args:
            y_px: y coordinates in pixels.

        Returns:
            y coordinates in the target image.
        """
        return self.scale_y * y_px + self.shift_y_px

    def inverse(self) -> Affine:
        """Invert the map.

        Returns:
            The map from the target back to the source.
        """
        return Affine(
            1 / self.scale_x,
            -self.shift_x_px / self.scale_x,
            1 / self.scale_y,
            -self.shift_y_px / self.scale_y,
        )

    def apply(self, fixations: Fixations) -> Fixations:
        """Map fixations; their pixels per degree scale with the image.

        Args:
            fixations: fixations in the source image.

        Returns:
            The fixations in the target image.
        """
        return replace(
            fixations,
            x_px=self.apply_x(fixations.x_px),
            y_px=self.apply_y(fixations.y_px),
            px_per_degree_x=fixations.px_per_degree_x * abs(self.scale_x),
            px_per_degree_y=fixations.px_per_degree_y * abs(self.scale_y),
        )
