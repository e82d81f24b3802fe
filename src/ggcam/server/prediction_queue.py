"""A bounded queue of images to predict, shared by everything that asks a service for predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

from ggcam.dicom_output.model_identity import ModelIdentity, read_model_identity
from ggcam.dicom_output.options import DicomOptions, Kind
from ggcam.errors import BusyError, ConfigError
from ggcam.inference.engines import EngineName
from ggcam.inference.precision import PrecisionName
from ggcam.inference.predictor import Predictor, load_predictor
from ggcam.inference.result import PredictionResult
from ggcam.server.batcher import Batcher
from ggcam.server.memory_files import memory_file
from ggcam.utils.parallel import thread_count

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SPARE_DECODERS = 2
"""Decoders beyond one per core, so that damaged files which take all their time do not block the others."""

_OBJECTS_AT_A_TIME = 2
"""Images whose DICOM objects are made at a time: the maps of many classes take much memory."""

_MANY_IMAGES = 1_000_000
"""A service is expected to predict so many that the fastest engine pays off."""


class QueueFullError(BusyError):
    """The queue has no room: the service is busy, or shutting down."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The prediction for one image.

    Attributes:
        result: probabilities, CAMs and overlays.
        positive: class -> whether its probability reaches the threshold; without the classes that have none.
        objects: kind -> DICOM object, as far as they were asked for.
    """

    result: PredictionResult
    positive: Mapping[str, bool]
    objects: Mapping[Kind, Dataset] = field(default_factory=dict)


class PredictionQueue:
    """Predicts images that are submitted by any number of threads.

    Each image is decoded in a worker process with limits of time and memory, so a hostile file costs its own request
    alone. Images that arrive together are predicted in one forward pass.

    Args:
        predictor: the trained network.
        model: its identity, for DICOM objects.
        max_waiting: maximum number of images that are waiting or being predicted.
        batch_size: maximum number of images in one forward pass.
        wait_s: how long an image waits for others to share its forward pass.
        options: how DICOM objects are made; their kinds are those of each call.
        observe_batch: called with the number of images of each forward pass.

    Example:
        >>> with PredictionQueue.open(Path("run/mine")) as queue:  # doctest: +SKIP
        ...     answer = queue.submit(Path("chest.dcm"), ("sr", "sc")).result()
        >>> answer.result.predicted, answer.objects["sr"].SOPInstanceUID  # doctest: +SKIP
    """

    def __init__(
        self,
        predictor: Predictor,
        model: ModelIdentity,
        *,
        max_waiting: int = 64,
        batch_size: int = 8,
        wait_s: float = 0.005,
        options: DicomOptions | None = None,
        observe_batch: Callable[[int], None] = lambda _: None,
    ):
        for name, value, least in (("--max-queue", max_waiting, 1), ("--batch-size", batch_size, 1)):
            if value < least:
                raise ConfigError("the value is too small", where=name, expected=f"at least {least}", got=value)
        if wait_s < 0:
            raise ConfigError("the time is negative", where="--wait-ms", expected="0 or more", got=1000 * wait_s)
        self.predictor, self.model, self.max_waiting = predictor, model, max_waiting
        self._options = options or DicomOptions()
        decoders = thread_count() + _SPARE_DECODERS
        self._decoding, self._making = BoundedSemaphore(decoders), BoundedSemaphore(_OBJECTS_AT_A_TIME)
        self._batcher = Batcher(predictor.predict_loaded, batch_size, wait_s, observe_batch)
        # Enough threads to fill a batch while another one is computed and every decoder is busy.
        self._pool = ThreadPoolExecutor(2 * batch_size + decoders, thread_name_prefix="ggcam-image")
        self._lock = Lock()
        self._waiting, self._closed = 0, False

    @classmethod
    def open(
        cls,
        run: Path,
        *,
        device: str | None = None,
        engine: EngineName = "auto",
        precision: PrecisionName | None = None,
        reduced_resolution: bool = False,
        max_waiting: int = 64,
        batch_size: int = 8,
        wait_s: float = 0.005,
        options: DicomOptions | None = None,
        observe_batch: Callable[[int], None] = lambda _: None,
    ) -> PredictionQueue:
        """Open a trained network and a queue for it.

        Args:
            run: what :func:`ggcam.load_predictor` opens.
            device: as for :func:`ggcam.load_predictor`.
            engine: as for :func:`ggcam.load_predictor`.
            precision: as for :func:`ggcam.load_predictor`.
            reduced_resolution: as for :func:`ggcam.load_predictor`.
            max_waiting: as for the class.
            batch_size: as for the class.
            wait_s: as for the class.
            options: as for the class.
            observe_batch: as for the class.

        Returns:
            The queue.

        Raises:
            GGCamError: as for :func:`ggcam.load_predictor`; or an argument is out of range.
        """
        predictor = load_predictor(
            run,
            device,
            engine,
            expected_images=_MANY_IMAGES,
            precision=precision,
            reduced_resolution=reduced_resolution,
        )
        return cls(
            predictor,
            replace(read_model_identity(run), precision=predictor.precision),
            max_waiting=max_waiting,
            batch_size=batch_size,
            wait_s=wait_s,
            options=options,
            observe_batch=observe_batch,
        )

    @property
    def waiting(self) -> int:
        """Number of images that are waiting or being predicted."""
        return self._waiting

    @property
    def is_open(self) -> bool:
        """Whether images can be submitted and are predicted."""
        return not self._closed and self._batcher.is_alive

    def submit(self, image: bytes | Path, kinds: Sequence[Kind] = ()) -> Future[Answer]:
        """Add an image to the queue; returns at once.

        Args:
            image: content of a PNG, JPEG, TIFF or DICOM file, or its path.
            kinds: DICOM objects to make.

        Returns:
            The answer, once it is there. Its exception is an ImageError if the image cannot be read or allows no DICOM
            objects, and a ConfigError if highdicom is not installed.

        Raises:
            QueueFullError: `max_waiting` images are there already, or the queue is closed.
        """
        with self._lock:
            if self._closed:
                raise QueueFullError("the service is shutting down", hint="send the image again later")
            if self._waiting >= self.max_waiting:
                raise QueueFullError(
                    "the queue is full",
                    expected=f"at most {self.max_waiting:,} images at a time",
                    hint="send the image again later",
                )
            self._waiting += 1
            future = self._pool.submit(self._answer, image, tuple(kinds))
        future.add_done_callback(self._leave)
        return future

    def close(self) -> None:
        """Accept no more images, answer those that were submitted, and end the threads."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._pool.shutdown()
        self._batcher.close()

    def __enter__(self) -> PredictionQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _leave(self, _: Future[Answer]) -> None:
        with self._lock:
            self._waiting -= 1

    def _answer(self, image: bytes | Path, kinds: tuple[Kind, ...]) -> Answer:
        with nullcontext(image) if isinstance(image, Path) else memory_file(image) as path:
            with self._decoding:
                loaded = self.predictor.load(path)
            result = self._batcher.put(loaded).result()
            positive = {name: result.probabilities[name] >= least for name, least in self.model.thresholds.items()}
            return Answer(result, positive, self._objects(path, result, kinds) if kinds else {})

    def _objects(self, path: Path, result: PredictionResult, kinds: tuple[Kind, ...]) -> Mapping[Kind, Dataset]:
        from ggcam.dicom_output.options import check_highdicom

        check_highdicom("format")
        from ggcam.dicom_output.objects import dicom_objects
        from ggcam.dicom_output.source import read_source
        from ggcam.dicom_output.subject import Subject

        with self._making:
            options = replace(self._options, kinds=kinds)
            return dicom_objects(Subject(read_source(path).reference, result, self.model, options))
