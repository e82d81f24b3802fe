"""What grows with the number of cases: time, memory and disk of prepare, an epoch and predict.

    python -m benchmarks.growth OUT --cases 100,1000,10000

The cases are simulated ones at a small size, a few drawn and many ids laid on their files (`benchmarks.raw_cases`):
what is looked at is how cost grows, not how high it is for one image. Writes OUT/growth.json and prints the table, and
below it what 377,110 cases (MIMIC-CXR) at full size would take, from costs of one case that are given as options: an
estimate, not a measurement.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fresh_process import Measured, measured
from benchmarks.raw_cases import bytes_in, many, raw_cases
from benchmarks.side_by_side import amount
from ggcam.data.case import Source
from ggcam.data.data_module import PreparedDataModule
from ggcam.data.dataset import Cache
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.data.prepared import load_prepared
from ggcam.inference.predict import predict
from ggcam.training.config import TrainConfig
from ggcam.training.train import train

RAW_SIZE, FRAME, BATCH = "96x80", "64x64", 64
MIMIC_CXR_CASES = 377_110


@dataclass(frozen=True)
class Grown:
    """What one step took for so many cases: seconds, most memory of all its processes, and what it left on disk."""

    cases: int
    step: str
    seconds: float
    peak_bytes: int
    disk_bytes: int

    def row(self) -> str:
        """Of the table."""
        cells = (f"{self.cases:,}", self.step, f"{self.seconds:.1f} s", f"{self.seconds / self.cases * 1e3:.2f} ms")
        return f"| {' | '.join((*cells, amount(self.peak_bytes, 'B'), amount(self.disk_bytes, 'B')))} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", default="100,1000,10000", help="numbers of cases")
    full = parser.add_argument_group("costs at full size, for the estimate")
    full.add_argument("--prepare-s", type=float, default=0.1, help="of one case on one core")
    full.add_argument("--prepared-bytes", type=float, default=0.85e6, help="of one case")
    full.add_argument("--load-s", type=float, default=0.007, help="of one prepared case on one core")
    full.add_argument("--images-per-s", type=float, default=300.0, help="of training, one GPU: assumed")
    full.add_argument("--predict-images-per-s", type=float, default=900.0, help="of prediction, one GPU: assumed")
    full.add_argument("--read-s", type=float, default=0.045, help="of one raw image on one core: decoded and averaged")
    full.add_argument("--cores", type=int, default=16, help="beside each GPU")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    source = raw_cases(asked.out / "raw", RAW_SIZE, cases=24)
    grown: list[Grown] = []
    print("| cases | step | time | a case | peak memory | disk |\n| --- | --- | --- | --- | --- | --- |")
    for cases in map(int, asked.cases.split(",")):
        for one in _steps(many(source, cases), asked.out / str(cases)):
            print(one.row(), flush=True)
            grown.append(one)
            (asked.out / "growth.json").write_text(json.dumps([asdict(each) for each in grown], indent=1))
    print("\n".join(["", *estimate(asked)]))


def _steps(source: Source, out: Path) -> list[Grown]:
    """Each step in a fresh process, so that none inherits another's memory."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    data, raw = out / "data", out / "images"
    raw.mkdir()
    for case in source.cases:
        (raw / f"{case.case_id}.dcm").hardlink_to(case.image)

    def grown(step: str, took: Measured, folder: Path | None = None) -> Grown:
        return Grown(len(source.cases), step, took.seconds, took.peak_bytes, bytes_in(folder) if folder else 0)

    return [
        grown("prepare", measured(prepare_cases, source, data), data),
        grown("batches of an epoch, from memory", measured(load_epoch, data, "memory")),
        grown("batches of an epoch, decoded", measured(load_epoch, data, "none")),
        grown("training for an epoch", measured(train_epoch, data, out), out / "run"),
        grown("predict", measured(predict_all, out / "run", raw, out / "predictions"), out / "predictions"),
    ]


def prepare_cases(source: Source, out: Path) -> None:
    prepare(source, out, PrepareConfig(size=FRAME, split="position"))


def load_epoch(data: Path, cache: Cache) -> None:
    module = PreparedDataModule(load_prepared(data), BATCH, cache=cache)
    for _ in module.train_dataloader():
        pass


def train_epoch(data: Path, out: Path) -> None:
    config = TrainConfig(backbone="test_resnet", output_stride=8, epochs=1, batch_size=BATCH, accelerator="cpu")
    train(load_prepared(data), config, out, "run")


def predict_all(run: Path, images: Path, out: Path) -> None:
    predict(run, [images], out, overlays=False, batch_size=BATCH, device="cpu")


def estimate(costs: argparse.Namespace) -> list[str]:
    """The table for MIMIC-CXR; in each row the slowest part of the way is what decides."""
    rows = [
        f"An estimate for {MIMIC_CXR_CASES:,} cases at full size, {costs.cpu_count} cores beside each GPU:",
        "",
        "| step | takes | bound by |",
        "| --- | --- | --- |",
        _estimated(f"prepare, {costs.cpu_count} cores", {"decoding raw images": costs.cpu_count / costs.prepare_s}),
    ]
    for gpus in (1, 8):
        loading = gpus * costs.cpu_count / costs.load_s
        training = {"the GPU's arithmetic": gpus * costs.images_per_s, "decoding prepared images": loading}
        predicting = {
            "the GPU's arithmetic": gpus * costs.predict_images_per_s,
            "decoding raw images": gpus * costs.cpu_count / costs.read_s,
        }
        rows += [
            _estimated(f"an epoch, {gpus} GPU{'s' * (gpus > 1)}", training),
            _estimated(f"predict, {gpus} GPU{'s' * (gpus > 1)}", predicting),
        ]
    return [*rows, f"| prepared folder | {amount(MIMIC_CXR_CASES * costs.prepared_bytes, 'B')} | |"]


def _estimated(step: str, images_per_s: dict[str, float]) -> str:
    slowest = min(images_per_s, key=lambda part: images_per_s[part])
    return f"| {step} | {MIMIC_CXR_CASES / images_per_s[slowest] / 3600:.2f} h | {slowest} |"


if __name__ == "__main__":
    main()
