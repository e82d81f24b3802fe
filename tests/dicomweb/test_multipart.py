from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggcam.dicomweb.multipart import read_single_part
from ggcam.errors import DicomwebError

TYPE = 'multipart/related; type="application/dicom"; boundary="the boundary"'


def message(content: bytes, before: bytes = b"", after: bytes = b"--\r\n") -> bytes:
    return (
        before + b"--the boundary\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--the boundary" + after
    )


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


@given(
    st.binary(max_size=300) | st.sampled_from([b"\r\n\r\n", b"\r\n--", b"--the boundary"]),
    st.integers(1, 50),
    st.sampled_from([b"", b"\r\n"]),
    st.sampled_from([b"--", b"--\r\n"]),
)
def test_any_content_comes_back(content, size, before, after):
    assert read_single_part(TYPE, cut(message(content, before, after), size), 1000) == content


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_cut_message_is_an_error(content, data):
    whole = message(content)
    end = data.draw(st.integers(0, len(whole) - len(b"--the boundary--\r\n")))
    with pytest.raises(DicomwebError, match="incomplete"):
        read_single_part(TYPE, [whole[:end]], 1000)


def test_a_file_without_an_envelope_is_accepted():
    assert read_single_part("application/dicom", [b"DI", b"CM"], 10) == b"DICM"


def test_what_is_too_large_is_not_read_to_its_end():
    def endless():
        while True:
            yield b"x" * 100

    with pytest.raises(DicomwebError, match="too large"):
        read_single_part(TYPE, endless(), 1000)


@pytest.mark.parametrize("content_type", ["text/html", "", "multipart/related", "application/dicom+json"])
def test_other_answers_are_refused(content_type):
    with pytest.raises(DicomwebError, match="does not answer with DICOM"):
        read_single_part(content_type, [b"<html>"], 100)
