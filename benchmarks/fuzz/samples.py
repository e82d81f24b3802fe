"""The whole files that are mutated, by kind, each in a folder that its reader accepts."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from benchmarks.fuzz import recordings


@dataclass(frozen=True)
class Kind:
    """Files of one kind.

    Attributes:
        name: the kind, such as "dicom-JPEG2000".
        folder: what the reader needs; nothing in it is changed.
        files: paths in the folder, one of which is mutated at a time.
        target: name of the function in `targets` that reads the folder.
        share: how many mutations the kind gets, relative to the others.
    """

    name: str
    folder: Path
    files: tuple[str, ...]
    target: str
    share: float = 1.0


def make_kinds(root: Path, data: Path | None = None, run: Path | None = None, study: Path | None = None) -> list[Kind]:
    """Make the files.

    Args:
        root: folder to write to.
        data: a prepared folder, to be copied.
        run: an evaluated run on these data.
        study: a study on these data.

    Returns:
        All kinds; those of a folder that is None are left out.
    """
    kinds = [*_dicom(root), *_images(root), *_tables(root), *_recordings(root), *_pickles(root), *_raw_sets(root)]
    if data is not None:
        kinds += _prepared(root, data)
    if run is not None:
        kinds += _run(root, run)
    if study is not None:
        shutil.copytree(study, root / "study")
        files = ("summary.json", "errors.json", "study.toml", "study.parquet")
        kinds.append(Kind("study", root / "study", files, "read_study", 3))
    return kinds


def _single(root: Path, name: str, target: str, files: Iterable[tuple[str, bytes]], share: float = 1.0) -> list[Kind]:
    """Make a kind for each file, which is alone in its folder."""
    kinds: list[Kind] = []
    for file, content in files:
        folder = root / f"{name}-{file}"
        folder.mkdir(parents=True)
        (folder / file).write_bytes(content)
        kinds.append(Kind(name, folder, (file,), target, share))
    return kinds


def _dicom(root: Path, per_syntax: int = 2, max_bytes: int = 150_000) -> list[Kind]:
    """Collect small files of each transfer syntax among those that come with pydicom, and that can be decoded."""
    import pydicom

    from benchmarks.fuzz.targets import call_target

    counts: dict[str, int] = {}
    kinds: list[Kind] = []
    paths = (Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")
    for path in sorted(paths, key=lambda path: (path.stat().st_size, path.name)):
        try:
            syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID.name
        except Exception:
            continue
        if path.stat().st_size > max_bytes or counts.get(syntax, 0) >= per_syntax:
            continue
        name = "dicom-" + "".join(letter for letter in syntax.partition("(")[0].title() if letter.isalnum())
        (kind,) = _single(root, name, "read_image", [(path.name, path.read_bytes())])
        if call_target((kind.target, str(kind.folder))) == "read":
            counts[syntax] = counts.get(syntax, 0) + 1
            kinds.append(kind)
    return kinds


def _images(root: Path) -> list[Kind]:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32)).astype(np.uint8)
    files = [
        (f"{bits}.{suffix}", cv2.imencode(f".{suffix}", pixels.astype(f"uint{bits}") * (257 if bits == 16 else 1))[1])
        for suffix, bits in (("png", 8), ("png", 16), ("jpg", 8), ("tif", 8), ("tif", 16))
    ]
    return [
        kind
        for name, content in files
        for kind in _single(root, name.partition(".")[2], "read_image", [(name, content.tobytes())], 2)
    ]


def _labelled(folder: Path) -> None:
    """Write two images and their labels."""
    (folder / "images").mkdir(parents=True)
    for number in (1, 2):
        cv2.imwrite(str(folder / "images" / f"img_{number}.png"), np.full((455, 512), 40 * number, np.uint8))
    (folder / "labels.csv").write_text("image,label,patient_id\nimages/img_1.png,a,p1\nimages/img_2.png,b,p2\n")


def _tables(root: Path) -> list[Kind]:
    import gzip

    import pandas as pd

    kinds: list[Kind] = []
    rows = [(f"images/img_{k % 2 + 1}.png", 10.0 * k, 5.0 * k, 0.2, 0.3 * k) for k in range(1, 30)]
    table = pd.DataFrame(rows, columns=["image", "x", "y", "duration", "start"])
    text = table.to_csv(index=False).encode()
    for suffix, content in (("csv", text), ("csv.gz", gzip.compress(text)), ("parquet", b"")):
        folder = root / f"table-{suffix}"
        _labelled(folder)
        path = folder / f"points.{suffix}"
        table.to_parquet(path, index=False) if suffix == "parquet" else path.write_bytes(content)
        files = (path.name, "labels.csv") if suffix == "csv" else (path.name,)
        kinds.append(Kind(f"table-{suffix}", folder, files, "read_table", 2))
    return kinds


def _recordings(root: Path) -> list[Kind]:
    kinds: list[Kind] = []
    for name, (file, content) in recordings.samples().items():
        folder = root / f"recording-{name}"
        _labelled(folder)
        (folder / "recording").mkdir()
        (folder / "recording" / file).write_text(content)
        kinds.append(Kind(f"recording-{name}", folder, (f"recording/{file}",), "read_recording", 2))
    return kinds


def _pickles(root: Path) -> list[Kind]:
    import torch

    clusters = {f"1/2/{k}.dcm": [(0.1 * k, 0.2, 3), (0.5, 0.6, 7)] for k in range(5)}
    entries = [{"image_id": name, "gaze_x": [0.1, 0.2], "gaze_y": [0.3, 0.4], "time": [1, 2]} for name in "abc"]
    pt = {
        "cxr": torch.rand(1, 64, 96).repeat(3, 1, 1),
        "gaze": torch.rand(1, 2, 3),
        "lung": torch.zeros(2, 3, dtype=torch.bool),
        "heart": torch.ones(2, 3, dtype=torch.bool),
        "Y": torch.tensor(1),
    }
    path = root / "whole.pt"
    torch.save(pt, path)
    array = pickle.dumps(np.random.default_rng(0).random((40, 48)).astype(np.float32), protocol=4)
    return [
        *_single(root, "siim-pickle", "read_siim_gaze", [("gaze.pkl", pickle.dumps(clusters, protocol=2))], 2),
        *_single(root, "siim-json", "read_siim_gaze", [("gaze.json", json.dumps(entries).encode())], 2),
        *_single(root, "original-pt", "read_original", [("0.pt", path.read_bytes())], 2),
        *_single(root, "array-pickle", "read_image", [("a.pkl", array)], 2),
    ]


def _raw_sets(root: Path) -> list[Kind]:
    from ggcam.simulation.config import SimulationConfig
    from ggcam.simulation.simulator import simulate

    kinds: list[Kind] = []
    layouts: tuple[Literal["egd_cxr", "reflacx"], ...] = ("egd_cxr", "reflacx")
    for layout in layouts:
        folder = root / f"raw-{layout}"
        simulate(folder, SimulationConfig(cases=12, size="96x80", layout=layout, seed=1, workers=1))
        files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".csv", ".json", ".txt")]
        names = tuple(str(path.relative_to(folder)) for path in files if path.stat().st_size)
        kinds.append(Kind(f"raw-{layout}", folder, names, f"read_{layout}", 2))
    return kinds


def _prepared(root: Path, data: Path) -> list[Kind]:
    from ggcam.data.dataset import PreparedDataset
    from ggcam.data.prepared import load_prepared

    folder = root / "prepared"
    shutil.copytree(data, folder)
    tables = ("dataset.toml", "cases.parquet", "fixations.parquet", "regions.parquet")
    pixels = [f"{part}/{path.name}" for part in ("images", "masks") for path in sorted((folder / part).glob("*"))[:5]]
    cached = root / "pixel-cache"
    shutil.copytree(data, cached)
    PreparedDataset(load_prepared(cached), "test", cache="disk")
    caches = tuple(str(path.relative_to(cached)) for path in (cached / "pixels").iterdir())
    return [
        Kind("prepared-tables", folder, tables, "read_prepared", 3),
        Kind("prepared-images", folder, tuple(pixels), "read_prepared", 1),
        Kind("pixel-cache", cached, caches, "read_pixel_cache", 0.5),
    ]


def _run(root: Path, run: Path) -> list[Kind]:
    from ggcam.run_folder import open_run_folder

    folder = root / "run"
    shutil.copytree(run, folder)
    names = open_run_folder(folder)
    texts = (names.metrics, names.classification_report, names.config, names.summary, names.history)
    params = next(path for path in folder.glob("params_*_.txt") if "NetLearn" not in path.name)
    binary = (names.predictions, names.case_metrics, names.cams)
    weights = (names.weights,)

    def relative(paths: Iterable[Path]) -> tuple[str, ...]:
        return tuple(str(path.relative_to(folder)) for path in paths)

    return [
        Kind("run-text", folder, relative((*texts, params)), "read_run", 5),
        Kind("run-binary", folder, relative(binary), "read_run", 3),
        Kind("run-weights", folder, relative(weights), "read_weights", 0.5),
    ]
