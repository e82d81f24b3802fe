"""A DICOMweb server of which each request is announced before it is sent and after it is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from pydicom.dataset import Dataset

from ggcam.dicomweb.archive import Archive, RemoteImage
from ggcam.dicomweb.query import ImageQuery


class WatchedArchive(Archive):
    """Calls `watch` with "before store", "after store" and so on."""

    watch: Callable[[str], None] = staticmethod(lambda _: None)

    def find_images(self, query: ImageQuery, study_uid: str | None = None) -> Iterator[list[RemoteImage]]:
        self.watch("before find")
        yield from super().find_images(query, study_uid)
        self.watch("after find")

    def fetch(self, image: RemoteImage) -> bytes:
        self.watch("before fetch")
        content = super().fetch(image)
        self.watch("after fetch")
        return content

    def stored(self, study_uid: str, sop_uids: Collection[str]) -> set[str]:
        self.watch("before stored")
        found = super().stored(study_uid, sop_uids)
        self.watch("after stored")
        return found

    def store(self, study_uid: str, dataset: Dataset) -> None:
        self.watch("before store")
        super().store(study_uid, dataset)
        self.watch("after store")
