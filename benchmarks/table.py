"""Print results as the table of docs/performance.md: `python -m benchmarks.table FILE ...`."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.record import Record
from benchmarks.side_by_side import amount


def table(record: Record) -> str:
    """Return a line about the machine and one row per result, its ratio first; one below its target is in bold."""
    lines = [
        "; ".join(f"{name}: {value}" for name, value in record.machine.items()) + ".",
        "",
        "| ratio | target | benchmark | ggcam | other | ggcam takes | other takes |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for benchmark, result in record.results:
        missed = result.target is not None and result.ratio < result.target
        ratio = f"{result.ratio:,.0f}" if result.ratio >= 100 else f"{result.ratio:.3g}"
        ratio = f"**{ratio}**" if missed else ratio
        ours, others = (amount(value, result.unit) for value in (result.ours, result.others))
        target = "" if result.target is None else f"{result.target:g}"
        cells = (ratio, target, benchmark, result.name, result.other, ours, others)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print("\n\n".join(table(Record.read(Path(path))) for path in sys.argv[1:]))
