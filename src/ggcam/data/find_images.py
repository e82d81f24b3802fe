"""Find image files in folders: by their endings, and DICOM files by their content. What is skipped is named."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ggcam.data.images import IMAGE_SUFFIXES, is_dicom
from ggcam.data.png import is_marked_png
from ggcam.errors import join_limited

log = logging.getLogger(__name__)

OVERLAY_SUFFIX = "_cam.png"
"""Follows the image's name in the file name of its overlay."""

DICOM_RESULT_SUFFIX = "_ggcam.dcm"
"""End of the names of DICOM objects that hold predictions; they are no images to predict."""

HIDDEN, OVERLAY, DICOM_RESULT, DICOMDIR, LINK, BROKEN_LINK, UNREADABLE, OTHER = (
    "hidden image file",
    "overlay drawn by ggcam",
    "DICOM result written by ggcam",
    "index of a DICOM medium",
    "link to a folder",
    "broken link",
    "file that cannot be opened",
    "file of another kind",
)
"""Reasons why a file is skipped."""

_TABLES = frozenset({".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".json", ".jsonl", ".xml", ".toml", ".yaml", ".yml"})
_TEXTS = frozenset({".md", ".rst", ".html", ".pdf", ".log", ".py"})
_RECORDINGS = frozenset({".asc", ".edf", ".pkl", ".pickle"})
_COMPANIONS = _TABLES | _TEXTS | _RECORDINGS
"""Endings of files that are not expected to be images and therefore not reported as skipped."""

_ARCHIVES = frozenset({".gz", ".bz2", ".xz"})
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
_HEAD_BYTES = 512
_DICOMDIR_CLASS = b"1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class FoundImages:
    """The images in a folder.

    Attributes:
        images: paths relative to the folder, with '/', sorted.
        skipped: reason -> paths of the other files, likewise, without tables, texts and recordings.
    """

    images: tuple[str, ...]
    skipped: Mapping[str, tuple[str, ...]]

    def report_skipped(self, root: Path, dropped: Counter[str] | None = None) -> None:
        """Log the skipped files in one line, and count them.

        Args:
            root: the folder, for the log.
            dropped: reason -> count; updated.
        """
        if not self.skipped:
            return
        counted = [f"{reason}: {len(paths):,} ({join_limited(paths, 3)})" for reason, paths in self.skipped.items()]
        log.warning("%s: skipped files: %s", root, "; ".join(counted))
        if dropped is not None:
            dropped.update({reason: len(paths) for reason, paths in self.skipped.items()})


def find_images(root: Path, exclude: Path | None = None) -> FoundImages:
    """Find all images in a folder at any depth.

    An image is a file with an ending of `IMAGE_SUFFIXES` in upper or lower case, or with the content of a DICOM file.
    Hidden files and folders, overlays and DICOM objects of predictions, indexes of DICOM media, and folders behind
    links are skipped.

    Args:
        root: the folder.
        exclude: folder to leave out.

    Returns:
        The images, and the skipped files by reason.
    """
    images: list[str] = []
    skipped: dict[str, list[str]] = {}
    for path, relative in _walk(root, exclude):
        reason = _skip_reason(path, relative)
        if reason is None:
            images.append(relative.as_posix())
        elif reason:
            skipped.setdefault(reason, []).append(relative.as_posix())
    return FoundImages(tuple(sorted(images)), {reason: tuple(sorted(skipped[reason])) for reason in sorted(skipped)})


def is_image(path: Path) -> bool:
    """Return whether :func:`find_images` takes a path for an image.

    Args:
        path: the path.

    Returns:
        True for an image.
    """
    return _skip_reason(path, PurePosixPath(path.name)) is None and path.is_file()


def image_stem(name: str) -> str:
    """Return the name or path of an image without its ending.

    DICOM files may be named by a UID, whose last number is no ending.

    Args:
        name: name or path.

    Returns:
        The name without an ending of `IMAGE_SUFFIXES`.

    Example:
        >>> image_stem("a/x.PNG"), image_stem("1.2.840.113")
        ('a/x', '1.2.840.113')
    """
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in IMAGE_SUFFIXES else name


def _walk(root: Path, exclude: Path | None) -> Iterator[tuple[Path, PurePosixPath]]:
    """Yield each file, and each link to a folder, with its path relative to the root."""
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if here / name != exclude]
        for name in (*files, *(name for name in folders if (here / name).is_symlink())):
            yield here / name, PurePosixPath((here / name).relative_to(root).as_posix())


def _skip_reason(path: Path, relative: PurePosixPath) -> str | None:
    """Return why a file is skipped, "" without reporting it, None for an image."""
    has_ending = path.suffix.lower() in IMAGE_SUFFIXES
    if any(part.startswith(".") or part == "__MACOSX" for part in relative.parts):
        return HIDDEN if has_ending else ""
    if not path.is_file():
        return LINK if path.is_dir() else BROKEN_LINK
    if path.name.endswith(DICOM_RESULT_SUFFIX) and _is_dicom_result(path):
        return DICOM_RESULT
    if has_ending:
        return OVERLAY if path.name.endswith(OVERLAY_SUFFIX) and is_marked_png(path) else None
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _ARCHIVES]
    if (suffixes and suffixes[-1] in _COMPANIONS) or path.name.lower() in _SYSTEM_FILES:
        return ""
    return _skip_reason_by_content(path)


def _is_dicom_result(path: Path) -> bool:
    """Return whether the header of a DICOM file names the library that writes the objects of predictions."""
    try:
        with path.open("rb") as file:
            return b"highdicom" in file.read(_HEAD_BYTES)
    except OSError:
        return False


def _skip_reason_by_content(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return UNREADABLE
    if path.name.upper() == "DICOMDIR":
        return DICOMDIR
    if not is_dicom(head):
        return OTHER
    return DICOMDIR if _DICOMDIR_CLASS in head else None
