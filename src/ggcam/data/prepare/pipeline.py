"""Raw data set -> prepared folder: in parallel, atomic, and resumable after a kill at any moment."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from ggcam.data.case import OFF_IMAGE, Case, Frame, Label, Source, Split
from ggcam.data.class_names import check_class_names
from ggcam.data.framing import Fitted, Framing, FramingName, Strided
from ggcam.data.original.preprocessing import check_raw, is_processed
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.image_kind import find_channels, find_image_kind
from ggcam.data.prepare.images import PREPARE_GUARD, ImageOutcome, ImageTask, PixelFiles, prepare_image
from ggcam.data.prepare.job import VERSIONED_PACKAGES, describe_job
from ggcam.data.prepare.marks import mark_images
from ggcam.data.prepare.on_ray import prepare_on_ray
from ggcam.data.prepare.staging import StagingFolder
from ggcam.data.prepare.tables import make_tables
from ggcam.data.prepare.used_bits import find_used_bits
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.schema import SCHEMA_VERSION, cases_schema, image_name, label_matrix, mask_name, region_mask_name
from ggcam.data.splits import assign_splits
from ggcam.data.summary import count_cases
from ggcam.errors import DataError, ImageError, join_limited
from ggcam.utils import toml
from ggcam.utils.atomic import naming_place
from ggcam.utils.locks import locked_target
from ggcam.utils.parallel import parallel_map
from ggcam.utils.versions import versions

if TYPE_CHECKING:
    from ggcam.data.sources import ReadFunction

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of finished cases and the number of all cases."""

UNREADABLE = "case whose image or mask cannot be read"
CROPPED = "case cropped by the frame (kept)"
EMPTY_MASK = "mask of a finding without a pixel in the frame"
OUTSIDE_SUBSET = "case outside the subset fraction"
OUTSIDE_PUBLISHED = "case outside the published split"
"""Reasons under which cases are counted in `dropped` of dataset.toml."""


def prepare(
    raw: Path | str,
    out: Path | str,
    config: PrepareConfig | None = None,
    source: str | ReadFunction = "auto",
    *,
    progress: Progress | None = None,
    **source_options: object,
) -> PreparedData:
    """Convert a raw data set to a prepared folder.

    The work is done in `<out>.partial`. After an interruption at any moment, call the function again with the same
    arguments to continue; the result has the same bytes as an uninterrupted one. Nothing is printed.

    Args:
        raw: folder of the raw data.
        out: folder to create.
        config: settings; None for the defaults.
        source: format of the raw data, such as "egd_cxr"; "auto" to recognise it; "my_module:read" or a function of a
            folder that returns a :class:`ggcam.data.case.Source`, for a format of your own.
        progress: called with the number of finished cases and of all cases, once at the start and after each case.
        source_options: options of the format, such as `images` for "egd_cxr".

    Returns:
        The prepared folder, as :func:`ggcam.load_prepared` reads it; `cases` is its table of cases.

    Raises:
        ConfigError: the settings are invalid, or the format is unknown or does not have an option.
        DataError: the raw data are incomplete or damaged; the message names file and row.
        PreparedFolderError: `out` exists, or there is no disk space left.

    Example:
        >>> import ggcam
        >>> _ = ggcam.simulate("raw", ggcam.SimulationConfig(cases=60, size="96x80"))
        >>> data = ggcam.prepare("raw", "small", ggcam.PrepareConfig(size="64x64"))
        >>> len(data.cases), sorted(data.cases["split"].unique())
        (60, ['test', 'train', 'valid'])
    """
    from ggcam.data.sources import read

    config = config or PrepareConfig()
    found = read(Path(raw), source, skip_missing=config.skip_missing, **source_options)
    return prepare_source(found, out, config, progress)


def prepare_source(
    source: Source, out: Path | str, config: PrepareConfig | None = None, progress: Progress | None = None
) -> PreparedData:
    """Convert the cases of a source to a prepared folder; see :func:`prepare`.

    Args:
        source: what a reader found in a raw data set.
        out: folder to create.
        config: settings; None for the defaults.
        progress: called with the number of finished cases and of all cases, once at the start and after each case.

    Returns:
        The prepared folder.

    Raises:
        ConfigError: the settings are invalid, such as more splits than patients.
        DataError: invalid ids or labels, or damaged images that may not be skipped.
        PreparedFolderError: `out` exists, or there is no disk space left.
        BusyError: another process is preparing `out`.
    """
    config = config or PrepareConfig()
    out = Path(out).resolve()
    frame = Frame.parse(config.size)
    _check_source(source)
    if config.preset == "original":
        check_raw(source.cases)
    # Before the images, so that a mistake shows at once and a damaged image does not change the split of other cases.
    splits, split_record = _assign_splits(source, config)
    source = _select_split_cases(source, splits, config)
    framing = _choose_framing(source, frame, config)
    job = describe_job(source, config, framing, split_record, splits)
    with locked_target(out), naming_place(out):
        return _prepare(source, out, config, framing, job, splits, split_record, progress)


def _prepare(
    source: Source,
    out: Path,
    config: PrepareConfig,
    framing: Framing,
    job: Mapping[str, object],
    splits: Mapping[str, Split],
    split_record: Mapping[str, object],
    progress: Progress | None,
) -> PreparedData:
    """Fill the staging folder and rename it; no other process does so meanwhile."""
    staging = StagingFolder(out, job, config.overwrite)
    if staging.published:
        staging.clear()
        return load_prepared(out)

    unreadable = _prepare_images(source, staging, framing, config, progress)
    if unreadable:
        _report_unreadable(unreadable, source, staging, config.skip_missing)
    kept = [case for case in source.cases if case.case_id in staging.outcomes]
    if not kept:
        raise DataError("no image can be read, so no case is left", got=unreadable[0].error)
    schema = cases_schema(source.class_names, source.multi_label)
    kept, marked = mark_images(kept, staging.outcomes, framing)
    region_boxes = {case_id: outcome.region_boxes for case_id, outcome in staging.outcomes.items()}
    sizes = staging.sizes()
    tables, off_image = make_tables(kept, splits, sizes, framing, schema, region_boxes)
    cropped = sum(framing.crops(*sizes[case.case_id]) for case in kept)
    dropped = Counter(source.dropped) + Counter({OFF_IMAGE: off_image, UNREADABLE: len(unreadable), CROPPED: cropped})
    empty_masks = sum(len(case.region_masks) - len(region_boxes[case.case_id]) for case in kept)
    dropped += marked + Counter({EMPTY_MASK: empty_masks})
    cases = tables["cases.parquet"]
    meta = {
        "schema_version": SCHEMA_VERSION,
        "source": source.name,
        "kind": find_image_kind(source, config),
        "class_names": source.class_names,
        "multi_label": source.multi_label,
        "preset": config.preset,
        "framing": _framing_name(kept, sizes, framing),
        "channels": framing.channels,
        "bits": config.image_bits,
        "used_bits": framing.used_bits,
        "frame": {"height_px": framing.frame.height_px, "width_px": framing.frame.width_px},
        "split": split_record,
        "counts": count_cases(
            cases["split"].to_numpy(),
            label_matrix(cases.to_pandas(), source.class_names, source.multi_label),
            source.class_names,
        ),
        "dropped": dict(sorted(dropped.items())),
        "versions": versions(*VERSIONED_PACKAGES),
    }
    for name, table in tables.items():
        pq.write_table(table, staging.data / name)
    # Last, since a folder with this file is complete.
    (staging.data / "dataset.toml").write_text(toml.dumps(meta), encoding="utf-8")
    staging.publish()
    return load_prepared(out)


def load_if_same(source: Source, out: Path, config: PrepareConfig) -> PreparedData | None:
    """Load a prepared folder if preparing it again would give the same cases, split, frame, channels and preset.

    Args:
        source: what a reader found in the raw data set.
        out: the prepared folder.
        config: settings.

    Returns:
        The prepared folder; None if it does not exist, is incomplete, or differs.

    Raises:
        GGCamError: as for :func:`prepare_source` and :func:`load_prepared`.
    """
    if not (Path(out) / "dataset.toml").is_file():
        return None
    _check_source(source)
    data = load_prepared(out)
    splits, _ = _assign_splits(source, config)
    prepared_splits = zip(data.cases["case_id"], data.cases["split"], strict=True)
    same = (
        data.meta["source"] == source.name
        and data.meta.get("preset", "corrected") == config.preset
        and data.frame == Frame.parse(config.size)
        and data.channels == find_channels(source, config)
        and all(splits.get(case_id) == split for case_id, split in prepared_splits)
        and len(data) + data.meta["dropped"].get(UNREADABLE, 0) == len(splits)
    )
    return data if same else None


def _choose_framing(source: Source, frame: Frame, config: PrepareConfig) -> Framing:
    if config.preset == "original":
        return Strided(frame)
    channels = find_channels(source, config)
    images = [case.image for case in source.cases]
    return Fitted(frame, config.used_bits or find_used_bits(images, config.workers, channels), channels)


def _prepare_images(
    source: Source, staging: StagingFolder, framing: Framing, config: PrepareConfig, progress: Progress | None
) -> list[ImageOutcome]:
    """Prepare the images that are not done yet, and return the unreadable ones in the order of the cases."""
    with_masks = any(case.masks for case in source.cases)
    with_region_masks = any(case.region_masks for case in source.cases)
    for folder, needed in (("images", True), ("masks", with_masks), ("region_masks", with_region_masks)):
        if needed:
            (staging.data / folder).mkdir(exist_ok=True)
    files = {case.case_id: PixelFiles.from_case(case) for case in source.cases}
    if changed := staging.forget_changed(files):
        log.warning("%d raw images were replaced and are prepared again: %s", len(changed), join_limited(changed))
    tasks = [
        ImageTask(
            case_id=case.case_id,
            files=files[case.case_id],
            image_png=staging.data / image_name(case.case_id),
            mask_png=staging.data / mask_name(case.case_id),
            region_mask_png=staging.data / region_mask_name(case.case_id),
            framing=framing,
            bits=config.image_bits,
        )
        for case in source.cases
        if case.case_id not in staging.outcomes
    ]
    total = len(source.cases)
    unreadable: dict[str, ImageOutcome] = {}
    if progress:
        progress(total - len(tasks), total)
    if config.ray is None:
        outcomes = parallel_map(prepare_image, tasks, config.workers, PREPARE_GUARD)
    else:
        outcomes = prepare_on_ray(tasks, config.ray, staging.root)
    with closing(outcomes):
        for count, outcome in enumerate(outcomes, start=total - len(tasks) + 1):
            if outcome.error:
                unreadable[outcome.case_id] = outcome
            else:
                staging.add(outcome)
            if progress:
                progress(count, total)
    return [unreadable[case.case_id] for case in source.cases if case.case_id in unreadable]


def _framing_name(cases: list[Case], sizes: Mapping[str, tuple[int, int]], framing: Framing) -> FramingName:
    """Name the framing of the raw images. Files of the original GG-CAM, unless they are scaled again, are strided."""
    processed = all(is_processed(case) and sizes[case.case_id] == framing.frame.shape for case in cases)
    return "strided" if processed else framing.name


def _report_unreadable(unreadable: list[ImageOutcome], source: Source, staging: StagingFolder, skip: bool) -> None:
    """Raise an error that lists the unreadable cases, or log them if they are skipped."""
    what = f"{len(unreadable):,} of {len(source.cases):,} cases have a missing or damaged image or mask"
    if skip:
        log.warning("%s and are left out: %s", what, join_limited(outcome.case_id for outcome in unreadable))
        return
    errors_csv = staging.write_errors(unreadable, {case.case_id: case.image for case in source.cases})
    lines = [f"\n    {outcome.case_id}: {'; '.join(str(outcome.error).split(chr(10)))}" for outcome in unreadable[:10]]
    more = f"\n    and {len(unreadable) - 10:,} more" if len(unreadable) > 10 else ""
    raise ImageError(
        what,
        where=f"{errors_csv} lists all of them",
        got="".join(lines) + more,
        hint="fix them and run the same command again, which continues where it stopped; or leave these cases out with "
        "--skip-missing",
    )


def _assign_splits(source: Source, config: PrepareConfig) -> tuple[dict[str, Split], dict[str, object]]:
    return assign_splits(
        source.cases,
        config.split_by,
        config.split_fractions,
        config.seed,
        config.subset_fraction,
        config.published_split,
    )


def _select_split_cases(source: Source, splits: Mapping[str, Split], config: PrepareConfig) -> Source:
    """Keep the cases that have a split, and count the others as dropped."""
    kept = tuple(case for case in source.cases if case.case_id in splits)
    reason = OUTSIDE_PUBLISHED if config.published_split else OUTSIDE_SUBSET
    outside = Counter({reason: len(source.cases) - len(kept)})
    return replace(source, cases=kept, dropped=dict(Counter(source.dropped) + outside))


def _check_source(source: Source) -> None:
    if not source.cases:
        raise DataError(f"the source {source.name} has no cases")
    counts = Counter(case.case_id for case in source.cases)
    if repeated := [case_id for case_id, count in counts.items() if count > 1]:
        raise DataError("case ids are repeated", got=join_limited(repeated))
    if invalid := [case_id for case_id in counts if not re.fullmatch(r"[\w-][\w.-]*", case_id)]:
        raise DataError(
            "case ids cannot be used as file names",
            got=join_limited(map(repr, invalid)),
            expected="letters, digits, '.', '_', '-'",
        )
    check_class_names(source.class_names, source.name)
    valid = _is_multi_label if source.multi_label else _is_single_label
    if invalid := [case.case_id for case in source.cases if not valid(case.label, len(source.class_names))]:
        raise DataError(
            "labels do not match the classes",
            got=join_limited(invalid),
            expected=f"classes {join_limited(source.class_names)}",
        )


def _is_single_label(label: Label, classes: int) -> bool:
    return isinstance(label, int) and 0 <= label < classes


def _is_multi_label(label: Label, classes: int) -> bool:
    return isinstance(label, tuple) and len(label) == classes and all(value in (0, 1, None) for value in label)
