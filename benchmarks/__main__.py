"""`make bench`: run the benchmarks and print medians and ratios, other / ours, each with its target.

    python -m benchmarks [--short] [--only NAME ...] [--json FILE]

Each benchmark is a module with `run(short: bool = False) -> Iterator[Result]`. The short form takes tiny sizes and one
round: it shows that a benchmark works, and measures nothing. A ratio below its target is no error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import gaze_maps, guidance, loading, prediction, preparing, training_step, whole_run
from benchmarks.record import Record

MODULES = (
    gaze_maps,
    preparing,
    loading,
    training_step,
    guidance,
    prediction,
    whole_run,
)


def main() -> None:
    modules = {module.__name__.rpartition(".")[2]: module for module in MODULES}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--short", action="store_true", help="tiny sizes, one round: only whether it works")
    parser.add_argument("--only", nargs="+", choices=modules, default=list(modules), help="these benchmarks alone")
    parser.add_argument("--json", type=Path, help="write the results, and which machine gave them, to this file")
    asked = parser.parse_args()
    record = Record.of_this_machine()
    for name in asked.only:
        for result in modules[name].run(short=asked.short):
            print(result, flush=True)
            record.add(name, result)
            if asked.json is not None:
                record.write(asked.json)  # as it goes: what was measured stays, should a later one fail


if __name__ == "__main__":
    main()
