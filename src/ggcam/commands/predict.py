"""`ggcam predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from ggcam.commands.arguments import Run
from ggcam.commands.terminal import print_table, progress_bar


def predict(
    run: Run,
    images: Positional[Annotated[tuple[Path, ...], arg(metavar="IMAGES...")]],
    out: Path = Path("predictions"),
    overlays: bool = True,
    batch_size: int = 8,
    device: str | None = None,
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
) -> None:
    """Predict new images with a trained run; no gaze is needed. For research use; not a medical device.

    Example: ggcam predict run/K3F9Q chest.dcm folder_of_images --out answers

    Writes predictions.csv and an overlay of the predicted class's activation map for each image.

    Args:
        run: the run folder; or a file of it that `ggcam export --format onnx` wrote.
        images: PNG, JPEG, TIFF or DICOM files, or folders of them.
        out: where to write.
        overlays: draw the activation maps.
        batch_size: images in one forward pass.
        device: where to run; a GPU if there is one.
        engine: torch: on any device. onnxruntime, openvino: on the CPU, through NET.onnx in the run folder.
            auto: torch on a GPU; on a CPU the fastest installed, once NET.onnx is there or images enough to write it.
    """
    from ggcam.inference.predict import predict as answer

    with progress_bar("predicting") as progress:
        predictions = answer(run, images, out, overlays, batch_size, device, progress, engine)
    table = predictions.table
    if len(table):
        shares = table["predicted"].value_counts()
        print_table(["predicted", "images"], [[str(name), f"{n:,}"] for name, n in shares.items()])
        print(f"{len(table):,} images in {out / 'predictions.csv'}, computed by {predictions.engine}")
    for error in predictions.failed.values():
        print(error, file=sys.stderr)
    if predictions.failed:
        print(f"{len(predictions.failed):,} images failed: {out / 'errors.csv'}", file=sys.stderr)
        sys.exit(1)
