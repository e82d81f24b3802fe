"""The original GG-CAM's raw layout, with invented ids and numbers."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

PICKLES = ("cxr", "gaze_dot", "seg_left_lung", "seg_right_lung", "seg_mediastanum")


@dataclass
class RawCase:
    """One D_ folder; arrays can be changed before it is written."""

    case_id: str
    label: int
    patient_id: str
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def raw_case(number: int, height: int = 180, width: int = 150, label: int | None = None) -> RawCase:
    """Noise, a dozen looks (some at the same pixel), and three rectangles."""
    rng = np.random.default_rng(number)
    cxr = rng.integers(0, 4096, (height, width)).astype(np.uint16)
    gaze = np.zeros((height, width), np.int8)
    np.add.at(gaze, (rng.integers(0, height, 12), rng.integers(0, width, 12)), rng.integers(1, 9, 12).astype(np.int8))
    left, right, heart = np.zeros((3, height, width), bool)
    left[height // 5 : 4 * height // 5, width // 8 : 2 * width // 5] = True
    right[height // 5 : 4 * height // 5, 3 * width // 5 : 7 * width // 8] = True
    heart[height // 3 : 2 * height // 3, 2 * width // 5 : 3 * width // 5] = True
    arrays = dict(zip(PICKLES, (cxr, gaze, left, right, heart), strict=True))
    return RawCase(f"case{number:05d}", number % 3 if label is None else label, f"p{number // 2}", arrays)


def write_raw(root: Path, cases: list[RawCase], patients: bool = False, protocol: int = 4) -> Path:
    """Write the folder as the original reads it; the index is the case's place in the list."""
    root.mkdir(parents=True, exist_ok=True)
    lines = [",Y,ID,patient_id" if patients else ",Y,ID"]
    for index, case in enumerate(cases):
        folder = root / f"D_{index:04d}"
        folder.mkdir()
        for name, array in case.arrays.items():
            (folder / f"{name}.pk").write_bytes(pickle.dumps(array, protocol))
        lines.append(f"{index},{case.label},{case.case_id}" + (f",{case.patient_id}" if patients else ""))
    (root / "data_summary.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
