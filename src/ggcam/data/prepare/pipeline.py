"""Cases -> prepared folder: in parallel, atomic, and resumable after a kill at any moment."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path

from ggcam.data.case import Case, Frame, Label, Source, Split
from ggcam.data.framing import Fitted, Framing, FramingName, Strided
from ggcam.data.original.preprocessing import check_raw, is_processed
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.images import ImageOutcome, ImageTask, PixelFiles, prepare_images
from ggcam.data.prepare.staging import StagingFolder
from ggcam.data.prepare.tables import OFF_IMAGE, make_tables
from ggcam.data.prepared import (
    SCHEMA_VERSION,
    PreparedData,
    cases_schema,
    image_name,
    label_matrix,
    load_prepared,
    mask_name,
    write_tables,
)
from ggcam.data.splits import assign_splits
from ggcam.data.summary import count_cases
from ggcam.errors import DataError, ImageError, join_limited
from ggcam.utils.versions import versions

log = logging.getLogger(__name__)

DETERMINING = ("ggcam", "numpy", "opencv-python-headless", "pillow", "pyarrow", "pydicom")
"""Packages that the bytes of a prepared folder depend on."""

BROKEN = "case whose image or mask cannot be read"
"""Reason under which skipped cases are counted as dropped."""

CROPPED = "case cropped by the frame (kept)"
"""Reason under which cases are counted whose image is larger than the released preset's canvas."""

BEYOND_FRACTION = "case beyond the fraction"
"""Reason under which the cases are counted that a fraction leaves out."""


def prepare(
    source: Source,
    out: Path,
    config: PrepareConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PreparedData:
    """Make the prepared folder `out` from a source's cases.

    The work is done in `<out>.partial`. Killed at any moment, a second call with the same source and settings goes on
    from there, and the result equals an uninterrupted one byte for byte.

    Args:
        source: what a reader found.
        out: the folder to make.
        config: the settings; defaults if None.
        progress: called with the number of cases done and of all cases, once at the start and after each case.

    Raises:
        ConfigError: settings that cannot work, such as more splits than patients.
        DataError: ids or labels that cannot be used, or broken images that may not be skipped.
        PreparedFolderError: something is in the way of `out`, or there is no room.
    """
    config = config or PrepareConfig()
    out = Path(out).resolve()
    frame = Frame.parse(config.size)
    _check_source(source)
    if config.preset == "original":
        check_raw(source.cases)
    # Before the images, so that a mistake shows at once and a broken image changes nobody else's split.
    splits, split_record = assign_splits(
        source.cases, config.split_by, config.split_fractions, config.seed, config.subset_fraction
    )
    source = _only(source, splits)
    framing = Strided(frame) if config.preset == "original" else Fitted(frame)
    partial = StagingFolder(out, _job(source, config, split_record, splits), config.overwrite)
    if partial.published:
        partial.clear()
        return load_prepared(out)

    broken = _make_images(source, partial, framing, config, progress)
    if broken:
        _report(broken, source, partial, config.skip_missing)
    kept = [case for case in source.cases if case.case_id in partial.done]
    if not kept:
        raise DataError("no case is left: not one image can be read", got=broken[0].error)
    schema = cases_schema(source.class_names, source.multi_label)
    tables, off_image = make_tables(kept, splits, partial.done, framing, schema)
    cropped = sum(framing.crops(*partial.done[case.case_id]) for case in kept)
    dropped = Counter(source.dropped) + Counter({OFF_IMAGE: off_image, BROKEN: len(broken), CROPPED: cropped})
    cases = tables["cases.parquet"]
    meta = {
        "schema_version": SCHEMA_VERSION,
        "source": source.name,
        "class_names": source.class_names,
        "multi_label": source.multi_label,
        "preset": config.preset,
        "framing": _framing_name(kept, partial.done, framing),
        "bits": config.image_bits,
        "frame": {"height_px": frame.height_px, "width_px": frame.width_px},
        "split": split_record,
        "counts": count_cases(
            cases["split"].to_numpy(),
            label_matrix(cases.to_pandas(), source.class_names, source.multi_label),
            source.class_names,
        ),
        "dropped": dict(sorted(dropped.items())),
        "versions": versions(*DETERMINING),
    }
    write_tables(partial.data, tables, meta)
    partial.publish()
    return load_prepared(out)


def load_if_same(source: Source, out: Path, config: PrepareConfig) -> PreparedData | None:
    """The prepared folder `out`, if it is whole and has the cases, split, frame and preset that it would get now.

    Raises:
        GGCamError: as for :func:`prepare` and :func:`load_prepared`.
    """
    if not (Path(out) / "dataset.toml").is_file():
        return None
    _check_source(source)
    data = load_prepared(out)
    splits, _ = assign_splits(
        source.cases, config.split_by, config.split_fractions, config.seed, config.subset_fraction
    )
    there = zip(data.cases["case_id"], data.cases["split"], strict=True)
    same = (
        data.meta["source"] == source.name
        and data.meta.get("preset", "corrected") == config.preset
        and data.frame == Frame.parse(config.size)
        and all(splits.get(case_id) == split for case_id, split in there)
        and len(data) + data.meta["dropped"].get(BROKEN, 0) == len(splits)
    )
    return data if same else None


def _make_images(
    source: Source,
    partial: StagingFolder,
    framing: Framing,
    config: PrepareConfig,
    progress: Callable[[int, int], None] | None,
) -> list[ImageOutcome]:
    """Make the images that are not done yet; the broken ones are returned, in the order of the cases."""
    for folder in ("images", "masks") if any(case.masks for case in source.cases) else ("images",):
        (partial.data / folder).mkdir(exist_ok=True)
    tasks = [
        ImageTask(
            case_id=case.case_id,
            files=PixelFiles.from_case(case),
            image_png=partial.data / image_name(case.case_id),
            mask_png=partial.data / mask_name(case.case_id),
            framing=framing,
            bits=config.image_bits,
        )
        for case in source.cases
        if case.case_id not in partial.done
    ]
    total = len(source.cases)
    broken: dict[str, ImageOutcome] = {}
    if progress:
        progress(total - len(tasks), total)
    for count, outcome in enumerate(prepare_images(tasks, config.workers), start=total - len(tasks) + 1):
        if outcome.error:
            broken[outcome.case_id] = outcome
        else:
            partial.add(outcome)
        if progress:
            progress(count, total)
    return [broken[case.case_id] for case in source.cases if case.case_id in broken]


def _framing_name(cases: list[Case], sizes: Mapping[str, tuple[int, int]], framing: Framing) -> FramingName:
    """How the truly raw images came here: what the original's procedure wrote, and is not scaled again, is strided."""
    before = all(is_processed(case) and sizes[case.case_id] == framing.frame.shape for case in cases)
    return "strided" if before else framing.name


def _report(broken: list[ImageOutcome], source: Source, partial: StagingFolder, skip: bool) -> None:
    """Stop with the list of broken cases, or log how many are skipped."""
    what = f"{len(broken):,} of {len(source.cases):,} cases have a missing or broken image or mask"
    if skip:
        log.warning("%s and are left out: %s", what, join_limited(outcome.case_id for outcome in broken))
        return
    errors_csv = partial.write_errors(broken, {case.case_id: case.image for case in source.cases})
    lines = [f"\n    {outcome.case_id}: {'; '.join(str(outcome.error).split(chr(10)))}" for outcome in broken[:10]]
    more = f"\n    and {len(broken) - 10:,} more" if len(broken) > 10 else ""
    raise ImageError(
        what,
        where=f"all of them are in {errors_csv}",
        got="".join(lines) + more,
        hint="mend them and run the same command again, which goes on from there; or leave them out with --skip-missing",
    )


def _only(source: Source, splits: Mapping[str, Split]) -> Source:
    """The source with the cases that have a split; the others are counted."""
    kept = tuple(case for case in source.cases if case.case_id in splits)
    left_out = Counter({BEYOND_FRACTION: len(source.cases) - len(kept)})
    return replace(source, cases=kept, dropped=dict(Counter(source.dropped) + left_out))


def _check_source(source: Source) -> None:
    if not source.cases:
        raise DataError(f"the source {source.name} has no case")
    counts = Counter(case.case_id for case in source.cases)
    if twice := [case_id for case_id, count in counts.items() if count > 1]:
        raise DataError("case ids come twice", got=join_limited(twice))
    if odd := [case_id for case_id in counts if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", case_id)]:
        raise DataError(
            "case ids name files, and these cannot",
            got=join_limited(map(repr, odd)),
            expected="letters, digits, '.', '_', '-'",
        )
    fits = _fits_several if source.multi_label else _fits_one
    if off := [case.case_id for case in source.cases if not fits(case.label, len(source.class_names))]:
        raise DataError(
            "labels without a class", got=join_limited(off), expected=f"classes {join_limited(source.class_names)}"
        )


def _fits_one(label: Label, classes: int) -> bool:
    return isinstance(label, int) and 0 <= label < classes


def _fits_several(label: Label, classes: int) -> bool:
    return isinstance(label, tuple) and len(label) == classes and all(value in (0, 1, None) for value in label)


def _job(
    source: Source, config: PrepareConfig, split_record: Mapping[str, object], splits: Mapping[str, Split]
) -> dict[str, str]:
    """All that the result depends on, by name: in words, or as a digest where it is long."""
    return {
        "schema version": str(SCHEMA_VERSION),
        "versions": _words(versions(*DETERMINING)),
        "preset": config.preset,
        "size": str(Frame.parse(config.size)),
        "bits": str(config.image_bits),
        "split": _words(split_record),
        "source": source.name,
        "classes": ", ".join(source.class_names),
        "number of cases": str(len(source.cases)),
        **digests(source, splits),
    }


def digests(source: Source, splits: Mapping[str, Split]) -> dict[str, str]:
    """What the cases are, by name of the part: two sources with equal digests hold the same."""
    files = [(case.case_id, name, path) for case in source.cases for name, path in _files(case)]
    return {
        "cases": _digest(
            (case.case_id, case.patient_id, case.label, case.flags, case.raw_size) for case in source.cases
        ),
        "splits": _digest(sorted(splits.items())),
        "image files": _digest((case_id, name, os.path.abspath(path)) for case_id, name, path in files),
        "gaze": _digest(part for case in source.cases for part in _gaze_parts(case)),
        "regions": _digest((case.case_id, case.regions) for case in source.cases),
        "dropped records": _digest(sorted(source.dropped.items())),
    }


def _words(record: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in record.items())


def _files(case: Case) -> list[tuple[str, Path]]:
    return [("image", case.image), *sorted(case.masks.items())]


def _gaze_parts(case: Case) -> Iterator[object]:
    for reading_id, fixations in case.readings.items():
        yield case.case_id, reading_id, len(fixations)
        for field in fields(fixations):
            yield getattr(fixations, field.name).tobytes()


def _digest(items: Iterable[object]) -> str:
    digest = hashlib.sha256()
    for item in items:
        digest.update(item if isinstance(item, bytes) else repr(item).encode() + b"\n")
    return digest.hexdigest()[:12]
