"""The Markdown tables of docs/evidence.md on real images, from the CSV files that the studies wrote.

python -m experiments.real_images_tables [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.markdown_table import markdown_table

PARTS = ("nih-scratch", "nih-pretrained", "poet")
_PLACES = ("hit_rate", "best_iou", "average_precision", "energy_inside")


def summary_markdown(folder: Path, part: str) -> str:
    """Return the table of a study: one row per arm, with means over all findings' test cases.

    Args:
        folder: folder of the CSV files.
        part: name of the study.

    Returns:
        The table.
    """
    arms, differences, places, calibration = (
        _rows(folder, part, kind) for kind in ("arms", "differences", "places", "calibration")
    )
    to_none = {row["arm"]: row for row in _of_auroc(differences) if row["baseline"] == "none"}
    error = {row["arm"]: row for row in calibration}
    lines = [
        "| arm | macro AUROC | difference to `none` | hit rate | best IoU | average precision | energy inside | ECE "
        "(not calibrated) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in _of_auroc(arms):
        arm = row["arm"]
        of_arm = [place for place in places if place["arm"] == arm]
        cells = [
            f"`{arm}`",
            "{value:.3f} [{low:.3f}, {high:.3f}]".format(**row),
            "{value:+.3f} [{low:+.3f}, {high:+.3f}]".format(**to_none[arm]) if arm in to_none else "",
            *(f"{_pooled(of_arm, name):.3f}" for name in _PLACES),
            "{ece:.3f} ({uncalibrated/ece:.3f})".format(**error[arm]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    plain = [place for place in places if place["arm"] == "none"]
    chance = [f"{_pooled(plain, name):.3f}" for name in map(_chance, _PLACES)]
    return "\n".join([*lines, "| chance | 0.5 | | " + " | ".join(chance) + " | |"])


def findings_markdown(folder: Path, part: str, metric: str) -> str:
    """Return the table of one metric by finding and arm.

    Args:
        folder: folder of the CSV files.
        part: name of the study.
        metric: column of the table of places.

    Returns:
        The table.
    """
    places = _rows(folder, part, "places")
    arms = [row["arm"] for row in _of_auroc(_rows(folder, part, "arms"))]
    found = {(place["arm"], place["finding"]): place for place in places}
    rows: list[list[str]] = []
    for finding in sorted({place["finding"] for place in places}):
        first = found["none", finding]
        values = [
            first["cases"],
            f"{first[_chance(metric)]:.2f}",
            *(f"{found[arm, finding][metric]:.2f}" for arm in arms),
        ]
        rows.append([finding, *map(str, values)])
    return markdown_table(["finding", "cases", "chance", *(f"`{arm}`" for arm in arms)], rows)


def agreement_markdown(folder: Path, part: str) -> str:
    """Return the table of the agreement with gaze: one row per arm, then other maps in place of a CAM.

    Args:
        folder: folder of the CSV files.
        part: name of the study.

    Returns:
        The table.
    """
    rows = {row["arm"]: row for row in _rows(folder, part, "agreement")}
    arms = [row["arm"] for row in _of_auroc(_rows(folder, part, "arms"))]
    maps = [(f"CAM, `{arm}`", "cam", rows[arm]) for arm in arms]
    others = {
        "gaze on other images": "shuffled_gaze",
        "centre prior": "centre",
        "the other reader's gaze": "other_reader",
    }
    maps += [(name, key, rows[arms[0]]) for name, key in others.items()]
    cells: list[list[str]] = []
    for name, key, row in maps:
        cc, nss = (row[f"gaze_agreement/{metric}/{key}"] for metric in ("cc", "nss"))
        cells.append([name, f"{cc:.3f}", f"{nss:.2f}"])
    return markdown_table(["map", "CC", "NSS"], cells)


def _rows(folder: Path, part: str, kind: str) -> list[dict[str, Any]]:
    return pd.read_csv(folder / f"{part}-{kind}.csv").to_dict("records")


def _of_auroc(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["metric"] == "macro_auroc"]


def _chance(metric: str) -> str:
    return "chance" if metric == "hit_rate" else f"{metric}_chance"


def _pooled(places: list[dict[str, Any]], name: str) -> float:
    """Return the mean over all findings, weighted by their cases."""
    return sum(place[name] * place["cases"] for place in places) / sum(place["cases"] for place in places)


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/evidence")
    for part in PARTS:
        print(f"\n{part}\n\n{summary_markdown(folder, part)}")
        for metric in ("hit_rate", "best_iou"):
            print(f"\n{metric}\n\n{findings_markdown(folder, part, metric)}")
    print(f"\nagreement\n\n{agreement_markdown(folder, 'poet')}")


if __name__ == "__main__":
    main()
