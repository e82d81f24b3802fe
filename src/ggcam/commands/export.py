"""`ggcam export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from ggcam.commands.arguments import Run
from ggcam.commands.terminal import print_table, show_progress

VERIFIED_IMAGES = 64
"""Maximum number of images on which a file is verified after it was written; `ggcam verify` takes all."""


def export(
    run: Run,
    file_format: Annotated[Literal["onnx", "onnx-int8", "original"], arg(name="format")],
    out: Path | None = None,
    verify: bool = True,
) -> None:
    """Export the network of a run to a file for other programs.

    Example: ggcam export run/K3F9Q --format onnx --out model.onnx

    Args:
        run: run folder.
        file_format: onnx: 8-bit images in, logits and CAMs out; checked against torch before it is written. onnx-int8:
            the same in 8-bit integers, calibrated on the validation cases; prints the change of AUROC on the test
            cases. original: weights for the original GG-CAM, for a run with one of its networks.
        out: file to write. Default: NET.onnx, NET-int8.onnx or NET.pt.
        verify: compare an ONNX file with the run on up to 64 of its test images, as `ggcam verify` does; the exit code
            is 1 if they differ.
    """
    from ggcam.inference.export import export_run
    from ggcam.utils.locks import locked_target

    out = out or Path({"onnx": "NET.onnx", "onnx-int8": "NET-int8.onnx", "original": "NET.pt"}[file_format])
    with locked_target(out):
        metrics = export_run(run, file_format, out)
    if metrics:
        rows = [[name, f"{value:,}" if isinstance(value, int) else f"{value:.4f}"] for name, value in metrics.items()]
        print_table(["metric", "value"], rows)
    is_same = _verify(run, out) if verify and file_format != "original" else True
    print(out)
    if not is_same:
        sys.exit(1)


def _verify(run: Path, file: Path) -> bool:
    """Compare the file with the run, print the result, and return whether it is within the tolerance."""
    from ggcam.commands.verify import print_verification
    from ggcam.errors import MissingFileError
    from ggcam.inference.verify import verify

    try:
        with show_progress("verifying", "images") as progress:
            result = verify(run, file, max_images=VERIFIED_IMAGES, progress=progress)
    except MissingFileError as error:
        print(f"not verified: {error.what}; see ggcam verify --images", file=sys.stderr)
        return True
    print_verification(result)
    return result.passed
