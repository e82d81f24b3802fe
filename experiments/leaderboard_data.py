"""Data of the leader board: simulated X-rays with clean and noisy gaze, and real images."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.raw_cases import prepared_cases

from experiments import real_images
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare, prepare_source
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.sources import egd_cxr
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.simulator import simulate

CASES = 2500
"""Number of simulated cases: 1,750 for training, of which each run draws some, 250 for validation, 500 for testing."""

SIMULATED_SIZE = "128x96"

SHORTCUT = 0.8
"""Probability that a training or validation image bears the marker of its class."""

NOISE_DEG, MISSING, SHUFFLED = 3.0, 0.5, 0.3
"""Of noisy gaze: the tracker's error in degrees, the fraction of cases that lose their gaze, and the fraction of the
remaining ones that have the gaze of another case."""

NIH_FRACTIONS = (0.5, 0.15, 0.35)
"""Fractions of the splits of the chest X-rays with boxes: few images, so many are for testing."""


def simulated(out: Path, shortcut: float) -> PreparedData:
    """Load simulated X-rays with gaze; create them if they do not exist.

    Args:
        out: folder of the data.
        shortcut: probability that a training or validation image bears the marker of its class.

    Returns:
        The prepared data.
    """
    raw, data = _raw(out, shortcut), out / f"data-shortcut{shortcut}"
    return prepared_cases(raw, data, SimulationConfig(cases=CASES, shortcut=shortcut), SIMULATED_SIZE)


def noisy(out: Path) -> PreparedData:
    """Load the data with the shortcut whose training and validation cases have bad gaze; create them if missing.

    Images and test gaze are those of :func:`simulated`. The tracker errs by 3 degrees, half of the cases have no gaze,
    and 30 % of those that do have that of another case.

    Args:
        out: folder of the data.

    Returns:
        The prepared data.
    """
    data = out / "data-noisy"
    if data.is_dir():
        return load_prepared(data)
    simulated(out, SHORTCUT)
    clean, inaccurate, raw = _raw(out, SHORTCUT), out / "raw-inaccurate", out / "raw-noisy"
    if not inaccurate.is_dir():
        simulate(inaccurate, SimulationConfig(cases=CASES, shortcut=SHORTCUT, gaze_noise_deg=NOISE_DEG))
    shutil.copytree(clean, raw, dirs_exist_ok=True)
    good, bad = (pd.read_csv(folder / "fixations.csv", dtype=str) for folder in (clean, inaccurate))
    split = pd.read_csv(clean / "split.csv", dtype=str)
    # The layout cuts the ids of fixations.
    seen = split["id"].loc[split["split"] != "test"].str[: good["DICOM_ID"].str.len().max()].tolist()
    parts = [good.loc[~good["DICOM_ID"].isin(seen)], _worse(bad.loc[bad["DICOM_ID"].isin(seen)])]
    pd.concat(parts).to_csv(raw / "fixations.csv", index=False)
    return prepare_source(egd_cxr.read(raw), data, PrepareConfig(size=SIMULATED_SIZE, split_file=raw / "split.csv"))


def _worse(fixations: pd.DataFrame) -> pd.DataFrame:
    """Drop the gaze of half of the cases; let 30 % of the others give theirs to the next one."""
    cases = np.random.default_rng(0).permutation(sorted(set(fixations["DICOM_ID"])))
    kept = cases[round(MISSING * len(cases)) :].tolist()
    exchanged = kept[: round(SHUFFLED * len(kept))]
    donor = {case: case for case in kept} | dict(zip(exchanged, [*exchanged[1:], *exchanged[:1]], strict=True))
    return fixations.assign(DICOM_ID=[donor.get(case) for case in fixations["DICOM_ID"]]).dropna(subset="DICOM_ID")


def _raw(out: Path, shortcut: float) -> Path:
    return out / f"raw-shortcut{shortcut}"


def nih(out: Path, raw: Path) -> PreparedData:
    """Load the chest X-rays with radiologists' boxes; prepare them if they are not prepared.

    Args:
        out: folder of the prepared data.
        raw: folder of real images.

    Returns:
        The prepared data.
    """
    data = out / "data-nih"
    if data.is_dir():
        return load_prepared(data)
    config = PrepareConfig(size=real_images.SIZE, split_fractions=NIH_FRACTIONS)
    return prepare(raw / "nih_boxes", data, config)


def poet(out: Path, raw: Path) -> PreparedData:
    """Load the photographs with gaze, in which readers 4 and 5 judge what readers 1 to 3 have guided.

    Args:
        out: folder of the prepared data.
        raw: folder of real images.

    Returns:
        The prepared data.
    """
    return real_images.prepared(out, raw, "poet")
