"""Exceptions of image decoders -> errors with the path and the reason."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from PIL import Image

from ggcam.errors import GGCamError, ImageError
from ggcam.utils.sniff import sniff_wrong_content

_PANIC = "PanicException"
"""What a decoder written in Rust raises for damaged data. It is not an Exception."""

_CV_NO_MEMORY = -4
"""Code of OpenCV's error if memory runs out."""


@contextmanager
def image_errors(path: Path) -> Iterator[None]:
    """Convert any exception of a decoder to an ImageError with the path and the reason, and suppress its warnings.

    Decoders do not document which exceptions they raise for damaged files, so all are caught, around decoding only.

    Args:
        path: the file.

    Yields:
        Nothing.

    Raises:
        ImageError: the block raised an exception, other than one of this package's or a fault of a program.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (GGCamError, ImportError, NameError):  # the last two are faults of a program, not of a file
        raise
    except FileNotFoundError:
        raise ImageError("the image file does not exist", where=path) from None
    except IsADirectoryError:
        raise ImageError("a folder instead of an image file", where=path) from None
    except Image.UnidentifiedImageError:
        instead = sniff_wrong_content(path)
        raise ImageError(
            "unknown image format",
            where=path,
            expected="PNG, JPEG, TIFF or DICOM",
            got=instead.what if instead else "other content, or a file truncated in its header",
            hint=instead and instead.hint,
        ) from None
    except BaseException as error:
        if _is_no_memory(error):
            raise ImageError("decoding the image takes more memory than there is, or is allowed", where=path) from None
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        reason = error.strerror if isinstance(error, OSError) and error.errno else "damaged or truncated content"
        raise ImageError("the image cannot be decoded", where=path, got=reason) from error


def _is_no_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == _CV_NO_MEMORY)
