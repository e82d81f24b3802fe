"""A guidance whose loss is not finite from the second epoch on, in the first training of a process only."""

from __future__ import annotations

from typing import ClassVar

import torch

from ggcam.guidance import CorrelationGuidance


class DivergesOnce(CorrelationGuidance):
    """Counts the validation batches; after the first epoch the loss is NaN."""

    instances: ClassVar[int] = 0

    def __init__(self, weight: float = 1.0):
        super().__init__(weight)
        type(self).instances += 1
        self.diverges = type(self).instances == 1
        self.validated = False

    def dissimilarity(self, output, labels, density):
        if not self.training:
            self.validated = True
        values = super().dissimilarity(output, labels, density)
        return values * torch.nan if self.diverges and self.training and self.validated else values
