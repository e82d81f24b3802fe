"""Which networks of timm can be a backbone, found out by trying, and compared with the table of limits.

`python -m benchmarks.backbones` builds every network without weights, at a square and at another image size (half an
hour), and then computes the smallest network of each family, to find pixels without influence on its features and
cells that do not lie on their part of the image (ten minutes). `python -m benchmarks.backbones NAME ...` does so for
the networks with such a name. The exit code is 1 if a network contradicts the table.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable

import timm
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ggcam.models.backbone_catalogue import list_families, try_networks
from ggcam.models.backbone_limits import find_limit
from ggcam.models.backbones import TimmBackbone, create_backbone

SIZES = ((256, 256), (200, 152))
"""A size that every limited network with a rule accepts, except for one of 224x224; and one that none accepts."""

MAX_PARAMETERS = 60_000_000
"""Larger networks are not computed."""

CELLS = 12
"""Number of cells whose gradient is computed."""


def contradictions(names: Iterable[str]) -> list[str]:
    """Return what the table of limits says wrongly."""
    names = list(names)
    found = []
    for size in SIZES:
        for info in try_networks(names, size):
            limit = find_limit(info.name)
            allowed = limit is None or limit.allows(*size)
            if allowed != (info.parameters is not None):
                found.append(f"{info.name} at {size[0]}x{size[1]}: {info.reason or 'possible, but limited'}")
                print(found[-1], flush=True)
    return found


def measure(name: str, size: tuple[int, int]) -> tuple[TimmBackbone, int, float]:
    """Compute a network with random weights.

    Returns:
        The backbone, the number of rows and columns of pixels without influence, and the fraction of cells for which
        pixels of their own part or of a neighbouring one have the most influence.
    """
    torch.manual_seed(0)
    backbone = create_backbone(name, size).eval()
    assert isinstance(backbone, TimmBackbone)
    for parameter in backbone.parameters():
        if parameter.ndim == 1 and parameter.abs().max() < 1e-3:
            nn.init.constant_(parameter, 0.5)  # the scale of a branch that starts switched off
    image = torch.rand(1, 1, *size, requires_grad=True)
    features = backbone(image)
    whole = _influence((features * torch.randn_like(features)).sum(), image)
    ignored = int((whole.amax(0) == 0).sum() + (whole.amax(1) == 0).sum())
    rows, columns = features.shape[2:]
    near = 0
    cells = [divmod(int(cell), columns) for cell in torch.randperm(rows * columns)[:CELLS]]
    for row, column in cells:
        influence = _influence((features[0, :, row, column] * torch.randn(features.shape[1])).sum(), image)
        parts = adaptive_avg_pool2d(influence[None, None], (rows, columns)).flatten()
        peak = divmod(int(parts.argmax()), columns)
        near += max(abs(peak[0] - row), abs(peak[1] - column)) <= 1
    return backbone, ignored, near / len(cells)


def _influence(value: Tensor, image: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(value, image, retain_graph=True)
    return gradient[0, 0].double().square()


def smallest_networks() -> list[str]:
    """Return the smallest network of each family."""
    names = []
    for family in list_families()[1:]:
        sizes = {info.name: info.parameters for info in try_networks(list(family.networks), SIZES[0])}
        known = {name: size for name, size in sizes.items() if size is not None and size < MAX_PARAMETERS}
        names += sorted(known, key=known.__getitem__)[:1]
    return names


def main(patterns: list[str]) -> int:
    """Check the table, and print a table of what was computed."""
    warnings.simplefilter("ignore")
    chosen = [name for pattern in patterns for name in timm.list_models(pattern)]
    wrong = contradictions(chosen or timm.list_models())
    print("| network | cell | border | ignored rows and columns | cells in place |\n| --- | --- | --- | --- | --- |")
    for name in chosen or smallest_networks():
        for size in ((256, 192), (256, 256)):
            limit = find_limit(name)
            if limit is None or limit.allows(*size):
                backbone, ignored, near = measure(name, size)
                cell = f"{backbone.stride} px | {backbone.border_px} px"
                print(f"| {name} at {size[0]}x{size[1]} | {cell} | {ignored} | {near:.0%} |", flush=True)
                wrong += [f"{name} ignores rows or columns"] if ignored else []
                break
    print("\n".join(wrong) or "the table of limits holds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
