"""`ggcam prepare`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tyro.conf import OmitArgPrefixes

from ggcam.commands.arguments import Out, Raw
from ggcam.commands.terminal import print_table, progress_bar
from ggcam.data.prepare_config import PrepareConfig


def prepare(
    raw: Raw,
    out: Out,
    source: str = "auto",
    images: Path | None = None,
    labels: Path | None = None,
    fixations: Path | None = None,
    viewing_distance_cm: float | None = None,
    sampling_rate_hz: float | None = None,
    blur: int | None = None,
    write_released: Path | None = None,
    config: OmitArgPrefixes[PrepareConfig] = PrepareConfig(),  # noqa: B008
) -> None:
    """Turn a raw data set into a prepared folder: images in one frame, gaze and regions beside them, splits by patient.

    Example: ggcam prepare physionet.org/files/egd-cxr/1.0.0 DATA --images physionet.org/files/mimic-cxr/2.0.0

    A second call after an interruption goes on where the first one stopped.

    Args:
        raw: folder of the raw data.
        out: folder to make.
        source: format of the raw data: auto, egd_cxr, released or folder.
        images: (egd_cxr) where the MIMIC-CXR or MIMIC-CXR-JPG images are, if not in the raw folder.
        labels: (folder) table with image, label and if wanted patient_id and split; by default labels.csv.
        fixations: (folder) table with image, x_px, y_px and if wanted start_s, duration_s, reader.
        viewing_distance_cm: (egd_cxr) assumed distance of the reader from the screen; 65 by default.
        sampling_rate_hz: (released) gaze samples a second behind the counts of gaze_dot.pk; 60 by default.
        blur: (released) which Down<d>_Blur<b> to read where there are several; 500 by default.
        write_released: folder to make as well: the .pt files that the original GG-CAM trains on, one folder a blur.
        config: how to prepare.
    """
    from ggcam.data.prepare import load_if_same
    from ggcam.data.prepare import prepare as run
    from ggcam.data.prepared import summary_table
    from ggcam.data.sources import read

    options = {
        "images": images,
        "labels": labels,
        "fixations": fixations,
        "viewing_distance_cm": viewing_distance_cm,
        "sampling_rate_hz": sampling_rate_hz,
        "blur": blur,
        "skip_missing": config.skip_missing or None,
    }
    found = read(raw, source, **{name: value for name, value in options.items() if value is not None})
    # Where the second folder was interrupted, the first one is whole already.
    data = load_if_same(found, out, config) if write_released and not config.overwrite else None
    if data is None:
        with progress_bar("preparing") as progress:
            data = run(found, out, config, progress)
    head, *rows = summary_table(data)
    print_table(head, rows)
    dropped: Mapping[str, int] = data.meta["dropped"]
    if dropped:
        print_table(["what was left out, and why", "count"], [[name, f"{n:,}"] for name, n in dropped.items()])
    if write_released:
        from ggcam.data.released_writer import write_released_folders

        with progress_bar("writing .pt files") as progress:
            written = write_released_folders(found, data, write_released, config.workers, config.overwrite, progress)
        print_table([f"folder in {write_released}", "files"], [[name, f"{n:,}"] for name, n in written.items()])
    print(f"{len(data):,} cases in {out}. Next: ggcam inspect {out}; ggcam train {out}")
