"""Errors of requests to a DICOMweb server, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import responses

from requests import exceptions

from ggcam.errors import DicomwebError, DicomwebUnavailableError

_CREDENTIALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
_TRY_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


@contextmanager
def request_errors(what: str, url: str) -> Iterator[None]:
    """Turn the errors of a request into those of this package.

    They contain nothing of the body of the answer, which may name a patient.

    Args:
        what: what the request is for, such as "a query".
        url: root of the server.

    Yields:
        Nothing.

    Raises:
        DicomwebUnavailableError: the server cannot be reached, is overloaded, or refuses the credentials.
        DicomwebError: it answers with another error, or not with DICOMweb.
    """
    try:
        yield
    except DicomwebError as error:
        raise type(error)(f"{what}: {error.what}", **{"where": url, **error.details}) from None
    except exceptions.HTTPError as error:
        raise _refusal(what, url, 0 if error.response is None else error.response.status_code) from None
    except exceptions.TooManyRedirects:
        raise DicomwebUnavailableError(
            f"{what}: the server redirects to another address",
            where=url,
            hint="pass the address that the server itself uses, often the same with https",
        ) from None
    except exceptions.SSLError:
        raise DicomwebUnavailableError(
            f"{what}: the certificate of the server is not trusted",
            where=url,
            hint="set the environment variable REQUESTS_CA_BUNDLE to the file of your authority's certificate",
        ) from None
    except exceptions.Timeout:
        raise DicomwebUnavailableError(f"{what}: the server does not answer in time", where=url) from None
    except exceptions.JSONDecodeError:
        raise _not_dicomweb(what, url) from None
    except exceptions.RequestException:
        raise DicomwebUnavailableError(
            f"{what}: the server cannot be reached, or closed the connection", where=url
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError):  # dicomweb-client, about a wrong answer
        raise _not_dicomweb(what, url) from None


def _refusal(what: str, url: str, status: int) -> DicomwebError:
    got = f"{status} {responses.get(status, '')}".strip()
    if status in _CREDENTIALS:
        return DicomwebUnavailableError(
            f"{what}: the server refuses the credentials",
            where=url,
            got=got,
            hint="check the file of --dicomweb-user-file or --dicomweb-token-file",
        )
    unavailable = status in _TRY_LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = DicomwebUnavailableError if unavailable else DicomwebError
    return kind(f"{what}: the server answers with an error", where=url, got=got)


def _not_dicomweb(what: str, url: str) -> DicomwebError:
    return DicomwebError(
        f"{what}: the server does not answer as DICOMweb",
        where=url,
        hint="check the path of the URL; that of Orthanc is /dicom-web",
    )
