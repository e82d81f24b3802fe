"""Run the tests and benchmarks that need a GPU, each part with its own time limit, and print a table of each.

    python -m benchmarks.gpu [--json FILE] [--only PART ...] [--device cpu --tiny]

Without a GPU nothing is run, and the exit code is 0. It is 1 if a part failed or was stopped at its time limit.
`--device cpu --tiny` runs every part on the CPU at sizes that show that it works, and measures nothing of interest.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.gpu.parts import LIMIT_S, PARTS, Outcome, Part, run_part


def main() -> None:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, help="write the results, and which machine gave them, to this file")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these parts alone")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that the parts work")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU that PyTorch can use on this machine, so nothing was run.")
        return
    chosen = [part for part in PARTS if part.name in options.only]
    outcomes = run_all(chosen, options.device, options.tiny, options.json)
    sys.exit(any(outcome.status != "ok" for outcome in outcomes))


def run_all(parts: list[Part], device: str, tiny: bool, json: Path | None = None) -> list[Outcome]:
    """Run parts one after the other, and print and write the results; the file is written anew after each part."""
    from benchmarks.gpu import report  # only here, as it imports much that the answer "no GPU" does not need

    started = time.monotonic()
    machine = report.machine()
    outcomes: list[Outcome] = []
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for number, part in enumerate(parts, start=1):
            left = LIMIT_S - (time.monotonic() - started)
            limit = left if number == len(parts) else min(part.limit_s, left)
            print(f"\n== {part.title} (at most {limit:.0f} s)", flush=True)
            outcomes.append(run_part(replace(part, limit_s=limit), Path(folder) / part.name, device, tiny))
            if json is not None:
                report.write_json(json, machine, outcomes)
    print(f"\n{report.tables(machine, outcomes)}", flush=True)
    return outcomes


if __name__ == "__main__":
    main()
