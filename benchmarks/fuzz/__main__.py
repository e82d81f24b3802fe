"""Mutate files, read each with a limit of time and memory, and report what is neither read nor refused."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.fuzz import __doc__ as DESCRIPTION
from benchmarks.fuzz.mutations import mutate
from benchmarks.fuzz.samples import Kind, make_kinds
from benchmarks.fuzz.targets import call_target
from ggcam.utils.limits import Limits
from ggcam.utils.worker_process import WorkerError, call_in_worker

LIMITS = Limits(seconds=10.0, memory_bytes=2 * 2**30)
"""What reading one file may take."""

DECODER_ERRORS = ("overran", "crashed")
"""What happens to a decoder of images in its own process, where it is expected and reported as an unreadable image."""


@dataclass(frozen=True)
class Outcome:
    """What became of one mutated file.

    Attributes:
        kind: the kind.
        number: number of the mutation.
        file: path of the mutated file in its folder.
        text: "read", "refused: ...", or what went wrong.
    """

    kind: str
    number: int
    file: str
    text: str

    @property
    def failed(self) -> bool:
        """Whether the file was neither read nor refused."""
        return not self.text.startswith(("read", "refused", "contained"))


def run_mutation(kind: Kind, number: int, seed: int, scratch: Path, limits: Limits = LIMITS) -> Outcome:
    """Mutate a file of a kind, and read it.

    Args:
        kind: the kind.
        number: number of the mutation.
        seed: random seed of the whole run.
        scratch: copy of the folder of the kind; it is the same before and after.
        limits: time and memory.

    Returns:
        The outcome.
    """
    rng = np.random.default_rng([seed, zlib.crc32(f"{kind.name} {kind.files[0]}".encode()), number])
    file = kind.files[int(rng.integers(len(kind.files)))]
    whole = (kind.folder / file).read_bytes()
    (scratch / file).write_bytes(mutate(file, whole, rng))
    try:
        text = call_in_worker(call_target, (kind.target, str(scratch)), limits)
    except WorkerError as error:
        contained = kind.target == "read_image" and error.reason in DECODER_ERRORS
        text = f"{'contained: ' if contained else ''}{error.reason} {error.detail}"
    finally:
        (scratch / file).write_bytes(whole)
    if not text.startswith(("read", "refused")):
        read_whole(kind, scratch)  # a new worker imports what reading needs, without a limit
    return Outcome(kind.name, number, file, text)


def read_whole(kind: Kind, scratch: Path) -> None:
    """Check that the files of a kind are read before they are mutated.

    Args:
        kind: the kind.
        scratch: copy of its folder.

    Raises:
        RuntimeError: they are not read.
    """
    text = call_in_worker(call_target, (kind.target, str(scratch)))
    if text != "read":
        raise RuntimeError(f"the files of {kind.name} are refused before they are mutated: {text}")


def fuzz(kinds: Sequence[Kind], mutations: int, seed: int, scratch: Path, limits: Limits = LIMITS) -> Iterator[Outcome]:
    """Mutate files of all kinds in proportion to their shares.

    Args:
        kinds: the kinds.
        mutations: number of mutations.
        seed: random seed.
        scratch: folder for copies.
        limits: time and memory that reading one file may take.

    Yields:
        The outcomes.
    """
    total = sum(kind.share for kind in kinds)
    for number, kind in enumerate(kinds):
        copy = scratch / str(number)
        shutil.copytree(kind.folder, copy)
        read_whole(kind, copy)
        for each in range(max(1, round(mutations * kind.share / total))):
            yield run_mutation(kind, each, seed, copy, limits)


def make_all(root: Path, log: Callable[[str], None] = print) -> list[Kind]:
    """Make files of all kinds, for which a data set is simulated, a run trained and a study carried out.

    Args:
        root: folder to write to.
        log: called with what is done.

    Returns:
        The kinds.
    """
    import ggcam
    from ggcam.evaluation.evaluate import evaluate

    log("simulating data, training a run and a study of two runs")
    ggcam.simulate(root / "raw", ggcam.SimulationConfig(cases=30, size="96x80", seed=3, workers=1))
    data = ggcam.prepare(root / "raw", root / "data", ggcam.PrepareConfig(size="64x64", workers=1))
    config = ggcam.TrainConfig(backbone="test_resnet", output_stride=8, epochs=1, batch_size=8)
    run = ggcam.train(data, config, root / "runs", "run")
    evaluate(run, faithfulness_cases=2).save()
    ggcam.run_study(data, ggcam.plan_study(config, ["none", "ggcam-cc"], seeds=1), root / "study")
    return make_kinds(root / "kinds", data.root, run.folder.root, root / "study")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=(DESCRIPTION or "").split("\n")[0])
    parser.add_argument("--mutations", type=int, default=2000, help="number of mutated files (default: 2000)")
    parser.add_argument("--kinds", nargs="+", default=[], metavar="KIND", help="beginnings of names (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the mutations")
    parser.add_argument("--repeat", metavar="KIND:NUMBER", help="read one mutated file again, and print what happens")
    parser.add_argument("--seconds", type=float, default=LIMITS.seconds, help="time limit; more on a busy machine")
    options = parser.parse_args()
    limits = replace(LIMITS, seconds=options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        kinds = [kind for kind in make_all(root) if kind.name.startswith(tuple(options.kinds) or "")]
        if options.repeat:
            name, _, number = options.repeat.rpartition(":")
            for kind in (kind for kind in kinds if kind.name == name):
                shutil.copytree(kind.folder, root / "scratch", dirs_exist_ok=True)
                print(run_mutation(kind, int(number), options.seed, root / "scratch", limits).text)
                shutil.rmtree(root / "scratch")
            return
        sys.exit(report(fuzz(kinds, options.mutations, options.seed, root / "scratch", limits)))


def report(outcomes: Iterator[Outcome]) -> int:
    """Print each failure when it happens, and a table by kind at the end.

    Args:
        outcomes: the outcomes.

    Returns:
        1 if there was a failure, else 0.
    """
    counts: dict[str, Counter[str]] = {}
    started = time.monotonic()
    for outcome in outcomes:
        word = "failed" if outcome.failed else outcome.text.partition(":")[0]
        counts.setdefault(outcome.kind, Counter())[word] += 1
        if outcome.failed:
            print(f"--- {outcome.kind}:{outcome.number} {outcome.file}\n{outcome.text}", flush=True)
    words = ("read", "refused", "contained", "failed")
    print(f"{'kind':40}" + "".join(f"{word:>11}" for word in words))
    for kind, found in counts.items():
        print(f"{kind:40}" + "".join(f"{found[word]:11,}" for word in words))
    total = sum(counts.values(), Counter())
    print(f"{'all':40}" + "".join(f"{total[word]:11,}" for word in words) + f"  in {time.monotonic() - started:.0f} s")
    return int(total["failed"] > 0)


if __name__ == "__main__":
    main()
