"""Open a trained network, from a run folder or an ONNX file, and choose the engine that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ggcam.data.bit_depth import ALL_BITS
from ggcam.data.case import Frame
from ggcam.data.class_names import check_class_names
from ggcam.data.framing import FRAMINGS, Framing
from ggcam.errors import ConfigError, GGCamError, WeightsError
from ggcam.inference.engines import ONNX_ENGINES, EngineName, check_cpu, fastest_installed
from ggcam.inference.onnx import check_packages, read_metadata
from ggcam.inference.probabilities import BatchPredictor
from ggcam.training.typicality import Typicality, parse_typicality


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network, ready to predict.

    Attributes:
        class_names: name of each output.
        framing: brings raw images into the frame, in the way of the training images.
        predict_batch: computes logits, probabilities and CAMs of images of the frame.
        engine: name of the engine in use.
        typicality: what the training images look like; None if it is not known.
    """

    class_names: tuple[str, ...]
    framing: Framing
    predict_batch: BatchPredictor
    engine: EngineName
    typicality: Typicality | None = None


def open_network(
    path: Path, engine: EngineName = "auto", device: str | None = None, expected_images: int = 1
) -> Network:
    """Open a run folder, or an ONNX file that `ggcam export --format onnx` wrote.

    The engine "auto" is torch on a GPU. On a CPU it is the first installed engine of `ONNX_ENGINES`, if the run folder
    has a NET.onnx or there are enough images for writing it to pay off; otherwise torch.

    Args:
        path: run folder or ONNX file.
        engine: what runs the network.
        device: torch device; None for a GPU where there is one. ONNX engines run on the CPU only.
        expected_images: number of images that will be predicted, for the choice of "auto".

    Returns:
        The network.

    Raises:
        ConfigError: the device does not exist, or the engine is not installed or does not run there.
        RunFolderError: the run is unfinished or damaged, or the path does not exist.
        WeightsError: the file is not an ONNX file written by ggcam.
    """
    if path.is_file():
        return _open_file(path, engine, device)
    from ggcam.inference.run_network import open_run_network  # imports torch, which an ONNX file does without

    return open_run_network(path, engine, device, expected_images)


def _open_file(path: Path, engine: EngineName, device: str | None) -> Network:
    check_packages("onnx", where=path)
    try:
        content = path.read_bytes()
        metadata = read_metadata(content)
        framing = FRAMINGS[metadata.get("framing", "fitted")](
            Frame(*metadata["size"]), int(metadata.get("used_bits", ALL_BITS)), metadata["channels"]
        )
        names, multi_label = tuple(metadata["class_names"]), metadata["multi_label"]
        check_class_names(names, path, WeightsError)
        temperature: list[float] = metadata.get("temperature", [1.0] * len(names))
        if len(temperature) != len(names) or min(temperature) <= 0:
            raise WeightsError("its metadata have no temperature above 0 for each class")
        typicality = parse_typicality(metadata["typicality"], path, WeightsError) if "typicality" in metadata else None
    except (WeightsError, ConfigError, KeyError, TypeError) as error:
        what = error.what if isinstance(error, GGCamError) else f"its metadata lack {error}"
        raise WeightsError(
            f"neither a run folder nor an ONNX file of one: {what}",
            where=path,
            expected="a folder written by `ggcam train` or a file written by `ggcam export --format onnx`",
        ) from error
    if engine == "torch":
        raise ConfigError(
            "torch cannot run an ONNX file",
            where="--engine",
            expected=" or ".join(ONNX_ENGINES),
            got=engine,
            hint="leave --engine out, or predict with the run folder",
        )
    check_cpu(engine, device)
    name = (fastest_installed() or "onnxruntime") if engine == "auto" else engine
    predictor = BatchPredictor(ONNX_ENGINES[name](content), multi_label, temperature)
    return Network(names, framing, predictor, name, typicality)
