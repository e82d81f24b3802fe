"""Read the one part of a multipart response."""

from __future__ import annotations

from collections.abc import Iterable
from email.message import EmailMessage

from ggcam.errors import DicomwebError

_HEADERS_END = b"\r\n\r\n"


def read_single_part(content_type: str, chunks: Iterable[bytes], max_bytes: int) -> bytes:
    r"""Read a response that consists of one file: a multipart message of one part, or the file itself.

    The client of dicomweb-client would also parse the file, in this process and without a limit of its size.

    Args:
        content_type: the header Content-Type of the response.
        chunks: its body.
        max_bytes: maximum size of the body.

    Returns:
        The content of the part.

    Raises:
        DicomwebError: the body is too large, incomplete, or neither multipart nor DICOM.

    Example:
        >>> body = b"--x\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--x--"
        >>> read_single_part('multipart/related; boundary="x"', [body], 1000)
        b'DICM'
    """
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            raise DicomwebError("the file is too large", expected=f"at most {max_bytes:,} bytes", got="more")
    header = EmailMessage()
    header["Content-Type"] = content_type
    if header.get_content_type() == "application/dicom":  # some servers send the file as it is
        return bytes(body)
    boundary = header.get_param("boundary")
    if header.get_content_maintype() != "multipart" or not isinstance(boundary, str):
        raise DicomwebError("the server does not answer with DICOM", expected="multipart/related", got=content_type)
    delimiter = b"--" + boundary.encode()
    start = body.find(_HEADERS_END, body.find(delimiter))
    end = body.rfind(b"\r\n" + delimiter)
    if start < 0 or end < start + len(_HEADERS_END):
        raise DicomwebError("the answer of the server is incomplete")
    return bytes(memoryview(body)[start + len(_HEADERS_END) : end])
