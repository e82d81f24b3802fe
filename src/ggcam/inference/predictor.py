"""A trained network, ready to answer on the engine asked for: from a run folder, or from an ONNX file alone."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ggcam.data.case import Frame
from ggcam.data.framing import FRAMINGS, Framing
from ggcam.errors import ConfigError, WeightsError
from ggcam.inference.backends import ONNX_ENGINES, Engine, EngineName, TorchEngine
from ggcam.inference.onnx import check_packages, onnx_file, read_notes
from ggcam.inference.probabilities import Predictor, find_device
from ggcam.run_folder import RunFolder, open_run_folder
from ggcam.training.model_spec import ModelSpec, load_model
from ggcam.utils.atomic import atomic_write
from ggcam.utils.versions import versions

log = logging.getLogger(__name__)

AUTO_PIXELS = 100_000_000
"""From so many pixels on (50 images of 1536x1280), writing a network as ONNX takes less time than it saves."""


@dataclass(frozen=True, eq=False)
class Network:
    """All that predicting needs.

    Attributes:
        class_names: of each output.
        framing: raw images -> images of its frame, as the training's came there.
        predictor: images of that frame -> answers.
        engine: name of what computes.
    """

    class_names: tuple[str, ...]
    framing: Framing
    predictor: Predictor
    engine: str


def open_network(root: Path, engine: EngineName = "auto", device: str | None = None, images: int = 1) -> Network:
    """Open a run folder, or a file that `ggcam export --format onnx` wrote.

    With "auto", torch computes wherever there is a GPU. On a CPU the first engine of `ONNX_ENGINES` that is installed
    does, once its file NET.onnx lies in the run folder; that is written when the images are so many that it pays.

    Args:
        root: the run folder or the file.
        engine: what computes.
        device: where; only torch has a choice.
        images: how many there will be.

    Raises:
        ConfigError: there is no such device, or the engine is not installed, or cannot run there, or there.
        RunFolderError: the run is not finished or damaged.
        MissingFileError: there is nothing under that name.
        WeightsError: the file is none of ours.
    """
    if root.is_file():
        return _of_file(root, engine, device)
    run = open_run_folder(root)
    description = ModelSpec.from_run(run)
    chosen, computes = _engine(run, description, engine, device, images)
    framing = FRAMINGS[description.framing](description.frame)
    return Network(description.class_names, framing, Predictor(computes, description.multi_label), chosen)


def onnx_of(run: RunFolder) -> bytes:
    """The run's best network as ONNX: its NET.onnx, if that is there and of these weights.

    Raises:
        RunFolderError: the run is not finished or damaged.
        ConfigError: see :func:`ggcam.inference.onnx.onnx_file`.
    """
    return _current(run) or _onnx(run, ModelSpec.from_run(run))


def _onnx(run: RunFolder, description: ModelSpec) -> bytes:
    frame = description.frame.shape
    notes: dict[str, Any] = {
        "class_names": list(description.class_names),
        "multi_label": description.multi_label,
        "network": f"{description.net} {description.type}",
        "image": "grey, 0 black, the largest value white; of a DICOM file, over its display window",
        "framing": description.framing,
        "fit": FRAMINGS[description.framing].in_words,
        "logits": "their sigmoid is each class's probability" if description.multi_label else "for a softmax",
        "cam": "evidence for each class in each cell of a grid over the image; its mean is the logit less the bias",
        "weights_sha256": _fingerprint(run),
        "use": "for research use; not a medical device",
        **{f"version_{name}": version for name, version in versions("ggcam", "torch").items()},
    }
    return onnx_file(load_model(run), frame, notes)


def _of_file(path: Path, engine: EngineName, device: str | None) -> Network:
    check_packages("onnx", where=path)
    try:
        content = path.read_bytes()
        notes = read_notes(content)
        framing = FRAMINGS[notes.get("framing", "fitted")](Frame(*notes["size"]))
        names, multi_label = tuple(notes["class_names"]), bool(notes["multi_label"])
    except (WeightsError, KeyError, TypeError) as error:
        what = error.what if isinstance(error, WeightsError) else f"its notes lack {error}"
        raise WeightsError(
            f"this is neither a run folder nor an ONNX file of one: {what}",
            where=path,
            expected="what `ggcam train`, or `ggcam export --format onnx`, wrote",
        ) from error
    if engine == "torch":
        raise ConfigError(
            "torch cannot run an ONNX file",
            where="--engine",
            expected=" or ".join(ONNX_ENGINES),
            got=engine,
            hint="leave --engine out, or predict with the run folder",
        )
    _check_cpu(engine, device)
    chosen = (_first_installed() or "onnxruntime") if engine == "auto" else engine
    return Network(names, framing, Predictor(ONNX_ENGINES[chosen](content), multi_label), chosen)


def _engine(
    run: RunFolder, description: ModelSpec, name: EngineName, device: str | None, images: int
) -> tuple[str, Engine]:
    """What computes, and its name."""
    if name == "torch":
        return name, TorchEngine(load_model(run), find_device(device))
    if name != "auto":
        _check_cpu(name, device)
        check_packages("onnx", name, where=f"--engine {name}")
        return name, ONNX_ENGINES[name](_current(run) or _written_onnx(run, description))
    where = find_device(device)
    fastest = _first_installed("onnx", "onnxscript", "onnxruntime")  # the last two to write a file, and to check it
    if where.type == "cpu" and fastest is not None:
        content, frame = _current(run), description.frame
        if content is not None or images * frame.height_px * frame.width_px >= AUTO_PIXELS:
            try:
                return fastest, ONNX_ENGINES[fastest](content or _written_onnx(run, description))
            except ConfigError as error:  # the user asked for no engine, so that torch will do
                log.warning("predicting with torch: %s", error.what)
    return "torch", TorchEngine(load_model(run), where)


def _first_installed(*needed: str) -> str | None:
    """The fastest engine for ONNX files that this machine has; None if a needed package is missing."""
    if not all(map(importlib.util.find_spec, needed)):
        return None
    return next((name for name in ONNX_ENGINES if importlib.util.find_spec(name) is not None), None)


def _check_cpu(engine: str, device: str | None) -> None:
    if device is not None and find_device(device).type != "cpu":
        raise ConfigError(
            "an ONNX file is run on the CPU",
            where="--engine, --device",
            got=f"{engine} on {device}",
            hint="leave --device out, or predict a run folder with --engine torch",
        )


def _written_onnx(run: RunFolder, description: ModelSpec) -> bytes:
    """What NET.onnx of the run folder holds from now on."""
    content = _onnx(run, description)
    try:
        atomic_write(run.onnx, content)
    except OSError as error:  # somebody else's folder, which is no reason not to predict
        log.warning("%s is not kept for the next time: %s", run.onnx, error.strerror)
    return content


def _current(run: RunFolder) -> bytes | None:
    """What NET.onnx holds, if it is of the weights that lie beside it."""
    if not run.onnx.is_file() or not run.weights.is_file() or importlib.util.find_spec("onnx") is None:
        return None
    content = run.onnx.read_bytes()
    try:
        notes = read_notes(content)
    except WeightsError:
        return None
    fits = notes.get("weights_sha256") == _fingerprint(run) and notes.get("version_ggcam") == versions("ggcam")["ggcam"]
    return content if fits else None


def _fingerprint(run: RunFolder) -> str:
    with run.weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
