"""Write a run as a bundle: one folder to hand on."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import safetensors.torch

from ggcam.data.case import SPLITS
from ggcam.data.views import apply_view
from ggcam.errors import ConfigError, DataError
from ggcam.inference.bundle import CALIBRATION, CONFIG, FORMAT, MANIFEST, NETWORK, ONNX, TYPICALITY, VERSION, WEIGHTS
from ggcam.inference.cached_onnx import weights_sha256
from ggcam.inference.model_card import NOTICE, CardFacts, TrainingData, model_card
from ggcam.inference.run_onnx import onnx_from_run
from ggcam.report.result_schemas import RunMetrics
from ggcam.training.run import Run, open_run
from ggcam.utils import toml
from ggcam.utils.atomic import naming_place
from ggcam.utils.documents import read_text
from ggcam.utils.json_files import format_json
from ggcam.utils.structure import plain

LICENCE = f"""{NOTICE}

No licence is granted with this file. Who trained this network, and the terms of the data that it was trained on,
decide who may use it and for what. Replace this text before you hand the network on, or pass your own with
`ggcam export RUN --format bundle --license-file FILE`.
"""


def write_bundle(root: Path, out: Path, licence: Path | None = None) -> None:
    """Write a bundle; see :mod:`ggcam.inference.bundle`.

    Args:
        root: run folder.
        out: folder to create.
        licence: text file that becomes LICENSE.

    Raises:
        RunFolderError: the folder is not a run folder, or training has not finished.
        ConfigError: `out` exists, a package is not installed, or the network cannot be written as ONNX.
        MissingFileError: the licence does not exist.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError("the bundle's folder exists already", where=out, hint="remove it, or choose another --out")
    text = LICENCE if licence is None else read_text(licence)
    run = open_run(root)
    files = _network_files(run)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "name": run.name,
        "weights_sha256": weights_sha256(run.folder),
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    others = {"README.md": model_card(_facts(run)), "LICENSE": text, MANIFEST: format_json(manifest)}
    _write_folder({**files, **{name: content.encode() for name, content in others.items()}}, out)


def _network_files(run: Run) -> dict[str, bytes]:
    """Return the files that a prediction depends on."""
    state = {name: tensor.clone().contiguous() for name, tensor in run.load_model().state_dict().items()}
    train = {**plain(asdict(run.config)), "keep_paths": False}
    if run.config.weights is not None:
        train["weights"] = run.config.weights.name
    files = {
        WEIGHTS: safetensors.torch.save(state),
        ONNX: onnx_from_run(run).content,
        NETWORK: format_json(plain(run.spec.to_dict())).encode(),
        CALIBRATION: format_json(plain(asdict(run.calibration))).encode(),
        CONFIG: toml.dumps({"train": train}).encode(),
    }
    if run.typicality is not None:
        described = run.folder.typicality
        files[TYPICALITY] = described.read_bytes()
        files[Path(TYPICALITY).with_suffix(".npz").name] = described.with_suffix(".npz").read_bytes()
    return files


def _facts(run: Run) -> CardFacts:
    typicality = run.typicality
    return CardFacts(
        run.name,
        run.spec,
        run.config,
        run.calibration,
        _training_data(run),
        _metrics(run),
        None if typicality is None else typicality.validation,
    )


def _metrics(run: Run) -> RunMetrics | None:
    return run.metrics if run.folder.metrics.is_file() else None


def _training_data(run: Run) -> TrainingData | None:
    """Describe the training data by numbers and names alone; None if they cannot be read."""
    try:
        data = run.data()
    except DataError:
        return None
    view, made = run.config.view, data.meta.get("split", {})
    how = f"fold {view.fold} of {view.folds} by patient" if view.folds else str(made.get("how", "unknown"))
    if "name" in made and not view.folds:
        how += f" ({made['name']})"
    viewed = apply_view(data, replace(view, control="none"))
    splits = viewed.cases["split"].tolist()
    counts = {split: splits.count(split) for split in SPLITS if split in splits}
    return TrainingData(str(data.meta.get("source", "unknown")), data.kind, counts, how, viewed.attention)


def _write_folder(files: Mapping[str, bytes], out: Path) -> None:
    """Write the files into a folder beside `out`, and rename it: a bundle is whole or does not exist."""
    with naming_place(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.{os.getpid()}.part")
        temporary.mkdir()
        try:
            for name, content in files.items():
                (temporary / name).write_bytes(content)
            os.replace(temporary, out)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
