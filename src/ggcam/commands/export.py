"""`ggcam export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from ggcam.commands.arguments import Run
from ggcam.commands.terminal import print_table


def export(
    run: Run,
    file_format: Annotated[Literal["onnx", "onnx-int8", "original"], arg(name="format")],
    out: Path | None = None,
) -> None:
    """Write a trained network for another program.

    Example: ggcam export run/K3F9Q --format onnx --out model.onnx

    Args:
        run: the run folder.
        file_format: onnx: images as bytes in, logits and CAM out; compared with torch's before it is written.
            onnx-int8: the same in 8-bit integers, calibrated on the validation cases; says what that costs on the test.
            original: the original GG-CAM's file of weights, for a run with one of its networks.
        out: the file to write; NET.onnx, NET-int8.onnx or NET.pt by default.
    """
    from ggcam.inference.export import EXPORTERS

    out = out or Path({"onnx": "NET.onnx", "onnx-int8": "NET-int8.onnx", "original": "NET.pt"}[file_format])
    metrics = EXPORTERS[file_format](run, out)
    if metrics:
        rows = [[name, f"{value:,}" if isinstance(value, int) else f"{value:.4f}"] for name, value in metrics.items()]
        print_table(["measured", "value"], rows)
    print(out)
