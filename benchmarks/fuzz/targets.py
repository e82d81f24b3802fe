"""What is done with a mutated file: it is read as a command reads it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from ggcam.data.checks.check import check_data
from ggcam.data.dataset import PreparedDataset
from ggcam.data.images import read_pixels
from ggcam.data.original import pt_files
from ggcam.data.prepared import load_prepared
from ggcam.data.sources import egd_cxr, reflacx, table
from ggcam.data.sources.siim_gaze import read_gaze_clusters
from ggcam.errors import GGCamError
from ggcam.evaluation.run_results import read_results
from ggcam.inference.predictor import load_predictor
from ggcam.report import run_charts
from ggcam.report.data_card import data_card
from ggcam.report.run_page import render_run_report
from ggcam.report.study_page import render_study_report
from ggcam.study import page
from ggcam.study.metrics import metric_rows
from ggcam.study.study import open_study
from ggcam.training.run import open_run


def read_image(folder: Path) -> None:
    """Decode an image file, in grey and in colour."""
    for channels in (1, 3):
        read_pixels(_only_file(folder), channels=channels)


def read_table(folder: Path) -> None:
    """Read images with labels and a table of fixations."""
    table.read(folder, labels=next(folder.glob("labels.*")), fixations=next(folder.glob("points.*")))


def read_recording(folder: Path) -> None:
    """Read images with labels and a recording of an eye tracker, whose format is recognised."""
    labels, recording = folder / "labels.csv", _only_file(folder / "recording")
    screen = "1920x1080" if recording.suffix in (".asc", ".tsv") or "gaze" in recording.name else None
    table.read(folder, labels=labels, samples=recording, screen=screen, px_per_degree=40.0)


def read_egd_cxr(folder: Path) -> None:
    """Read a raw data set in the layout of EGD-CXR."""
    egd_cxr.read(folder)


def read_reflacx(folder: Path) -> None:
    """Read a raw data set in the layout of REFLACX."""
    reflacx.read(folder)


def read_siim_gaze(folder: Path) -> None:
    """Read the gaze clusters of SIIM-ACR."""
    read_gaze_clusters(_only_file(folder))


def read_original(folder: Path) -> None:
    """Read a file of the original GG-CAM."""
    pt_files.read_original(_only_file(folder))
    pt_files.read_original_pixels(_only_file(folder))


def read_prepared(folder: Path) -> None:
    """Load a prepared folder, and check it as `ggcam inspect` does, which reads all images and masks."""
    data = load_prepared(folder)
    check_data(data)
    data_card(data)


def read_pixel_cache(folder: Path) -> None:
    """Read images from the cache of decoded images."""
    dataset = PreparedDataset(load_prepared(folder), "test", cache="disk")
    dataset.batch(range(len(dataset)))


def read_run(folder: Path) -> None:
    """Make the page of a run."""
    run = open_run(folder)
    with patch.object(run_charts, "RESAMPLES", 20):  # only reading is tested
        render_run_report(read_results(run))
    metric_rows(run.folder)


def read_weights(folder: Path) -> None:
    """Load the network of a run."""
    open_run(folder).load_model()


def read_study(folder: Path) -> None:
    """Read the results of a study, and make its page."""
    open_study(folder)
    render_study_report(page.read_study(folder))


def read_onnx(folder: Path) -> None:
    """Open an ONNX file for prediction."""
    load_predictor(_only_file(folder), engine="onnxruntime")


def _only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


TARGETS: dict[str, Callable[[Path], None]] = {
    function.__name__: function
    for function in (
        *(read_image, read_table, read_recording, read_egd_cxr, read_reflacx, read_siim_gaze, read_original),
        *(read_prepared, read_pixel_cache, read_run, read_weights, read_study, read_onnx),
    )
}


def call_target(task: tuple[str, str]) -> str:
    """Read a mutated file.

    Args:
        task: name of the target, and the folder with the file.

    Returns:
        "read", "refused: " and the first line of the error, or a traceback.
    """
    name, folder = task
    try:
        TARGETS[name](Path(folder))
    except GGCamError as error:
        return f"refused: {error.what}"
    except Exception:
        return traceback.format_exc()
    return "read"
