"""The description of a preparation: everything that its result depends on, so that only an equal one is continued."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from ggcam.data.case import Case, Frame, Source, Split
from ggcam.data.framing import Framing
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.schema import SCHEMA_VERSION
from ggcam.utils.versions import versions

VERSIONED_PACKAGES = ("ggcam", "numpy", "opencv-python-headless", "pillow", "pyarrow", "pydicom")
"""Packages that the bytes of a prepared folder depend on."""


def describe_job(
    source: Source,
    config: PrepareConfig,
    framing: Framing,
    split_record: Mapping[str, object],
    splits: Mapping[str, Split],
) -> dict[str, str]:
    """Describe a preparation.

    Args:
        source: cases to prepare.
        config: settings.
        framing: how the images are brought into the frame.
        split_record: how the split was made.
        splits: case id -> split.

    Returns:
        Name -> value in words, or a digest of a long value.
    """
    return {
        "schema version": str(SCHEMA_VERSION),
        "versions": _in_words(versions(*VERSIONED_PACKAGES)),
        "preset": config.preset,
        "kind of images": str(config.kind or source.kind),
        "size": str(Frame.parse(config.size)),
        "bits": str(config.image_bits),
        "channels": str(framing.channels),
        "used bits": str(framing.used_bits),
        "split": _in_words(split_record),
        "source": source.name,
        "classes": ", ".join(source.class_names),
        "number of cases": str(len(source.cases)),
        **source_digests(source, splits),
    }


def source_digests(source: Source, splits: Mapping[str, Split]) -> dict[str, str]:
    """Compute digests of the content of a source.

    Args:
        source: cases with their gaze and regions. Images are identified by path, not by content.
        splits: case id -> split.

    Returns:
        Name of the part -> digest; two sources with equal digests have equal content.
    """
    files = [(case.case_id, name, path) for case in source.cases for name, path in _files(case)]
    return {
        "cases": _digest(
            (case.case_id, case.patient_id, case.label, case.flags, case.raw_size) for case in source.cases
        ),
        "splits": _digest(sorted(splits.items())),
        "image files": _digest((case_id, name, os.path.abspath(path)) for case_id, name, path in files),
        "gaze": _digest(part for case in source.cases for part in _gaze_parts(case)),
        **_mentions_digest(source),
        "regions": _digest((case.case_id, case.regions, sorted(case.region_masks.items())) for case in source.cases),
        "dropped records": _digest(sorted(source.dropped.items())),
    }


def _in_words(record: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in record.items())


def _files(case: Case) -> list[tuple[str, Path]]:
    return [("image", case.image), *sorted(case.masks.items())]


def _gaze_parts(case: Case) -> Iterator[object]:
    for reading_id, fixations in case.readings.items():
        yield case.case_id, reading_id, len(fixations)
        for field in fields(fixations):
            yield getattr(fixations, field.name).tobytes()


def _mentions_digest(source: Source) -> dict[str, str]:
    """Digest of the mentions; none for a source without any."""
    mentions = [(case.case_id, sorted(case.mentions.items())) for case in source.cases if case.mentions]
    return {"mentions": _digest(mentions)} if mentions else {}


def _digest(items: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for item in items:
        digest.update(item if isinstance(item, bytes) else repr(item).encode() + b"\n")
    return digest.hexdigest()[:12]
