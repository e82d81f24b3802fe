"""`POST /studies/{uid}/run`: predict a study of the DICOMweb server at once."""

from __future__ import annotations

from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from ggcam.dicomweb.archive import is_uid
from ggcam.dicomweb.state_file import State
from ggcam.dicomweb.worker import Worker
from ggcam.errors import DicomwebError
from ggcam.server.bodies import ErrorBody
from ggcam.server.request_errors import RETRY_AFTER, RequestError

STATUSES = {
    400: "The UID is invalid.",
    401: "The token is missing or wrong.",
    404: "The DICOMweb server has no matching image in this study.",
    502: "The DICOMweb server cannot be reached, or refuses the query.",
    503: "Another study is being predicted, or the queue is full; ask again later.",
}


class StudyImage(BaseModel):
    """What has become of an image."""

    sop_instance_uid: str
    state: State
    reason: str


class StudyBody(BaseModel):
    """What has become of the images of a study."""

    study_instance_uid: str
    images: list[StudyImage]


def study_router(worker: Worker) -> APIRouter:
    """Return the route by which a study is predicted on demand.

    Args:
        worker: predicts the study.

    Returns:
        A router for :func:`ggcam.server.run.serve`.
    """
    router, busy = APIRouter(), Lock()
    responses = {status: {"model": ErrorBody, "description": words} for status, words in STATUSES.items()}

    @router.post("/studies/{uid}/run", summary="Predict a study of the DICOMweb server", responses={**responses})
    def run_study(uid: Annotated[str, Path(description="Study Instance UID.", max_length=64)]) -> StudyBody:
        """Predict the images of a study and store their results, also if they failed before.

        State "stored": the server has all results. "failed": see the reason. "seen": it is tried again later.
        """
        if not is_uid(uid):
            raise RequestError(400, "not a UID", expected="digits and dots, at most 64 characters")
        if not busy.acquire(blocking=False):  # threads that wait would keep other requests from being answered
            raise RequestError(503, "another study is being predicted", RETRY_AFTER, hint="ask again later")
        try:
            outcome = worker.run_study(uid)
        except DicomwebError as error:
            details = {name: text for name, text in error.details.items() if name != "where"}
            raise RequestError(502, error.what, **details) from None
        finally:
            busy.release()
        if not outcome:
            raise RequestError(404, "the DICOMweb server has no matching image in this study")
        images = [
            StudyImage(sop_instance_uid=image, state=known.state, reason=known.reason)
            for image, known in outcome.items()
        ]
        return StudyBody(study_instance_uid=uid, images=images)

    return router
