"""DICOM objects of a prediction as one response: a zip archive, or the multipart/related body of DICOMweb."""

from __future__ import annotations

import io
import secrets
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ggcam.data.find_images import DICOM_RESULT_SUFFIX
from ggcam.dicom_output.options import Kind

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def dicom_zip(objects: Mapping[Kind, Dataset]) -> bytes:
    """Put DICOM objects into a zip archive, with the file names of `ggcam predict --dicom-out`.

    Args:
        objects: kind -> object.

    Returns:
        Content of the archive.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for kind, made in objects.items():
            archive.writestr(f"{kind}_{made.SOPInstanceUID}{DICOM_RESULT_SUFFIX}", _content(made))
    return buffer.getvalue()


def dicom_multipart(objects: Mapping[Kind, Dataset]) -> tuple[bytes, str]:
    """Put DICOM objects into the body that a STOW-RS request has (PS3.18 10.5).

    Args:
        objects: kind -> object.

    Returns:
        The body, and its content type.
    """
    boundary = secrets.token_hex(16)
    parts = [
        f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + _content(made) + b"\r\n"
        for made in objects.values()
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, f'multipart/related; type="application/dicom"; boundary={boundary}'


def _content(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
