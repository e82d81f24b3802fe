"""`ggcam predict`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from ggcam.commands.arguments import Run
from ggcam.commands.terminal import print_table, show_progress
from ggcam.errors import ConfigError
from ggcam.utils.printable import printable

if TYPE_CHECKING:
    from ggcam.dicom_output.writer import DicomWriter


def predict(
    run: Run,
    images: Positional[Annotated[tuple[Path, ...], arg(metavar="IMAGES...")]],
    out: Path = Path("predictions"),
    overlays: bool = True,
    batch_size: int = 8,
    device: str | None = None,
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = "auto",
    precision: Literal["auto", "32", "bf16", "int8"] | None = None,
    reduced_resolution: bool = False,
    dicom_out: Path | None = None,
    dicom_kinds: str = "pm,sr,sc",
    dicom_map_bits: Literal[32, 16] = 32,
    dicom_mask_threshold: float | None = None,
    anonymise: bool = False,
    overwrite: bool = False,
    ray: str | None = None,
) -> None:
    """Predict new images with a trained run; no gaze is needed.

    Example: ggcam predict run/K3F9Q chest.dcm folder_of_images --out predictions

    Writes predictions.csv and, for each image, an overlay of the CAM of the predicted class. The column "unusual" of
    predictions.csv says why an image is unlike the training images. If the command was interrupted, the same command
    goes on with the missing images. For research use; not a medical device.

    Args:
        run: run folder, or an ONNX file or bundle written by `ggcam export`.
        images: PNG, JPEG, TIFF or DICOM files, or folders of them.
        out: folder to write to.
        overlays: draw the overlays.
        batch_size: number of images in one forward pass.
        device: device to compute on, such as cpu or cuda:1. Default: a GPU if there is one.
        engine: torch: any device. onnxruntime, openvino: CPU, through NET.onnx in the run folder. auto: torch on a GPU;
            on a CPU the fastest installed engine if NET.onnx exists or there are enough images to write it.
        precision: 32: float32, with which answers do not depend on the machine. The others, for a ResNet-18 on 270
            images: bf16 (torch, or OpenVINO on a CPU with instructions for it) 1.6 times as fast, probabilities differ
            by up to 0.003, 1 decision changed. int8 (CPU; calibrated on the images of the run, kept as NET-int8.onnx) 3
            times as fast, up to 0.04, 5 decisions. auto: the faster of 32 and bf16, measured once per machine, network
            and size. Default: 32; int8 for an ONNX file in int8.
        reduced_resolution: decode JPEG and JPEG 2000, also in DICOM files, at 1/2, 1/4 or 1/8 of the resolution where
            twice the sides of the frame and 1,024 pixels on the longer side remain. Faster; probabilities and CAMs
            change a little. PNG, TIFF, uncompressed DICOM and smaller images are decoded as a whole.
        dicom_out: folder to write DICOM objects to, which belong to the study of each DICOM image. Needs the extra
            ggcam[dicom].
        dicom_kinds: pm (parametric map of the CAMs), sr (structured report), sc (secondary capture), seg
            (segmentation), pr (blending presentation state), separated by commas.
        dicom_map_bits: 32 for maps of float32; 16 for smaller ones, compressed, with colours.
        dicom_mask_threshold: share of the range of a CAM from which a pixel belongs to a binary segmentation. Default:
            a fractional segmentation.
        anonymise: replace patient, study and all UIDs in the DICOM objects.
        overwrite: start over where an interrupted command has left results of another run or other options.
        ray: address of a Ray cluster to predict on, auto for the cluster that this machine belongs to, or local to
            start one on this machine. Default: this machine, without Ray.
    """
    from ggcam.utils.collector import collector_paused
    from ggcam.utils.freed_memory import keep_freed_memory
    from ggcam.utils.parallel import thread_count
    from ggcam.utils.worker_process import start_workers

    keep_freed_memory()
    single = len(images) == 1 and images[0].is_file()
    if ray is None:
        # They are ready when this process has imported torch and loaded the network.
        start_workers(1 if single else thread_count(), "ggcam.inference.image_input", "ggcam.data.dicom")
    from ggcam.inference.engines import PRECISION_NAMES
    from ggcam.inference.predict import predict as predict_files
    from ggcam.inference.prediction_files import UNUSUAL

    writer = None
    if dicom_out is not None:
        writer = _dicom_writer(run, dicom_out, dicom_kinds, dicom_map_bits, dicom_mask_threshold, anonymise)
    elif anonymise:
        raise ConfigError("only DICOM objects are anonymised", where="--anonymise", hint="pass --dicom-out as well")
    # Of many images, the collector has to free what is left.
    with show_progress("predicting", "images") as progress, collector_paused() if single else nullcontext():
        predictions = predict_files(
            run,
            images,
            out,
            overlays=overlays,
            batch_size=batch_size,
            device=device,
            progress=progress,
            engine=engine,
            writer=writer,
            overwrite=overwrite,
            ray=ray,
            precision=precision,
            reduced_resolution=reduced_resolution,
        )
    total = sum(predictions.counts.values())
    if total:
        counts = sorted(predictions.counts.items(), key=lambda count: -count[1])
        print_table(["predicted", "images"], [[name, f"{n:,}"] for name, n in counts])
        if predictions.unusual is not None and predictions.validation_marks is not None:
            unusual, expected = predictions.unusual, predictions.validation_marks
            rate = f"of the run's own validation images, {expected.marked:,} of {expected.cases:,} were"
            print(f"unlike the training images: {unusual:,} (column {UNUSUAL}); {rate}")
        else:
            print("The run has no description of its training images, so images unlike them are not marked.")
        if predictions.resumed:
            print(f"{predictions.resumed:,} images had been predicted by the interrupted command")
        computed = f"{predictions.engine} in {PRECISION_NAMES[predictions.precision]}"
        print(f"{total:,} images in {out / 'predictions.csv'}, computed with {computed}")
    if writer is not None:
        kept = f" ({writer.kept:,} were there already and are kept)" if writer.kept else ""
        print(f"{writer.written:,} DICOM objects written to {dicom_out}{kept}, listed in {out / 'dicom.csv'}")
    for error in predictions.failed.values():
        print(printable(error), file=sys.stderr)
    if predictions.failed:
        print(f"{len(predictions.failed):,} images could not be read, see {out / 'errors.csv'}", file=sys.stderr)
    if writer is not None and writer.skipped:
        print(printable(next(iter(writer.skipped.values()))), file=sys.stderr)
        print(f"{len(writer.skipped):,} images have no DICOM objects, see {out / 'dicom.csv'}", file=sys.stderr)
    if predictions.failed or (writer is not None and writer.skipped):
        sys.exit(1)


def _dicom_writer(
    run: Path, folder: Path, kinds: str, map_bits: Literal[32, 16], mask_threshold: float | None, anonymise: bool
) -> DicomWriter:
    """Return what writes the DICOM objects."""
    from ggcam.dicom_output.options import DicomOptions, check_highdicom, parse_kinds

    options = DicomOptions(parse_kinds(kinds), map_bits, mask_threshold, anonymise)
    check_highdicom("--dicom-out")
    from ggcam.dicom_output.writer import DicomWriter

    return DicomWriter(run, folder, options)
