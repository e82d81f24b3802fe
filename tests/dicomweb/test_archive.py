"""Answers of servers that are no DICOMweb, overloaded, or cut off, from a server of the test's own."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from ggcam.dicomweb.archive import Archive, RemoteImage
from ggcam.dicomweb.credentials import CredentialsFile
from ggcam.dicomweb.query import ImageQuery
from ggcam.errors import DicomwebError, DicomwebUnavailableError

IMAGE = RemoteImage("1.2", "1.2.3", "1.2.3.4")
QUERY = ImageQuery(("DX",), ())


class Server(ThreadingHTTPServer):
    """Answers each request with the next of its answers, the last one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/dicom-web"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.requests.append(self.path)
        server.headers.append(dict(self.headers))
        status, headers, body = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def page(*numbers: int, **changes: Any) -> tuple[int, dict[str, str], bytes]:
    items = [
        {
            "00080060": {"vr": "CS", "Value": ["DX"]},
            "00080018": {"vr": "UI", "Value": [f"1.2.3.{number}"]},
            "0020000D": {"vr": "UI", "Value": ["1.2"]},
            "0020000E": {"vr": "UI", "Value": ["1.2.3"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
            **changes,
        }
        for number in numbers
    ]
    return 200, {"Content-Type": "application/dicom+json"}, json.dumps(items).encode()


def numbers(archive: Archive) -> list[str]:
    return [image.sop_uid for images in archive.find_images(QUERY) for image in images]


@pytest.mark.parametrize(
    ("answer", "kind", "word"),
    [
        ((401, {}, b""), DicomwebUnavailableError, "refuses the credentials"),
        ((403, {}, b""), DicomwebUnavailableError, "refuses the credentials"),
        ((404, {}, b"Doe^Jane"), DicomwebError, "404 Not Found"),
        ((429, {}, b""), DicomwebUnavailableError, "429 Too Many Requests"),
        ((500, {}, b"Doe^Jane"), DicomwebUnavailableError, "500 Internal Server Error"),
        ((503, {}, b""), DicomwebUnavailableError, "503"),
        ((599, {}, b""), DicomwebUnavailableError, "599"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), DicomwebUnavailableError, "redirects"),
        ((200, {"Content-Type": "text/html"}, b"<html>Doe^Jane"), DicomwebError, "answer"),
        ((200, {"Content-Length": "999"}, b"cut"), DicomwebError, "server"),
    ],
)
def test_errors_are_in_words_and_name_no_patient(server, answer, kind, word):
    server.answers = [answer]
    archive = Archive(server.url)
    for request in (lambda: list(archive.find_images(QUERY)), lambda: archive.fetch(IMAGE)):
        with pytest.raises(DicomwebError, match=word) as caught:
            request()
        assert isinstance(caught.value, kind)
        assert "Doe" not in str(caught.value)
    assert len(server.requests) == 2  # neither repeats a request
    assert archive.answers() is False


def test_what_is_sent_in_clear_is_known():
    private = {"https://pacs.example": True, "http://127.0.0.1:8042": True, "http://pacs.example:8042": False}
    assert {url: Archive(url).is_private for url in private} == private


def test_an_absent_server_is_unavailable():
    with pytest.raises(DicomwebUnavailableError, match="cannot be reached"):
        Archive("http://127.0.0.1:1/dicom-web").fetch(IMAGE)


def test_all_pages_are_asked_for(server):
    server.answers = [page(1, 2), page(3), page()]
    assert numbers(Archive(server.url)) == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert [path.partition("offset=")[2].partition("&")[0] for path in server.requests] == ["0", "2", "3"]


def test_a_server_that_ignores_the_offset_is_not_asked_for_ever(server):
    server.answers = [page(1, 2)]
    assert numbers(Archive(server.url)) == ["1.2.3.1", "1.2.3.2"]
    assert len(server.requests) == 2


def test_what_was_not_asked_for_is_left_out(server, caplog):
    other = {"00080060": {"vr": "CS", "Value": ["SR"]}}
    server.answers = [
        page(1, **other),
        page(2, **{"00080060": {"vr": "CS"}}),
        page(3, **{"00080018": {}}),
        page(4),
        page(),
    ]
    assert numbers(Archive(server.url)) == ["1.2.3.4"]
    path = page(5, **{"0020000D": {"vr": "UI", "Value": ["../../studies\n"]}})
    server.answers = [path, page()]
    with caplog.at_level(logging.WARNING):
        assert numbers(Archive(server.url)) == []
    assert "one of its UIDs is invalid" in caplog.text
    assert "Doe" not in caplog.text


def test_credentials_are_sent_to_this_server_and_not_logged(server, tmp_path, caplog):
    other = Server()
    path = tmp_path / "token"
    path.write_text("secret-token")
    archive = Archive(server.url, CredentialsFile(path, "token"))
    server.answers = [page(), (307, {"Location": other.url}, b"")]
    with caplog.at_level(logging.DEBUG):
        numbers(archive)
        with pytest.raises(DicomwebUnavailableError):
            numbers(archive)
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer secret-token"}
    assert other.requests == []
    assert "secret" not in caplog.text
    other.server_close()
