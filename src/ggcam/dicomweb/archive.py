"""A DICOMweb server: find images (QIDO-RS), fetch them (WADO-RS), store results (STOW-RS)."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dicomweb_client import DICOMwebClient
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from requests import Session
from requests.auth import AuthBase

from ggcam.data.image_limits import max_pixels
from ggcam.dicomweb.credentials import NoCredentials
from ggcam.dicomweb.multipart import read_single_part
from ggcam.dicomweb.query import ImageQuery
from ggcam.dicomweb.request_errors import request_errors
from ggcam.errors import ConfigError, DicomwebError
from ggcam.server.settings import is_loopback

log = logging.getLogger(__name__)

PAGE = 100
"""Number of images that a query asks for at a time."""

_TIMEOUT_S = (10, 120)
"""Time to connect, and between two packets of an answer."""

_BYTES_PER_PIXEL = 8
"""16 bits of three channels, with a margin for the header."""

_CHUNK = 1 << 20
_UID = re.compile(r"[0-9.]{1,64}")
_UID_FIELDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True)
class RemoteImage:
    """An image on a DICOMweb server.

    Attributes:
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        sop_uid: SOP Instance UID.
    """

    study_uid: str
    series_uid: str
    sop_uid: str


class Archive:
    """A DICOMweb server.

    Certificates are verified, by those of the package certifi or of the environment variable `REQUESTS_CA_BUNDLE`.
    Redirects are not followed, so neither images nor credentials go to another server than that of `url`.

    Args:
        url: root of its DICOMweb services, such as `https://pacs.example/dicom-web`.
        credentials: adds the credentials to each request; None for none.

    Raises:
        ConfigError: the URL is not that of a server, or contains credentials.
    """

    def __init__(self, url: str, credentials: AuthBase | None = None):
        self._url = _check_url(url)
        self._session = Session()
        self._session.auth = credentials or NoCredentials()
        self._session.max_redirects = 0
        self._session.headers["Accept"] = "application/dicom+json"  # for what the client asks for without saying it
        logging.getLogger("dicomweb_client").setLevel(logging.ERROR)  # it logs each request, and headers of answers
        # Chunked uploads are refused by some servers and proxies, so a request is one chunk of any size.
        self._client = DICOMwebClient(
            self._url, self._session, chunk_size=2**62, permissive_uid=True, timeout=_TIMEOUT_S
        )
        self._client.set_http_retry_params(retry=False)  # it would send again without asking what has arrived

    @property
    def is_private(self) -> bool:
        """Whether what is sent is encrypted, or stays on this machine."""
        parts = urlsplit(self._url)
        return parts.scheme == "https" or is_loopback(parts.hostname or "")

    def find_images(self, query: ImageQuery, study_uid: str | None = None) -> Iterator[list[RemoteImage]]:
        """Find images page by page. A page may be empty, and an image may appear twice while others arrive.

        Args:
            query: which images.
            study_uid: only those of a study; None for all studies.

        Yields:
            The images of a page.

        Raises:
            DicomwebError: the server cannot be reached, or does not support the query.
        """
        for filters in query.filters():
            for page in self._pages(filters, study_uid):
                yield [image for item in page if (image := _read_image(item, query)) is not None]

    def fetch(self, image: RemoteImage) -> bytes:
        """Fetch an image as it is stored, without converting its transfer syntax.

        Args:
            image: the image.

        Returns:
            Content of its DICOM file.

        Raises:
            DicomwebError: the server cannot be reached, or does not have the image any more, or the file is too large.
        """
        url = f"{self._url}/studies/{image.study_uid}/series/{image.series_uid}/instances/{image.sop_uid}"
        headers = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
        with (
            request_errors("fetching an image", self._url),
            self._session.get(url, headers=headers, timeout=_TIMEOUT_S, stream=True) as response,
        ):
            response.raise_for_status()
            content_type = response.headers.get("Content-Type", "")
            return read_single_part(content_type, response.iter_content(_CHUNK), _BYTES_PER_PIXEL * max_pixels())

    def stored(self, study_uid: str, sop_uids: Collection[str]) -> set[str]:
        """Ask which objects of a study the server has.

        Args:
            study_uid: Study Instance UID.
            sop_uids: SOP Instance UIDs of the objects.

        Returns:
            Those that the server has.

        Raises:
            DicomwebError: the server cannot be reached, or does not support the query.
        """
        found: set[str] = set()
        for uid in sop_uids:  # one at a time: not every server matches lists
            page = self._search(study_uid, {"SOPInstanceUID": uid}, offset=0)
            found.update(uid for item in page if _value(item, "SOPInstanceUID") == uid)
        return found

    def store(self, study_uid: str, dataset: Dataset) -> None:
        """Store an object.

        Args:
            study_uid: Study Instance UID.
            dataset: the object.

        Raises:
            DicomwebError: the server cannot be reached, or refuses the object.
        """
        with request_errors("storing a result", self._url):
            answer = self._client.store_instances([dataset], study_uid)
            refused = answer.get("FailedSOPSequence") or []
            if refused:
                reason = refused[0].get("FailureReason")
                code = f"0x{int(reason):04X}" if reason is not None else "none"
                raise DicomwebError("the server does not store the result", got=f"failure reason {code}")

    def answers(self) -> bool:
        """Return whether the server can be reached and answers a query."""
        try:
            with request_errors("a query", self._url):
                self._client.search_for_studies(limit=1)
        except DicomwebError:
            return False
        return True

    def _pages(self, filters: Mapping[str, str], study_uid: str | None) -> Iterator[list[dict[str, Any]]]:
        offset, before = 0, None
        while True:
            page = self._search(study_uid, filters, offset)
            uids = [_value(item, "SOPInstanceUID") for item in page]
            if not page or uids == before:  # a server that ignores the offset returns the same images again
                return
            yield page
            offset, before = offset + len(page), uids

    def _search(self, study_uid: str | None, filters: Mapping[str, str], offset: int) -> list[dict[str, Any]]:
        with request_errors("a query", self._url):
            found: Sequence[Any] = self._client.search_for_instances(
                study_uid,
                fields=[*_UID_FIELDS, "Modality"],
                limit=PAGE,
                offset=offset,
                search_filters=dict(filters),
            )
            return [item for item in found if isinstance(item, dict)]


def is_uid(text: str) -> bool:
    """Return whether a text consists of what UIDs consist of; some devices write UIDs that break the other rules.

    Args:
        text: any text.
    """
    return _UID.fullmatch(text) is not None


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ConfigError(
            "not the URL of a DICOMweb server",
            where="--dicomweb",
            expected="the root of its services, such as https://pacs.example/dicom-web",
            got=url.rpartition("@")[2],
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            "the URL has a user, a query or a fragment",
            where="--dicomweb",
            hint="pass credentials with --dicomweb-user-file or --dicomweb-token-file, so that no list of processes "
            "shows them",
        )
    if ":" in parts.hostname:
        raise ConfigError(
            "IPv6 addresses are not supported", where="--dicomweb", got=url, hint="use the name of the host"
        )
    return url.rstrip("/")


def _read_image(item: Mapping[str, Any], query: ImageQuery) -> RemoteImage | None:
    """Return an image of an answer; None for what was not asked for, such as results of ggcam."""
    uids = [_value(item, name) for name in _UID_FIELDS]
    if _value(item, "Modality") not in query.modalities:
        return None
    if not all(map(is_uid, uids)):
        log.warning("%s: the image is left out, because one of its UIDs is invalid", " ".join(map(ascii, uids)))
        return None
    return RemoteImage(*uids)


def _value(item: Mapping[str, Any], keyword: str) -> str:
    """Return the first value of an attribute in DICOM JSON; empty if there is none."""
    values = item.get(f"{tag_for_keyword(keyword):08X}", {}).get("Value") or [""]
    return str(values[0]).strip()
