"""A DICOMweb server in memory, which fails when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from dicom_output.predicted import MODEL
from ggcam.data.case import Frame
from ggcam.data.framing import Fitted
from ggcam.dicom_output.options import DicomOptions
from ggcam.dicom_output.uids import result_uid
from ggcam.dicomweb.archive import Archive, RemoteImage
from ggcam.dicomweb.query import ImageQuery
from ggcam.inference.result import PredictionResult
from ggcam.server.prediction_queue import Answer, PredictionQueue

OPTIONS = DicomOptions(("sr", "sc"))
STUDY = "1.2"
RESULT = PredictionResult(Path("image"), (64, 64), {}, {}, Fitted(Frame(64, 64)))


def image(number: int) -> RemoteImage:
    return RemoteImage(STUDY, "1.2.3", f"1.2.3.{number}")


class FakeArchive(Archive):
    """Has images and results; `trouble` is called with the name of each request before, and of each store after."""

    def __init__(self, images: int):
        self.images = [image(number) for number in range(images)]
        self.results: list[str] = []
        self.trouble: Callable[[str], None] = lambda _: None
        self.reachable = True

    @property
    def is_private(self) -> bool:
        return True

    def find_images(self, query: ImageQuery, study_uid: str | None = None) -> Iterator[list[RemoteImage]]:
        self.trouble("find")
        yield from ([each] for each in self.images if study_uid in (None, each.study_uid))

    def fetch(self, image: RemoteImage) -> bytes:
        self.trouble("fetch")
        return image.sop_uid.encode()

    def stored(self, study_uid: str, sop_uids: Collection[str]) -> set[str]:
        self.trouble("stored")
        return set(self.results) & set(sop_uids)

    def store(self, study_uid: str, dataset: Dataset) -> None:
        self.trouble("store")
        self.results.append(str(dataset.SOPInstanceUID))
        self.trouble("after store")

    def answers(self) -> bool:
        return self.reachable


class FakeQueue(PredictionQueue):
    """Makes empty objects with the right UIDs, or raises what `bad` has for an image."""

    model = MODEL

    def __init__(self) -> None:
        self.bad: dict[str, BaseException] = {}
        self.study = STUDY

    def submit(self, content: bytes, kinds: Any) -> Future[Answer]:
        future: Future[Answer] = Future()
        uid = content.decode()
        if uid in self.bad:
            future.set_exception(self.bad[uid])
            return future
        objects = {}
        for kind in kinds:
            objects[kind] = Dataset()
            objects[kind].SOPInstanceUID = result_uid(uid, self.model, OPTIONS, kind)
            objects[kind].StudyInstanceUID = self.study
        future.set_result(Answer(RESULT, {}, objects))
        return future
