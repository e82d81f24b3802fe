"""`ggcam verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from ggcam.commands.arguments import Run
from ggcam.commands.terminal import print_table, show_progress

if TYPE_CHECKING:
    from ggcam.inference.verification import Verification


def verify(
    run: Run,
    file: Positional[Annotated[Path, arg(metavar="FILE")]],
    images: Path | None = None,
    tolerance: float | None = None,
    max_changed: float | None = None,
    engines: str | None = None,
    max_images: int | None = None,
    json: Path | None = None,
) -> None:
    """Compare an exported file with its run, image by image.

    Example: ggcam verify run/K3F9Q NET.onnx --images raw/files

    Logits, probabilities, CAMs and decisions of each engine are compared with those of the run's network in torch. The
    exit code is 1 if a difference is larger than the tolerance.

    Args:
        run: run folder.
        file: ONNX file, or the folder of a bundle, whose ONNX file is compared.
        images: image file, or folder with images, compared from the raw file on. Default: the run's own test images, as
            prepared.
        tolerance: largest difference allowed. Default: 0.001 in every quantity, relative to the largest value of the
            image but at least to 1; for an int8 file, 0.15 in probabilities.
        max_changed: largest share of decisions that may change. Default: any, since decisions between equal
            probabilities change by rounding; for an int8 file, 0.05.
        engines: engines to compare: onnxruntime, openvino, or both, separated by a comma. Default: those installed.
        max_images: compare at most this many images, evenly spaced. Default: all.
        json: also write the result to this file.
    """
    from ggcam.inference.verify import verify as verify_file
    from ggcam.utils.json_files import write_json

    names = None if engines is None else [name.strip() for name in engines.split(",") if name.strip()]
    with show_progress("comparing", "images") as progress:
        result = verify_file(
            run,
            file,
            images,
            tolerance=tolerance,
            max_changed=max_changed,
            engines=names,
            max_images=max_images,
            progress=progress,
        )
    if json is not None:
        write_json(json, result.to_dict())
    print_verification(result)
    if not result.passed:
        sys.exit(1)


def print_verification(result: Verification) -> None:
    """Print the differences of each engine, and whether they are within the tolerance.

    Args:
        result: what was compared.
    """
    rows: list[list[str]] = []
    for engine, comparison in result.engines.items():
        for quantity, difference in comparison.differences.items():
            limit = result.tolerance.largest.get(quantity)
            allowed = "-" if limit is None else f"{limit:g}"
            rows.append([engine, quantity, f"{difference.largest:.2g}", f"{difference.typical:.2g}", allowed])
        allowed = "-" if result.tolerance.changed is None else f"{result.tolerance.changed:.1%}"
        rows.append(
            [engine, "decisions that change", f"{comparison.changed:,} of {comparison.decisions:,}", "", allowed]
        )
    print_table(["engine", "difference to torch", "largest", "typical", "allowed"], rows)
    if result.unreadable:
        print(f"{len(result.unreadable):,} images could not be read: {next(iter(result.unreadable.values()))}")
    for problem in result.problems:
        print(f"problem: {problem}")
    verdict = "gives the numbers of the run" if result.passed else "does NOT give the numbers of the run"
    print(f"{result.file} ({result.computes_in}) {verdict}, on {result.images:,} images")
