"""Run the benchmarks and print medians, ratios (other / ours) and the target of each ratio.

    python -m benchmarks [--short] [--only NAME ...] [--json FILE]

Each benchmark is a module with `run(short: bool = False) -> Iterator[Result]`. With --short, sizes are tiny and there
is one round, which shows that a benchmark works but measures nothing. A ratio below its target is not an error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import (
    bootstrap,
    epoch,
    folder,
    gaze_maps,
    guidance,
    loading,
    prediction,
    preparing,
    serving,
    study,
    training_step,
    whole_run,
)
from benchmarks.record import Record

MODULES = (
    bootstrap,
    gaze_maps,
    preparing,
    loading,
    training_step,
    guidance,
    prediction,
    folder,
    serving,
    whole_run,
    epoch,
    study,
)


def main() -> None:
    modules = {module.__name__.rpartition(".")[2]: module for module in MODULES}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--short", action="store_true", help="tiny sizes and one round, to test the benchmarks")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=modules,
        default=list(modules),
        metavar="NAME",
        help=f"benchmarks to run, of {', '.join(modules)} (default: all)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="file for the results and a description of the machine"
    )
    options = parser.parse_args()
    record = Record.for_this_machine()
    for name in options.only:
        for result in modules[name].run(short=options.short):
            print(result, flush=True)
            record.add(name, result)
            if options.json is not None:
                record.write(options.json)  # after each one, so that a failure of a later benchmark loses nothing


if __name__ == "__main__":
    main()
