"""`ggcam prepare`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tyro.conf import OmitArgPrefixes

from ggcam.commands.arguments import Out, Raw
from ggcam.commands.source_options import SourceOptions
from ggcam.commands.terminal import print_table, progress_bar
from ggcam.data.prepare.config import PrepareConfig


def prepare(
    raw: Raw,
    out: Out,
    source: str = "auto",
    reading: OmitArgPrefixes[SourceOptions] = SourceOptions(),  # noqa: B008
    write_original: Path | None = None,
    config: OmitArgPrefixes[PrepareConfig] = PrepareConfig(),  # noqa: B008
) -> None:
    """Turn a raw data set into a prepared folder: images in one frame, gaze and regions beside them, splits by patient.

    Example: ggcam prepare physionet.org/files/egd-cxr/1.0.0 DATA --images physionet.org/files/mimic-cxr/2.0.0

    A second call after an interruption goes on where the first one stopped.

    Args:
        raw: folder of the raw data.
        out: folder to make.
        source: format of the raw data: auto, egd_cxr, original, reflacx, siim_acr, table or folder.
        reading: what to read, and how to understand it; in brackets the sources that take a flag.
        write_original: folder to make as well: the .pt files that the original GG-CAM trains on, one folder a blur.
        config: how to prepare.
    """
    from ggcam.data.prepare.pipeline import load_if_same
    from ggcam.data.prepare.pipeline import prepare as run
    from ggcam.data.sources import read
    from ggcam.data.summary import summary_table

    given = reading.given() | ({"skip_missing": True} if config.skip_missing else {})
    found = read(raw, source, **given)
    # Where the second folder was interrupted, the first one is whole already.
    data = load_if_same(found, out, config) if write_original and not config.overwrite else None
    if data is None:
        with progress_bar("preparing") as progress:
            data = run(found, out, config, progress)
    head, *rows = summary_table(data)
    print_table(head, rows)
    dropped: Mapping[str, int] = data.meta["dropped"]
    if dropped:
        print_table(["what was left out, and why", "count"], [[name, f"{n:,}"] for name, n in dropped.items()])
    if write_original:
        from ggcam.data.original.writer import write_original_folders

        with progress_bar("writing .pt files") as progress:
            written = write_original_folders(found, data, write_original, config.workers, config.overwrite, progress)
        print_table([f"folder in {write_original}", "files"], [[name, f"{n:,}"] for name, n in written.items()])
    print(f"{len(data):,} cases in {out}. Next: ggcam inspect {out}; ggcam train {out}")
