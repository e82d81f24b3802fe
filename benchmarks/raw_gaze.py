"""Time to read gaze of EGD-CXR's full size, with made-up rows: `python -m benchmarks.raw_gaze OUT`.

Writes 1,083 black images, fixations.csv (48,960 rows) and eye_gaze.csv (1.5 million rows, 390 MB) to OUT, unless they
exist.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import cv2
import numpy as np

from ggcam.data.sources import egd_cxr
from ggcam.simulation.egd_columns import FIXATIONS, MASTER

CASES, HEIGHT_PX, WIDTH_PX, RATE_HZ = 1083, 3056, 2544, 60
FIXATION_ROWS, SAMPLE_ROWS = 48_960, 1_499_000
PADS = {"image_top_pad": 0, "image_bottom_pad": 0, "image_left_pad": 534, "image_right_pad": 534}
_EYES = "0.41234,0.51234,14.12345,1.01234,1,0.51234,0.51234,14.12345,1.01234,1,0,0.00000,14,3.21,1,3.21,1,12.1,123.1"


def ids() -> list[str]:
    """Return ids of 44 characters."""
    return ["-".join([f"{number:08x}"] * 5) for number in range(CASES)]


def write(root: Path, samples: int = SAMPLE_ROWS) -> None:
    """Write the raw layout, with a reader who fixates for a third of a second and moves on within three samples."""
    image = cv2.imencode(".png", np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8))[1].tobytes()
    (root / "files").mkdir(parents=True)
    records = []
    for number, name in enumerate(ids()):
        (root / "files" / f"{name}.png").write_bytes(image)
        record = {"dicom_id": name, "path": f"files/{name}.dcm", "patient_id": number, "Normal": 1, **PADS}
        records.append(",".join(str(record.get(column, "")) for column in MASTER))
    (root / "master_sheet.csv").write_text("\n".join([",".join(MASTER), *records, ""]))
    _write_gaze(root / "fixations.csv", FIXATION_ROWS, rests=1)
    _write_gaze(root / "eye_gaze.csv", samples, rests=20)


def _write_gaze(path: Path, rows: int, rests: int) -> None:
    """Write `rests` rows at each position; the last three of twenty are on the way to the next one."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join(FIXATIONS) + "\n")
        for number, (name, n) in enumerate(
            zip(ids(), np.diff(np.linspace(0, rows, CASES + 1).astype(int)), strict=True)
        ):
            places = rng.uniform((0.3, 0.05), (0.7, 0.95), (n // rests + 2, 2))
            at = np.arange(n) / rests
            way = np.clip((at % 1 - 0.85) / 0.15, 0, 1)[:, None] if rests > 1 else np.zeros((n, 1))
            best = (1 - way) * places[at.astype(int)] + way * places[at.astype(int) + 1] + rng.normal(0, 0.001, (n, 2))
            pixel = ((best * (1920, 1080) - (534, 0)) * (WIDTH_PX / 852, HEIGHT_PX / 1080)).astype(int)
            time_s = np.arange(1, n + 1) * (1 / RATE_HZ if rests > 1 else 0.4)
            values = zip(time_s.tolist(), best.tolist(), pixel.tolist(), strict=True)
            file.writelines(
                f"1,{number % 30},{name},{row},{t:.5f},{row},{x:.5f},{y:.5f},{t - 0.3:.5f},0.30000,{row},1,{x:.5f},"
                f"{y:.5f},1,{_EYES},{row},{u},{v}\n"
                for row, (t, (x, y), (u, v)) in enumerate(values)
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.raw_gaze", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--detect",
        nargs="*",
        default=["", "dwell", "ivt", "idt"],
        help="ways to detect fixations; '' reads fixations.csv",
    )
    arguments = parser.parse_args()
    if not (arguments.out / "eye_gaze.csv").is_file():
        write(arguments.out)
    for method in arguments.detect:
        begin, cpu_s = time.perf_counter(), _cpu_s()
        source = egd_cxr.read(arguments.out, detect=method or None)
        fixations = sum(len(case.fixations) for case in source.cases)
        wall_s = time.perf_counter() - begin
        memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{method or 'fixations.csv':14} {wall_s:6.2f} s, {_cpu_s() - cpu_s:6.2f} s processor time, "
            f"{memory_gb:5.2f} GB peak memory so far, {fixations:,} fixations",
            flush=True,
        )


def _cpu_s() -> float:
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


if __name__ == "__main__":
    main()
