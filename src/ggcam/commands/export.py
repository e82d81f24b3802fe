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

_DEFAULT_OUT = {"onnx": "NET.onnx", "onnx-int8": "NET-int8.onnx", "bundle": "bundle", "original": "NET.pt"}


def export(
    run: Run,
    file_format: Annotated[Literal["onnx", "onnx-int8", "bundle", "original"], arg(name="format")],
    out: Path | None = None,
    license_file: Path | None = None,
    verify: bool = True,
) -> None:
    """Export the network of a run to a file for other programs.

    Example: ggcam export run/K3F9Q --format onnx --out model.onnx

    Args:
        run: run folder.
        file_format: onnx: 8-bit images in, logits and CAMs out; checked against torch before it is written. onnx-int8:
            the same in 8-bit integers, calibrated on the validation cases; prints the change of AUROC on the test
            cases. bundle: a folder to hand on, with safetensors, ONNX, options and a model card, which `ggcam predict`
            opens. original: weights for the original GG-CAM, for a run with one of its networks.
        out: file or folder to write. Default: NET.onnx, NET-int8.onnx, bundle or NET.pt.
        license_file: text that becomes the LICENSE of a bundle. Default: a notice to replace.
        verify: compare the ONNX file with the run on up to 64 of its test images, as `ggcam verify` does; the exit code
            is 1 if they differ.
    """
    from ggcam.errors import ConfigError
    from ggcam.inference.export import export_run
    from ggcam.inference.write_bundle import write_bundle
    from ggcam.utils.locks import locked_target

    if license_file is not None and file_format != "bundle":
        raise ConfigError("only a bundle has a licence", where="--license-file", hint="add --format bundle")
    out = out or Path(_DEFAULT_OUT[file_format])
    with locked_target(out):
        if license_file is None:
            metrics = export_run(run, file_format, out)
        else:
            write_bundle(run, out, license_file)
            metrics = {}
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
