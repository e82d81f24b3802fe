"""Print the coverage of each room of src/ggcam from the file .coverage, and the modules below the goal.

It reports and never fails: what is below the goal gets tests, or a reason.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from coverage import Coverage

GOAL = 0.85
SOURCE = Path(__file__).resolve().parents[1] / "src" / "ggcam"


def main() -> None:
    coverage = Coverage()
    coverage.load()
    modules: dict[Path, tuple[int, int]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        _, statements, _, missing, _ = coverage.analysis2(str(path))
        modules[path.relative_to(SOURCE)] = (len(statements), len(missing))
    rooms: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for path, counts in modules.items():
        rooms[str(path.parent) if path.parent != Path() else "(top)"].append(counts)
    print(f"{'room':<18}{'statements':>12}{'covered':>9}")
    for room, counts in [*sorted(rooms.items()), ("all", list(modules.values()))]:
        statements, missing = (sum(column) for column in zip(*counts, strict=True))
        covered = 1 - missing / max(1, statements)
        print(f"{room:<18}{statements:>12,}{covered:>9.1%}{'   below the goal' if covered < GOAL else ''}")
    print(f"modules below {GOAL:.0%}:")
    for path, (statements, missing) in modules.items():
        if missing > (1 - GOAL) * statements:
            print(f"  {path}: {1 - missing / statements:.1%} of {statements}")


if __name__ == "__main__":
    main()
