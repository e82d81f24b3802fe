"""A trained run on new images: probabilities and a CAM overlay each. No gaze is needed, or looked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Shaped, UInt8

from ggcam.data.framing import Fitted, Framing
from ggcam.data.images import IMAGE_SUFFIXES, is_original_file, read_pixels, to_grey, to_uint8
from ggcam.errors import ConfigError, ImageError, MissingFileError
from ggcam.inference.backends import EngineName
from ggcam.inference.predictor import open_network
from ggcam.report.overlay import cam_overlay, save_png
from ggcam.run_folder import PROBABILITY
from ggcam.utils.atomic import atomic_write

OVERLAY_SIDE_PX = 1024
"""Overlays are made no larger than this: a CAM holds no more detail."""

OVERLAY_SUFFIX = "_cam.png"
"""Follows the image's name."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What came of a list of images.

    Attributes:
        table: a row an image that could be read: image, predicted, probability_<class>, overlay.
        failed: image -> why it could not be used.
        engine: what computed them.
    """

    table: pd.DataFrame
    failed: dict[str, str]
    engine: str


@dataclass(frozen=True, eq=False)
class _Loaded:
    """One image: `shown` for the overlay, `framed` for the network."""

    path: Path
    shown: Shaped[np.ndarray, "h w"]
    framed: UInt8[np.ndarray, "H W"]
    raw_size: tuple[int, int]
    framing: Framing


def predict(
    root: Path,
    images: Sequence[Path],
    out: Path,
    overlays: bool = True,
    batch_size: int = 8,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    engine: EngineName = "auto",
) -> Predictions:
    """Predict images and folders of images.

    Writes `predictions.csv`, an overlay of the predicted class's CAM for each image, and `errors.csv` if any failed:
    one bad file does not stop the others. Where an image may belong to several classes, the predicted one is the most
    probable, however improbable.

    Args:
        root: the run folder, or an ONNX file of it.
        images: PNG, JPEG, TIFF or DICOM files, or folders of them (searched to any depth).
        out: where to write; made when missing.
        overlays: whether to draw any.
        batch_size: images in one forward pass.
        device: where to run; by default a GPU where there is one.
        progress: called with (done, all).
        engine: what computes; see :func:`ggcam.inference.predictor.open_network`.

    Raises:
        ConfigError: no images, a batch size below 1, no such device or engine, or a file in the place of `out`.
        RunFolderError: the run is not finished or damaged.
        WeightsError: the ONNX file is none of ours.
        MissingFileError: a file or folder that was named is not there, or a folder holds no image.
    """
    if batch_size < 1:
        raise ConfigError("a batch holds at least one image", where="--batch-size", got=batch_size)
    if not images:
        raise ConfigError("there is nothing to predict", where="ggcam predict RUN IMAGES", expected="files or folders")
    if out.exists() and not out.is_dir():
        raise ConfigError(
            "the output must be a folder, and a file is in its place", where=out, hint="choose another --out"
        )
    names = _overlay_names(_found(images, out))
    network = open_network(root, engine, device, len(names))
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        drawing: list[Future[None]] = []
        for loaded in _batches(pool, list(names), network.framing, batch_size):
            failed |= {str(path): str(error) for path, error in loaded if isinstance(error, ImageError)}
            readable = [image for _, image in loaded if isinstance(image, _Loaded)]
            if readable:
                answer = network.predictor(torch.from_numpy(np.stack([image.framed for image in readable])[:, None]))
                _finish(drawing)  # those of the batch before, which were drawn while this one was computed
                for image, probabilities, cam in zip(readable, answer.probabilities, answer.cam, strict=True):
                    rows.append(_row(image, probabilities, network.class_names))
                    if overlays:
                        rows[-1]["overlay"] = names[image.path]
                        shown, to = cam[probabilities.argmax()], out / names[image.path]
                        drawing.append(pool.submit(_draw, image, shown, to))
            if progress is not None:
                progress(len(rows) + len(failed), len(names))
        _finish(drawing)
    table = pd.DataFrame(rows)
    errors = pd.DataFrame({"image": list(failed), "error": list(failed.values())})
    for name, content in (("predictions.csv", table), ("errors.csv", errors)):
        (out / name).unlink(missing_ok=True)  # what an earlier call left would be taken for an answer to this one
        if len(content):
            atomic_write(out / name, content.to_csv(index=False))
    return Predictions(table, failed, network.engine)


def _row(image: _Loaded, probabilities: Float[np.ndarray, " k"], class_names: Sequence[str]) -> dict[str, object]:
    """Of the table."""
    row: dict[str, object] = {"image": str(image.path), "predicted": class_names[int(probabilities.argmax())]}
    for name, probability in zip(class_names, probabilities.tolist(), strict=True):
        row[PROBABILITY + name] = probability
    return row


def _finish(drawing: list[Future[None]]) -> None:
    """Wait for overlays, meet the error of one that could not be written, and forget them."""
    for drawn in drawing:
        drawn.result()
    drawing.clear()


def _found(images: Sequence[Path], out: Path) -> list[Path]:
    """The named files, and all images in the named folders but for what earlier calls left in `out`, each once."""
    own = out.resolve()
    found: dict[Path, None] = {}
    for path in images:
        if path.is_dir():
            inside = sorted(
                p
                for p in path.rglob("*")
                if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file() and not _is_overlay(p, own)
            )
            if not inside:
                raise MissingFileError(
                    "the folder holds no image", where=path, expected=", ".join(sorted(IMAGE_SUFFIXES))
                )
            found |= dict.fromkeys(inside)
        elif path.is_file():
            found[path] = None
        else:
            raise MissingFileError("the image is not there", where=path)
    return list(found)


def _is_overlay(path: Path, out: Path) -> bool:
    return path.name.endswith(OVERLAY_SUFFIX) and path.resolve().parent == out


def _overlay_names(paths: Sequence[Path]) -> dict[Path, str]:
    """A file name for each overlay: the image's own, with a number where two images share it."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        name, number = f"{path.stem}{OVERLAY_SUFFIX}", 2
        while name.lower() in taken:  # some file systems take upper and lower case for one
            name, number = f"{path.stem}_{number}{OVERLAY_SUFFIX}", number + 1
        taken.add(name.lower())
        names[path] = name
    return names


def _batches(
    pool: ThreadPoolExecutor, paths: Sequence[Path], framing: Framing, batch_size: int
) -> Iterator[list[tuple[Path, _Loaded | ImageError]]]:
    """Images decoded by threads, one batch ahead of the network, so that memory stays flat."""
    chunks = [paths[start : start + batch_size] for start in range(0, len(paths), batch_size)]
    load = partial(_load, framing=framing)
    ahead = [pool.submit(load, path) for path in chunks[0]] if chunks else []
    for chunk, following in zip(chunks, [*chunks[1:], []], strict=True):
        current, ahead = ahead, [pool.submit(load, path) for path in following]
        yield list(zip(chunk, (future.result() for future in current), strict=True))


def _load(path: Path, framing: Framing) -> _Loaded | ImageError:
    try:
        pixels = read_pixels(path)
        if not isinstance(framing, Fitted) and is_original_file(path):  # which is in the frame already
            framing = Fitted(framing.frame)
    except ImageError as error:
        return error
    raw = to_grey(pixels)
    height, width = raw.shape
    scale = min(1.0, OVERLAY_SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shown = raw if scale == 1 else cv2.resize(raw, size, interpolation=cv2.INTER_AREA)
    return _Loaded(path, shown, to_uint8(framing.image(pixels)), (height, width), framing)


def _draw(image: _Loaded, cam: Float[np.ndarray, "h w"], path: Path) -> None:
    save_png(path, _overlay(image, cam))


def _overlay(image: _Loaded, cam: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "y x 3"]:
    """The CAM over the image itself: what lies over the frame's padding is cut away, and cropped margins have none."""
    affine, frame = image.framing.place(*image.raw_size), image.framing.frame
    height, width = image.shown.shape
    # Shown pixel -> frame pixel -> CAM cell, all with their origin at the top-left corner.
    cells_x, cells_y = cam.shape[1] / frame.width_px, cam.shape[0] / frame.height_px
    x = affine.apply_x((np.arange(width) + 0.5) * image.raw_size[1] / width) * cells_x - 0.5
    y = affine.apply_y((np.arange(height) + 0.5) * image.raw_size[0] / height) * cells_y - 0.5
    columns, rows = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    smooth = cv2.remap(cam, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = [(at >= -0.5) & (at <= cells - 0.5) for at, cells in zip((rows, columns), cam.shape, strict=True)]
    return cam_overlay(image.shown, np.where(inside[0] & inside[1], smooth, smooth.min()))
