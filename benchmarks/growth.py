"""Growth of time, memory and disk space with the number of cases: prepare, an epoch, predict.

    python -m benchmarks.growth OUT --cases 100,1000,10000 [--steps prepare,predict] [--ray]

The cases are small simulated images; a few are drawn, and many cases share their files (`benchmarks.raw_cases`): the
subject is how the cost grows, not the cost of one image. Writes OUT/growth.json and prints the table, followed by an
estimate (not a measurement) for 377,110 cases (MIMIC-CXR) at full size from the costs of one case, which are options.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Collection, Iterator
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
FEW = 100
"""Number of cases on which a network is trained that only predicts."""

STEPS = ("prepare", "epoch", "predict")

MIMIC_CXR_CASES = 377_110


@dataclass(frozen=True)
class StepCost:
    """Cost of one step for a number of cases.

    Attributes:
        cases: number of cases.
        step: name of the step.
        seconds: duration.
        cpu_seconds: processor time of all processes.
        peak_bytes: peak memory of all processes.
        own_peak_bytes: peak memory of the calling process, which holds what grows with the number of cases.
        disk_bytes: disk space of the output.
    """

    cases: int
    step: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    own_peak_bytes: int
    disk_bytes: int

    def row(self) -> str:
        """Return the row of the table."""
        times = (f"{self.seconds:.1f} s", f"{self.cpu_seconds:.1f} s", f"{self.cpu_seconds / self.cases * 1e3:.2f} ms")
        sizes = (amount(size, "B") for size in (self.peak_bytes, self.own_peak_bytes, self.disk_bytes))
        return f"| {' | '.join((f'{self.cases:,}', self.step, *times, *sizes))} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", default="100,1000,10000", help="numbers of cases, separated by commas")
    parser.add_argument("--steps", default=",".join(STEPS), help="what is measured, separated by commas")
    parser.add_argument("--ray", action="store_true", help="prepare and predict also on a Ray cluster on this machine")
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
    if unknown := set(options.steps.split(",")) - set(STEPS):
        parser.error(f"there is no step {', '.join(sorted(unknown))}; the steps are {', '.join(STEPS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    source = raw_cases(options.out / "raw", RAW_SIZE, cases=24)
    grown: list[StepCost] = []
    head = ("cases", "step", "time", "processor time", "per case", "peak memory", "of the calling process", "disk")
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for cases in map(int, options.cases.split(",")):
        for one in _steps(repeat_cases(source, cases), options.out / str(cases), options.steps.split(","), options.ray):
            print(one.row(), flush=True)
            grown.append(one)
            (options.out / "growth.json").write_text(json.dumps([asdict(each) for each in grown], indent=1))
    print("\n".join(["", *estimate(options)]))


def _steps(source: Source, out: Path, steps: Collection[str], ray: bool) -> Iterator[StepCost]:
    """Measure each step in a new process, so that none includes the memory of another."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    data, raw, run = out / "data", out / "images", out / "run"
    raw.mkdir()
    for case in source.cases:
        (raw / f"{case.case_id}.dcm").hardlink_to(case.image)
    clusters = {"": None, " --ray local": "local"} if ray else {"": None}

    def grown(step: str, took: Measured, folder: Path | None = None) -> StepCost:
        disk = folder_bytes(folder) if folder else 0
        cases = len(source.cases)
        return StepCost(cases, step, took.seconds, took.cpu_seconds, took.peak_bytes, took.own_peak_bytes, disk)

    if "prepare" in steps:
        for name, cluster in clusters.items():
            shutil.rmtree(data, ignore_errors=True)
            yield grown(f"prepare{name}", measure(prepare_cases, source, data, cluster), data)
    if "epoch" in steps:
        if not data.is_dir():
            measure(prepare_cases, source, data)
        yield grown("batches of an epoch, from memory", measure(load_epoch, data, "memory"))
        yield grown("batches of an epoch, decoded", measure(load_epoch, data, "none"))
        yield grown("training for an epoch", measure(train_epoch, data, out), run)
    if "predict" in steps:
        few = repeat_cases(source, min(len(source.cases), FEW))
        if "epoch" not in steps:
            measure(prepare_cases, few, out / "few")
            measure(train_epoch, out / "few", out)
        for name, cluster in clusters.items():
            predictions = out / "predictions"
            shutil.rmtree(predictions, ignore_errors=True)
            yield grown(f"predict{name}", measure(predict_all, run, raw, predictions, cluster), predictions)


def prepare_cases(source: Source, out: Path, ray: str | None = None) -> None:
    prepare_source(source, out, PrepareConfig(size=FRAME, split="position", ray=ray))


def load_epoch(data: Path, cache: Cache) -> None:
    module = PreparedDataModule(load_prepared(data), BATCH, cache=cache)
    for _ in module.train_dataloader():
        pass


def train_epoch(data: Path, out: Path) -> None:
    config = TrainConfig(backbone="test_resnet", output_stride=8, epochs=1, batch_size=BATCH, accelerator="cpu")
    train(load_prepared(data), config, out, "run")


def predict_all(run: Path, images: Path, out: Path, ray: str | None = None) -> None:
    predict(run, [images], out, overlays=False, batch_size=BATCH, device="cpu", ray=ray)


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
