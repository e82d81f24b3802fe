"""Predict the images of a DICOMweb server as they arrive, and store the results in their studies."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread

from requests.auth import AuthBase

from ggcam.dicom_output.options import DicomOptions, Kind, check_highdicom
from ggcam.dicom_output.uids import result_uid
from ggcam.dicomweb.archive import Archive, RemoteImage
from ggcam.dicomweb.backoff import Backoff
from ggcam.dicomweb.query import ImageQuery
from ggcam.dicomweb.state_file import ImageState, StateFile, open_state_file
from ggcam.errors import DicomwebError, DicomwebUnavailableError, GGCamError, ImageError
from ggcam.server.prediction_queue import PredictionQueue
from ggcam.server.request_errors import without_path
from ggcam.utils.printable import printable

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 10
_IMAGE_BACKOFF = Backoff(first_s=30, longest_s=3600)
"""With `MAX_ATTEMPTS`, an image is tried again for two to three hours."""

_SERVER_BACKOFF = Backoff(first_s=5, longest_s=300)

_STOP_S = 30
"""Time for the image at hand when the service stops. What is not done by then is done after the next start."""


@dataclass(frozen=True)
class Round:
    """What one look at the server led to.

    Attributes:
        found: number of images that were not known before.
        stored: number of images whose results are on the server now.
        retried: number of images that failed and are tried again later.
        failed: number of images that failed for good.
    """

    found: int
    stored: int
    retried: int
    failed: int


class Worker:
    """Predicts images of a DICOMweb server and stores the results, each image once.

    UIDs of results are derived from the image, the model and the options, and the server is asked which of them it has
    before anything is predicted. So nothing is stored twice, whatever was interrupted and even if the state file is
    lost. An image counts as done when the server has all its results.

    Args:
        archive: the server.
        queue: predicts the images.
        states: what has been done.
        query: which images.
        options: which objects to make; the same as those of the queue.
        max_attempts: number of attempts after which an image counts as failed.
        image_backoff: how long to wait before an image is tried again.
        server_backoff: how long to wait while the server cannot be reached.
        random: generator that the jitter of the delays is drawn from.
    """

    def __init__(
        self,
        archive: Archive,
        queue: PredictionQueue,
        states: StateFile,
        query: ImageQuery | None = None,
        options: DicomOptions | None = None,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        image_backoff: Backoff = _IMAGE_BACKOFF,
        server_backoff: Backoff = _SERVER_BACKOFF,
        random: Random | None = None,
    ):
        self._archive, self._queue, self._states = archive, queue, states
        self._query, self._options = query or ImageQuery(), options or DicomOptions()
        self._max_attempts = max_attempts
        self._image_backoff, self._server_backoff = image_backoff, server_backoff
        self._random = random or Random()
        self._lock = Lock()  # one image at a time, so memory does not grow with the number of images

    def run(self, poll_s: float, stop: Event) -> None:
        """Look at the server again and again, until it is stopped. Errors are logged, and never end the loop.

        Args:
            poll_s: seconds between two rounds.
            stop: ends the loop after the image at hand.
        """
        failures = 0
        log.info("DICOMweb: looking for new images every %g s", poll_s)
        while not stop.is_set():
            delay = poll_s
            try:
                self.run_round(stop)
                failures = 0
            except Exception as error:
                failures += 1
                delay = max(poll_s, self._server_backoff.delay(failures, self._random))
                log.warning("DICOMweb: %s; next attempt in %.0f s", describe(error), delay)
            stop.wait(delay)

    @contextmanager
    def in_background(self, poll_s: float) -> Iterator[None]:
        """Run in a thread while the context lasts; it ends with the image at hand.

        Args:
            poll_s: seconds between two rounds.

        Yields:
            Nothing.
        """
        stop = Event()
        thread = Thread(target=self.run, args=(poll_s, stop), name="ggcam-dicomweb", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_STOP_S)

    def run_round(self, stop: Event | None = None) -> Round:
        """Find new images, and process all that are due.

        Args:
            stop: ends the round after the image at hand.

        Returns:
            What was done.

        Raises:
            DicomwebError: the server cannot be reached, or does not support the query.
            GGCamError: nothing can be predicted: the queue is full, or no process for decoding could start.
            OSError: the system fails, for example because the disk is full.
        """
        found, ended = 0, Counter[str]()
        for page in self._archive.find_images(self._query):
            found += self._states.add(page)
        while not (stop and stop.is_set()) and (image := self._states.next_due()):
            ended[self.process(image).state] += 1
        return Round(found, ended["stored"], ended["seen"], ended["failed"])

    def run_study(self, study_uid: str) -> dict[str, ImageState]:
        """Process the images of a study now, also those that failed or are done: what the server lacks is stored.

        Args:
            study_uid: Study Instance UID.

        Returns:
            SOP Instance UID -> what has become of the image; empty if the study has no image that the query matches.

        Raises:
            DicomwebError: the server cannot be reached, or does not support the query.
            GGCamError: as for :meth:`run_round`.
        """
        images = {image.sop_uid: image for page in self._archive.find_images(self._query, study_uid) for image in page}
        self._states.add(images.values())
        return {uid: self.process(image, again=True) for uid, image in images.items()}

    def process(self, image: RemoteImage, again: bool = False) -> ImageState:
        """Fetch an image, predict it, and store its results; or find that the server has them.

        Args:
            image: an image of the state file.
            again: whether to forget earlier attempts.

        Returns:
            What has become of it: "stored", "failed", or "seen" if it is tried again later.

        Raises:
            DicomwebUnavailableError: the server cannot be reached. This does not count as an attempt.
            GGCamError: as for :meth:`run_round`. These do not count, either.
        """
        with self._lock:
            if again:
                self._states.restart(image)
            attempts = self._states.begin(image)
            try:
                self._deliver(image)
            except ImageError as error:
                self._states.mark(image, "failed", describe(error))
            except DicomwebUnavailableError as error:
                if not self._archive.answers():
                    self._states.release(image)
                    raise
                self._try_again(image, attempts, describe(error))
            except DicomwebError as error:
                self._try_again(image, attempts, describe(error))
            except (GGCamError, OSError):
                self._states.release(image)
                raise
            except Exception as error:  # a fault of the program shall not keep the other images from their results
                log.debug("image %s", image.sop_uid, exc_info=True)
                self._try_again(image, attempts, describe(error))
            except BaseException:  # the process is asked to end
                self._states.release(image)
                raise
            state = self._states.get(image.sop_uid)
        assert state is not None  # begin() has found it
        log.info("image %s: %s%s", image.sop_uid, state.state, f" ({state.reason})" if state.reason else "")
        return state

    def _try_again(self, image: RemoteImage, attempts: int, reason: str) -> None:
        if attempts >= self._max_attempts:
            self._states.mark(image, "failed", reason)
        else:
            self._states.retry(image, reason, self._image_backoff.delay(attempts, self._random))

    def _deliver(self, image: RemoteImage) -> None:
        expected: dict[Kind, str] = {
            kind: result_uid(image.sop_uid, self._queue.model, self._options, kind) for kind in self._options.kinds
        }
        there = self._archive.stored(image.study_uid, expected.values())
        if there == set(expected.values()):
            self._states.mark(image, "stored", "the server has the results")
            return
        content = self._archive.fetch(image)
        self._states.mark(image, "fetched")
        objects = self._queue.submit(content, self._options.kinds).result().objects
        made = {kind: str(dataset.SOPInstanceUID) for kind, dataset in objects.items()}
        if made != expected or any(dataset.StudyInstanceUID != image.study_uid for dataset in objects.values()):
            raise ImageError(
                "the file has no valid identifiers, or others than the server says",
                hint="check the SOP Instance UID and the Study Instance UID of the file",
            )
        self._states.mark(image, "predicted")
        for kind, dataset in objects.items():
            if expected[kind] not in there:
                self._archive.store(image.study_uid, dataset)
        missing = set(expected.values()) - self._archive.stored(image.study_uid, expected.values())
        if missing:
            raise DicomwebError("the server has accepted the results and does not have them")
        self._states.mark(image, "stored")


def describe(error: Exception) -> str:
    """Return an error in one line, without the path of a temporary file.

    Args:
        error: any error.

    Returns:
        What happened.

    Example:
        >>> describe(ImageError("several frames", where="/tmp/x", expected="one frame", got=2))
        'several frames (expected: one frame; got: 2)'
    """
    if isinstance(error, GGCamError):
        what, details = without_path(error)
        text = what + (f" ({'; '.join(f'{name}: {value}' for name, value in details.items())})" if details else "")
    elif isinstance(error, OSError):
        text = error.strerror or type(error).__name__
    else:
        text = f"a fault of the program: {type(error).__name__}"
    return printable(" ".join(text.split()))


@contextmanager
def open_worker(
    queue: PredictionQueue,
    url: str,
    state: Path,
    query: ImageQuery | None = None,
    options: DicomOptions | None = None,
    credentials: AuthBase | None = None,
) -> Iterator[Worker]:
    """Open a worker for a DICOMweb server.

    Args:
        queue: predicts the images; opened with the same options.
        url: root of the DICOMweb services of the server.
        state: file that remembers what has been done; created if missing.
        query: which images; None for chest images of CR and DX.
        options: which objects to make.
        credentials: see :class:`ggcam.dicomweb.credentials.CredentialsFile`; None for none.

    Yields:
        The worker. The state file is closed when the block ends.

    Raises:
        ConfigError: the URL is not that of a server, the state file is that of another program, or highdicom is not
            installed.
        BusyError: another process uses the state file.
        StateFileError: the state file cannot be read or written.

    Example:
        >>> with PredictionQueue.open(Path("run/mine")) as queue:  # doctest: +SKIP
        ...     with open_worker(queue, "http://127.0.0.1:8042/dicom-web", Path("state.sqlite")) as worker:
        ...         print(worker.run_round())
    """
    check_highdicom("--dicomweb")
    archive = Archive(url, credentials)
    if not archive.is_private:
        log.warning("DICOMweb: images and credentials are sent without encryption; use https outside a private network")
    with open_state_file(state, " ".join(queue.model.answers_key)) as states:
        yield Worker(archive, queue, states, query, options)
