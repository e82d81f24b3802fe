"""Growth of time, memory and disk space with the number of cases: prepare, an epoch, predict.

    python -m benchmarks.growth OUT --cases 100,1000,10000

The cases are small simulated images; a few are drawn, and many cases share their files (`benchmarks.raw_cases`): the
subject is how the cost grows, not the cost of one image. Writes OUT/growth.json and prints the table, followed by an
estimate (not a measurement) for 377,110 cases (MIMIC-CXR) at full size from the costs of one case, which are options.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fresh_process import Measured, measure
from benchmarks.raw_cases import folder_bytes, raw_cases, repeat_cases
from benchmarks.side_by_side import amount
from ggcam.data.case import Source
from ggcam.data.data_module import PreparedDataModule
from ggcam.data.dataset import Cache
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import load_prepared
from ggcam.inference.predict import predict
from ggcam.training.config import TrainConfig
from ggcam.training.train import train

RAW_SIZE, FRAME, BATCH = "96x80", "64x64", 64
MIMIC_CXR_CASES = 377_110


@dataclass(frozen=True)
class StepCost:
    """Cost of one step for a number of cases: seconds, peak memory of its processes, disk space of its output."""

    cases: int
    step: str
    seconds: float
    peak_bytes: int
    disk_bytes: int

    def row(self) -> str:
        """Return the row of the table."""
        cells = (f"{self.cases:,}", self.step, f"{self.seconds:.1f} s", f"{self.seconds / self.cases * 1e3:.2f} ms")
        return f"| {' | '.join((*cells, amount(self.peak_bytes, 'B'), amount(self.disk_bytes, 'B')))} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", default="100,1000,10000", help="numbers of cases, separated by commas")
    full = parser.add_argument_group("costs at full size, for the estimate")
    full.add_argument("--prepare-s", type=float, default=0.1, help="seconds to prepare one case on one core")
    full.add_argument("--prepared-bytes", type=float, default=0.85e6, help="disk space of one prepared case")
    full.add_argument("--load-s", type=float, default=0.007, help="seconds to load one prepared case on one core")
    full.add_argument(
        "--images-per-s", type=float, default=300.0, help="images per second of training on one GPU (assumed)"
    )
    full.add_argument(
        "--predict-images-per-s", type=float, default=900.0, help="images per second of prediction on one GPU (assumed)"
    )
    full.add_argument(
        "--read-s", type=float, default=0.045, help="seconds to decode and resize one raw image on one core"
    )
    full.add_argument("--cores", type=int, default=16, help="number of cores per GPU")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    source = raw_cases(options.out / "raw", RAW_SIZE, cases=24)
    grown: list[StepCost] = []
    print("| cases | step | time | per case | peak memory | disk |\n| --- | --- | --- | --- | --- | --- |")
    for cases in map(int, options.cases.split(",")):
        for one in _steps(repeat_cases(source, cases), options.out / str(cases)):
            print(one.row(), flush=True)
            grown.append(one)
            (options.out / "growth.json").write_text(json.dumps([asdict(each) for each in grown], indent=1))
    print("\n".join(["", *estimate(options)]))


def _steps(source: Source, out: Path) -> list[StepCost]:
    """Measure each step in a new process, so that none includes the memory of another."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    data, raw = out / "data", out / "images"
    raw.mkdir()
    for case in source.cases:
        (raw / f"{case.case_id}.dcm").hardlink_to(case.image)

    def grown(step: str, took: Measured, folder: Path | None = None) -> StepCost:
        return StepCost(len(source.cases), step, took.seconds, took.peak_bytes, folder_bytes(folder) if folder else 0)

    return [
        grown("prepare", measure(prepare_cases, source, data), data),
        grown("batches of an epoch, from memory", measure(load_epoch, data, "memory")),
        grown("batches of an epoch, decoded", measure(load_epoch, data, "none")),
        grown("training for an epoch", measure(train_epoch, data, out), out / "run"),
        grown("predict", measure(predict_all, out / "run", raw, out / "predictions"), out / "predictions"),
    ]


def prepare_cases(source: Source, out: Path) -> None:
    prepare_source(source, out, PrepareConfig(size=FRAME, split="position"))


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
    """Return the table for MIMIC-CXR; the slowest part decides each row."""
    rows = [
        f"An estimate for {MIMIC_CXR_CASES:,} cases at full size, {costs.cores} cores per GPU:",
        "",
        "| step | time | limited by |",
        "| --- | --- | --- |",
        _estimate_row(f"prepare, {costs.cores} cores", {"decoding raw images": costs.cores / costs.prepare_s}),
    ]
    for gpus in (1, 8):
        loading = gpus * costs.cores / costs.load_s
        training = {"the GPU's arithmetic": gpus * costs.images_per_s, "decoding prepared images": loading}
        predicting = {
            "the GPU's arithmetic": gpus * costs.predict_images_per_s,
            "decoding raw images": gpus * costs.cores / costs.read_s,
        }
        rows += [
            _estimate_row(f"an epoch, {gpus} GPU{'s' * (gpus > 1)}", training),
            _estimate_row(f"predict, {gpus} GPU{'s' * (gpus > 1)}", predicting),
        ]
    return [*rows, f"| prepared folder | {amount(MIMIC_CXR_CASES * costs.prepared_bytes, 'B')} | |"]


def _estimate_row(step: str, images_per_s: dict[str, float]) -> str:
    slowest = min(images_per_s, key=lambda part: images_per_s[part])
    return f"| {step} | {MIMIC_CXR_CASES / images_per_s[slowest] / 3600:.2f} h | {slowest} |"


if __name__ == "__main__":
    main()
