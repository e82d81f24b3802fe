"""Predict images in Python: `load_predictor` opens a trained network, and calling it returns results."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, overload

import numpy as np
from jaxtyping import Float32, UInt8

from ggcam.data.case import Frame
from ggcam.data.framing import Framing
from ggcam.errors import ConfigError, ImageError
from ggcam.inference.engines import PRECISION_NAMES, EngineName, Precision
from ggcam.inference.image_input import ImageInput, LoadedImage, load_image
from ggcam.inference.network import Network, open_network
from ggcam.inference.precision import PrecisionName
from ggcam.inference.result import PredictionResult
from ggcam.training.typicality import ValidationMarks
from ggcam.utils.parallel import thread_count

AnyInput = TypeVar("AnyInput", bound=ImageInput)


def load_predictor(
    path: str | os.PathLike[str],
    device: str | None = None,
    engine: EngineName = "auto",
    *,
    expected_images: int = 1,
    precision: PrecisionName | None = None,
    reduced_resolution: bool = False,
) -> Predictor:
    """Open a trained network for prediction. For research use; not a medical device.

    Example:
        >>> import ggcam
        >>> predictor = ggcam.load_predictor("run/mine")  # doctest: +SKIP
        >>> result = predictor("chest.dcm")  # doctest: +SKIP
        >>> result.predicted, result.probabilities["pneumonia"]  # doctest: +SKIP
        ('pneumonia', 0.83)

    Args:
        path: run folder, or an ONNX file or bundle written by `ggcam export`.
        device: torch device, such as "cpu" or "cuda"; None for a GPU where there is one.
        engine: what runs the network: "torch", "onnxruntime" or "openvino"; "auto" for torch on a GPU, and for the
            fastest installed engine on a CPU once the run folder has a NET.onnx.
        expected_images: number of images to come; for many, "auto" writes NET.onnx.
        precision: "32", "bf16", "int8" (on a CPU; calibrated on the images of the run), or "auto" for the faster of
            "32" and "bf16" on this machine. Default: "32", or "int8" for an ONNX file in int8.
        reduced_resolution: whether large JPEG and JPEG 2000 images, also in DICOM files, are decoded at a half, a
            quarter or an eighth of their resolution, with at least twice the sides of the frame and 1,024 pixels on the
            longer side. This is faster, and changes probabilities and CAMs a little.

    Returns:
        The predictor.

    Raises:
        ConfigError: the device does not exist, or the engine is not installed, does not run there, or does not compute
            in the precision.
        RunFolderError: the run is unfinished or damaged, or the path does not exist.
        PreparedFolderError: the images of the run, on which int8 is calibrated, do not exist.
        WeightsError: the file is not an ONNX file written by ggcam.
        BundleError: the bundle is incomplete, has changed, or is of another version.
    """
    return Predictor(open_network(Path(path), engine, device, expected_images, precision), reduced_resolution)


class Predictor:
    """Predicts images with a trained network; made by :func:`load_predictor`.

    Args:
        network: the opened network.
        reduced_resolution: as for :func:`load_predictor`.
    """

    def __init__(self, network: Network, reduced_resolution: bool = False):
        self._network = network
        self._reduced_resolution = reduced_resolution

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the network's outputs."""
        return self._network.class_names

    @property
    def multi_label(self) -> bool:
        """Whether an image may have several labels, or none; probabilities then do not sum to 1."""
        return self._network.predict_batch.multi_label

    @property
    def frame(self) -> Frame:
        """Size of the images that the network sees; images of any size are brought to it."""
        return self._network.framing.frame

    @property
    def validation_marks(self) -> ValidationMarks | None:
        """How many validation images of the run were marked as unlike its training images; None if it is not known."""
        typicality = self._network.typicality
        return None if typicality is None else typicality.validation

    @property
    def engine(self) -> EngineName:
        """Name of the engine in use: "torch", "onnxruntime" or "openvino"."""
        return self._network.engine

    @property
    def precision(self) -> Precision:
        """What the engine computes in: "32", "bf16" or "int8"."""
        return self._network.precision

    def __repr__(self) -> str:
        computed = f"{self.engine} in {PRECISION_NAMES[self.precision]}"
        return f"Predictor({', '.join(self.class_names)}; {self.frame} px, {computed})"

    @overload  # a str is a Sequence[str], too: the first overload is for it
    def __call__(self, images: ImageInput, batch_size: int = 8) -> PredictionResult: ...  # pyright: ignore[reportOverlappingOverload]

    @overload
    def __call__(self, images: Sequence[ImageInput], batch_size: int = 8) -> list[PredictionResult]: ...

    def __call__(
        self, images: ImageInput | Sequence[ImageInput], batch_size: int = 8
    ) -> PredictionResult | list[PredictionResult]:
        """Predict one image, or a list of images.

        Args:
            images: a file, an array, or a list of files and arrays. An array is grey, shape (h, w), or RGB, shape
                (h, w, 3), black at 0: uint8, uint16, or float from 0 to 1. Colours become grey for a network that was
                trained on grey images; a grey image is repeated in three channels for one that was trained on colours.
            batch_size: number of images in one forward pass.

        Returns:
            A result for one image; a list of results, in order, for a list.

        Raises:
            ImageError: an image cannot be read, or an array is not an image; see :meth:`predict_batches` to go on with
                the other images.
            ConfigError: the batch size is below 1.
        """
        single = isinstance(images, (str, os.PathLike, np.ndarray))
        results: list[PredictionResult] = []
        for batch in self.predict_batches([images] if single else images, batch_size):
            for image, result in batch:
                if isinstance(result, ImageError):
                    raise result
                # A list of thousands of files shall not keep their pixels: an overlay reads its file again.
                results.append(result if isinstance(image, np.ndarray) else replace(result, shown=None))
        return results[0] if single else results

    def predict_batches(
        self, images: Sequence[AnyInput], batch_size: int = 8
    ) -> Iterator[list[tuple[AnyInput, PredictionResult | ImageError]]]:
        """Predict many images batch by batch, without stopping at unreadable ones.

        Files are decoded in worker processes, so one that crashes or blocks its decoder is an unreadable file. The
        images of the next batch are decoded meanwhile, so memory use does not grow with their number.

        Args:
            images: files and arrays, as for calling the predictor.
            batch_size: number of images in one forward pass.

        Yields:
            For each batch a list of pairs: the image as passed in; and its result, or the error if it cannot be read.

        Raises:
            ConfigError: the batch size is below 1.
        """
        if batch_size < 1:
            raise ConfigError("the batch size must be at least 1", where="--batch-size", got=batch_size)
        load = partial(_load, framing=self._network.framing, reduced_resolution=self._reduced_resolution)
        if not len(images):
            return
        chunks = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        pool = ThreadPoolExecutor(thread_count())
        try:
            ahead = [pool.submit(load, image) for image in chunks[0]]
            for chunk, following in zip(chunks, [*chunks[1:], []], strict=True):
                current, ahead = ahead, [pool.submit(load, image) for image in following]
                yield list(zip(chunk, self._predict([future.result() for future in current]), strict=True))
        finally:
            pool.shutdown(cancel_futures=True)

    def load(self, image: ImageInput) -> LoadedImage:
        """Load an image as the network takes it, for :meth:`predict_loaded`.

        Args:
            image: file or array, as for calling the predictor.

        Returns:
            The loaded image.

        Raises:
            ImageError: the file cannot be read, or the array is not an image.
        """
        return load_image(image, self._network.framing, self._reduced_resolution)

    def predict_loaded(self, loaded: Sequence[LoadedImage]) -> list[PredictionResult]:
        """Predict loaded images in one forward pass.

        Args:
            loaded: images that :meth:`load` returned.

        Returns:
            A result for each, in order.
        """
        return [result for result in self._predict(loaded) if isinstance(result, PredictionResult)]

    def _predict(self, loaded: Sequence[LoadedImage | ImageError]) -> list[PredictionResult | ImageError]:
        readable = [image for image in loaded if isinstance(image, LoadedImage)]
        if not readable:
            return [image for image in loaded if isinstance(image, ImageError)]
        batch = self._network.predict_batch(to_batch([image.framed for image in readable]))
        distance = [None] * len(readable) if batch.distance is None else batch.distance.tolist()
        results = map(self._result, readable, batch.probabilities.tolist(), batch.cam, distance)
        return [image if isinstance(image, ImageError) else next(results) for image in loaded]

    def _result(
        self,
        image: LoadedImage,
        probabilities: Sequence[float],
        cam: Float32[np.ndarray, "k y x"],
        distance: float | None,
    ) -> PredictionResult:
        typicality = self._network.typicality
        return PredictionResult(
            image.image,
            image.image_size,
            dict(zip(self.class_names, probabilities, strict=True)),
            dict(zip(self.class_names, cam, strict=True)),
            image.framing,
            image.shown,
            None if typicality is None else typicality.marks(image.statistics, distance, image.view),
        )


def to_batch(framed: Sequence[UInt8[np.ndarray, "y x *channels"]]) -> UInt8[np.ndarray, "b i y x"]:
    """Stack images as a network takes them.

    Args:
        framed: images in the frame, grey or RGB.

    Returns:
        Shape (b, channels, H, W).
    """
    pixels = np.stack(framed)
    return pixels[:, None] if pixels.ndim == 3 else np.moveaxis(pixels, -1, 1)


def _load(image: ImageInput, framing: Framing, reduced_resolution: bool) -> LoadedImage | ImageError:
    try:
        return load_image(image, framing, reduced_resolution)
    except ImageError as error:
        return error
