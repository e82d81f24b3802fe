"""What can be asked of the service."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from ggcam.data.image_limits import max_pixels
from ggcam.data.images import is_dicom
from ggcam.data.png import mark_png
from ggcam.dicom_output.options import Kind, parse_kinds
from ggcam.errors import ConfigError, ImageError
from ggcam.report.overlay import png_bytes
from ggcam.server.bodies import ErrorBody, ErrorDetails, HealthBody, ImageBody, LimitsBody, ModelBody, PredictBody
from ggcam.server.counters import Counters
from ggcam.server.downloads import dicom_multipart, dicom_zip
from ggcam.server.pictures import colours_in_base64, picture_body
from ggcam.server.prediction_queue import Answer, PredictionQueue
from ggcam.server.request_errors import RequestError, as_request_error, error_body
from ggcam.server.settings import Settings
from ggcam.server.uploads import MemoryBudget, uploaded_images

Format = Literal["json", "png", "dicom", "zip"]
Outcome = Answer | Exception

ACCEPTED: dict[str, Format] = {"image/png": "png", "multipart/related": "dicom", "application/zip": "zip"}
"""Media types of the header Accept, beside that of JSON."""

STATUSES = {
    400: "A broken form or parameter.",
    401: "The token is missing or wrong.",
    408: "The request did not arrive in time.",
    413: "The request is too large.",
    415: "The body is not a form.",
    422: "The image cannot be read, or allows no DICOM objects.",
    501: "DICOM objects need the package highdicom.",
    503: "The queue is full, or the service is short of memory; send the image again later.",
    504: "The image was not predicted in time.",
}
ERRORS = {status: {"model": ErrorBody, "description": words} for status, words in STATUSES.items()}

FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "contentMediaType": "image/*"}}
                    },
                    "required": ["file"],
                }
            }
        },
    }
}

router = APIRouter()


@dataclass(frozen=True, eq=False)
class Service:
    """What the routes share.

    Attributes:
        queue: predicts the images.
        settings: limits of requests.
        counters: what is counted.
        budget: memory for requests.
    """

    queue: PredictionQueue
    settings: Settings
    counters: Counters
    budget: MemoryBudget


def _service(request: Request) -> Service:
    return request.app.state.service


Shared = Annotated[Service, Depends(_service)]


@router.get("/health", summary="Tell whether the service answers")
async def health(service: Shared, response: Response) -> HealthBody:
    """200 while images are predicted, 503 when the service shuts down or has failed."""
    is_open = service.queue.is_open
    response.status_code = 200 if is_open else 503
    return HealthBody(status="ok" if is_open else "closed", waiting=service.queue.waiting)


@router.get("/model", summary="Describe the network and the limits", responses={401: ERRORS[401]})
async def model(service: Shared) -> ModelBody:
    """Classes, thresholds, calibration and limits of the network. For research use, not for diagnosis."""
    queue, settings = service.queue, service.settings
    predictor, identity, marks = queue.predictor, queue.model, queue.predictor.validation_marks
    return ModelBody(
        name=identity.name,
        version=identity.version,
        weights_sha256=identity.weights_sha256,
        engine=predictor.engine,
        precision=predictor.precision,
        class_names=list(predictor.class_names),
        multi_label=predictor.multi_label,
        frame=(predictor.frame.height_px, predictor.frame.width_px),
        thresholds=dict(identity.thresholds),
        temperature=list(identity.temperature),
        calibrated_on=identity.calibrated_on,
        validation_marked=None if marks is None else (marks.marked, marks.cases),
        limits=LimitsBody(
            max_bytes=settings.max_bytes,
            max_files=settings.max_files,
            max_pixels=max_pixels(),
            timeout_s=settings.timeout_s,
            max_queue=queue.max_waiting,
        ),
        dicom_objects=_has_highdicom(),
        colours=colours_in_base64(),
    )


@router.get("/metrics", summary="Count requests, images and batches", response_class=Response)
async def metrics(service: Shared) -> Response:
    """Counters in Prometheus's text format."""
    service.counters.waiting.set(service.queue.waiting)
    return Response(service.counters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.post(
    "/predict",
    summary="Predict images",
    response_model=PredictBody,
    response_model_exclude_none=True,
    responses={**ERRORS},
    openapi_extra=FORM,
)
async def predict(
    request: Request,
    service: Shared,
    format: Annotated[
        Format | None,
        Query(
            description="json: probabilities of all images. png: overlay of the CAM. dicom, zip: DICOM objects as "
            "multipart/related or as a zip archive. Default: as the header Accept says, or json."
        ),
    ] = None,
    class_name: Annotated[
        str | None, Query(alias="class", description="Class of the overlay. Default: the predicted one.")
    ] = None,
    kinds: Annotated[
        str, Query(description="DICOM objects: pm, sr, sc, seg, pr, separated by commas.", max_length=100)
    ] = "pm,sr,sc",
    picture: Annotated[bool, Query(description="Add the image and the CAMs to the JSON, for a viewer.")] = False,
) -> Response | PredictBody:
    """Predict one image, or several as JSON; no file is kept. For research use, not for diagnosis."""
    chosen = format or _accepted(request.headers.get("accept", ""))
    objects = _kinds(kinds) if chosen in ("dicom", "zip") else ()
    if class_name is not None and class_name not in service.queue.predictor.class_names:
        names = ", ".join(service.queue.predictor.class_names)
        raise RequestError(400, "no such class", where="class", expected=names)
    async with uploaded_images(request, service.settings, service.budget) as images:
        if chosen != "json" and len(images) > 1:
            raise RequestError(400, "only JSON describes several images", expected="one file", got=len(images))
        outcomes = await _outcomes(service, images, objects)
        if chosen == "json":
            return await _json(images, outcomes, picture)
    (outcome,) = outcomes
    if isinstance(outcome, Exception):
        raise outcome
    return await run_in_threadpool(_file, outcome, chosen, class_name)


def _accepted(accept: str) -> Format:
    for media_type, chosen in ACCEPTED.items():
        if media_type in accept.lower():
            return chosen
    return "json"


def _kinds(text: str) -> tuple[Kind, ...]:
    if not _has_highdicom():
        raise RequestError(501, "highdicom is not installed", hint="pip install 'ggcam[dicom]'")
    try:
        kinds = parse_kinds(text)
    except ConfigError as error:
        raise RequestError(400, error.what, where="kinds", expected=error.details["expected"], got=text) from None
    if "pr" in kinds and "pm" not in kinds:
        raise RequestError(400, "pr refers to pm", where="kinds", got=text, hint="add pm")
    return kinds


def _has_highdicom() -> bool:
    return importlib.util.find_spec("highdicom") is not None


async def _outcomes(service: Service, images: Sequence[bytes], kinds: Sequence[Kind]) -> list[Outcome]:
    """Return the answer for each image, or the error of an image that cannot be predicted."""
    futures: list[asyncio.Future[Answer]] = []
    try:
        futures.extend(asyncio.wrap_future(service.queue.submit(image, kinds)) for image in images)
        async with asyncio.timeout(service.settings.timeout_s):
            answers: list[Outcome | BaseException] = await asyncio.gather(*futures, return_exceptions=True)
    except TimeoutError:
        service.counters.images.labels("late").inc(len(images))
        raise RequestError(
            504,
            "the image was not predicted in time",
            expected=f"{service.settings.timeout_s:g} s",
            hint="send it again later; if it fails again, the file may be damaged",
        ) from None
    finally:
        for future in futures:
            future.cancel()
    outcomes: list[Outcome] = []
    for answer in answers:
        if not isinstance(answer, Answer | ImageError):
            raise answer
        service.counters.images.labels("predicted" if isinstance(answer, Answer) else "unreadable").inc()
        outcomes.append(answer)
    return outcomes


async def _json(images: Sequence[bytes], outcomes: Sequence[Outcome], picture: bool) -> PredictBody:
    """Return all predictions; raise the error of the image if there is one alone and it cannot be read."""
    if len(outcomes) == 1 and isinstance(outcomes[0], Exception):
        raise outcomes[0]
    bodies = [
        await run_in_threadpool(_image_body, is_dicom(image[:132]), outcome, picture)
        for image, outcome in zip(images, outcomes, strict=True)
    ]
    return PredictBody(images=bodies)


def _image_body(is_dicom: bool, outcome: Outcome, picture: bool) -> ImageBody:
    if isinstance(outcome, Exception):
        error = as_request_error(outcome)
        assert error is not None
        return ImageBody(is_dicom=is_dicom, error=ErrorDetails(**error_body(error)))
    result = outcome.result
    return ImageBody(
        predicted=result.predicted,
        probabilities=dict(result.probabilities),
        positive=dict(outcome.positive),
        unusual=None if result.unusual is None else dict(result.unusual),
        image_size=result.image_size,
        is_dicom=is_dicom,
        picture=picture_body(result) if picture else None,
    )


def _file(answer: Answer, chosen: Format, class_name: str | None) -> Response:
    if chosen == "png":
        return Response(mark_png(png_bytes(answer.result.overlay(class_name))), media_type="image/png")
    if chosen == "dicom":
        body, content_type = dicom_multipart(answer.objects)
        return Response(body, headers={"Content-Type": content_type})
    name = {"Content-Disposition": 'attachment; filename="ggcam.zip"'}
    return Response(dicom_zip(answer.objects), media_type="application/zip", headers=name)
