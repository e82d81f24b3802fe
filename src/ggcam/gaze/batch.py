"""The gaze of a batch of cases, as padded points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import attention_maps, sigma_in_px

LabelGaze = Literal["own-else-all", "all", "own"]


class GazeBatch(NamedTuple):
    """The gaze of a batch of cases. It is drawn as an attention map on any grid.

    Attributes:
        points_px: (b, p, 2), x_px and y_px in the image; any finite value where padded.
        weight: (b, p), >= 0; 0 where padded.
        sigma_px: (b, p, 2), standard deviation of the Gaussian of each point, in image pixels along x and y.
        image_size: height and width of the images in pixels.
        label: (b, p), index of the class that each point belongs to, -1 for no class; None when no point has a class.
        label_gaze: points that belong to a label of a case: "own" for those of the same class, "all" for all points of
            the case, "own-else-all" for those of the same class or, without any, all.

    Example:
        >>> reading = Fixations.build(x_px=[96.0, 32.0], y_px=[32.0, 96.0], duration_s=[0.3, 0.1])
        >>> gaze = GazeBatch.from_fixations([reading, Fixations.empty()], image_size=(128, 128), sigma_px=8.0)
        >>> gaze.density(grid=(2, 2))[0].round(decimals=2)
        tensor([[0.0000, 0.7500],
                [0.2500, 0.0000]])
    """

    points_px: Float[Tensor, "b p 2"]
    weight: Float[Tensor, "b p"]
    sigma_px: Float[Tensor, "b p 2"]
    image_size: tuple[int, int]
    label: Int[Tensor, "b p"] | None = None
    label_gaze: LabelGaze = "own-else-all"

    @classmethod
    def from_fixations(
        cls,
        fixations: Sequence[Fixations],
        image_size: tuple[int, int],
        sigma_deg: float = 1.0,
        sigma_px: float | None = None,
        class_names: Sequence[str] = (),
        label_gaze: LabelGaze = "own-else-all",
        dtype: torch.dtype = torch.float32,
    ) -> GazeBatch:
        """Pad the fixations of several cases to one batch; each fixation weighs its duration.

        Args:
            fixations: fixations of each case, in pixels of the image; `Fixations.empty()` for a case without gaze.
            image_size: height and width of the images in pixels.
            sigma_deg: standard deviation of the Gaussian in degrees of visual angle, converted with each fixation's
                pixels per degree. Where these are unknown, the image's longer side is taken as 28.5 degrees.
            sigma_px: standard deviation in image pixels instead; None to use `sigma_deg`.
            class_names: names of the classes in the order of the labels; a fixation whose `label` is one of them
                belongs to that class.
            label_gaze: points that belong to a label of a case; see the class.
            dtype: floating-point type of the tensors.

        Returns:
            A batch on the CPU, with as many points per case as the longest case has.
        """
        longest = max(map(len, fixations), default=0)
        columns = np.zeros((len(fixations), longest, 5))
        columns[..., 3:] = np.nan
        label = np.full((len(fixations), longest), -1)
        index = {name: number for number, name in enumerate(class_names)}
        for row, row_label, case in zip(columns, label, fixations, strict=True):
            values = (case.x_px, case.y_px, case.duration_s, case.px_per_degree_x, case.px_per_degree_y)
            row[: len(case)] = np.stack(values, axis=-1)
            row_label[: len(case)] = [index.get(name, -1) for name in case.label]
        points = torch.from_numpy(columns).to(dtype)
        if sigma_px is None:
            sigma = sigma_in_px(points[..., 3:], sigma_deg, image_size)
        else:
            sigma = torch.full_like(points[..., :2], sigma_px)
        labels = torch.from_numpy(label) if len(class_names) else None
        return cls(points[..., :2], points[..., 2], sigma, image_size, labels, label_gaze)

    def density(self, grid: tuple[int, int]) -> Float[Tensor, "b h w"]:
        """Draw the attention map of each case.

        Args:
            grid: height and width of the maps in cells.

        Returns:
            Maps that sum to 1; all zero for a case without gaze.
        """
        return attention_maps(self.points_px, self.weight, self.sigma_px, self.image_size, grid)

    def for_labels(self, case: Int[Tensor, " m"], label: Int[Tensor, " m"]) -> GazeBatch:
        """Select the gaze that belongs to labels of cases, for m pairs of a case and a class.

        Args:
            case: position of the case in this batch, for each pair.
            label: index of the class, for each pair.

        Returns:
            A batch of m rows. Points that do not belong to the label keep their position and have weight 0.
        """
        weight = self.weight[case]
        points = torch.full_like(weight, -1, dtype=torch.long) if self.label is None else self.label[case]
        if self.label_gaze != "all":
            own = weight * (points == label[:, None])
            has_own = (own > 0).any(dim=1, keepdim=True)
            weight = own if self.label_gaze == "own" else torch.where(has_own, own, weight)
        return self._replace(points_px=self.points_px[case], weight=weight, sigma_px=self.sigma_px[case], label=points)
