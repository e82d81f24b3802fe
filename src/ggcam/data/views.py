"""A prepared folder arranged for one run of a study: another split, fewer training cases, or something else for gaze.

Nothing is written: an arrangement is a view of the folder, so that all runs of a study share its images.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Shaped
from numpy.random import Generator

from ggcam.data.case import Frame
from ggcam.data.prepared import PreparedData
from ggcam.data.stratify import folds, merge_rare, strata
from ggcam.data.view_config import Control, ViewConfig
from ggcam.errors import ConfigError

MASK_POINTS = 32
"""A mask or a blob becomes points on a grid of so many, along the frame's longer side."""

CENTRE_SIGMA = 0.2
"""Standard deviation of the blob in the centre, as a share of each side."""


def apply_view(data: PreparedData, config: ViewConfig) -> PreparedData:
    """The data of one run. The same config gives the same arrangement.

    Raises:
        ConfigError: a class has fewer patients than there are folds, or a control lacks what it is made of.
    """
    if config.folds:
        data = with_folds(data, config.folds, config.fold, config.view_seed)
    if config.train_cases is not None:
        data = with_train_cases(data, config.train_cases, config.view_seed)
    return data if config.control == "none" else with_control(data, config.control, config.view_seed)


def with_folds(data: PreparedData, count: int, fold: int, seed: int) -> PreparedData:
    """Test on one fold, validate on the next, train on the others; patients stay together, `strata` are shared out.

    Where cases may have several labels, one may be too rare to be in every fold: such strata are shared out together.

    Raises:
        ConfigError: a class has fewer patients than `count`.
    """
    patients, stratum = data.cases["patient_id"].to_numpy(np.str_), strata(data.labels_of(data.cases))
    if data.multi_label:
        stratum = merge_rare(stratum, patients, count)
    number = folds(patients, stratum, count, seed)
    split = np.where(number == fold, "test", np.where(number == (fold + 1) % count, "valid", "train"))
    return replace(data, cases=data.cases.assign(split=split))


def with_train_cases(data: PreparedData, most: int, seed: int) -> PreparedData:
    """Keep at most `most` training cases, whole patients, `strata` in turn; validation and test stay as they are."""
    cases = data.cases
    train = (cases["split"] == "train").to_numpy()
    learned = cases.loc[train]
    order = _patients_in_turn(learned["patient_id"], strata(data.labels_of(learned)), np.random.default_rng(seed))
    sizes = learned.groupby("patient_id").size()
    taken = order[np.cumsum(sizes.loc[order].to_numpy()) <= most]
    keep = ~train | cases["patient_id"].isin(taken.tolist()).to_numpy()
    return _selected(data, keep)


def _patients_in_turn(
    patient_id: pd.Series, stratum: Int[np.ndarray, " n"], rng: Generator
) -> Shaped[np.ndarray, " patients"]:
    """Patients shuffled, one of each stratum after the other; a patient of several counts for the first one."""
    patients = pd.DataFrame({"patient_id": patient_id, "stratum": stratum})
    patients = patients.drop_duplicates("patient_id").sort_values("patient_id")
    shuffled = patients.iloc[rng.permutation(len(patients))]
    turn = shuffled.groupby("stratum").cumcount()
    return shuffled.assign(turn=turn).sort_values(["turn", "stratum"])["patient_id"].to_numpy()


def _selected(data: PreparedData, keep: Bool[np.ndarray, " cases"]) -> PreparedData:
    cases = data.cases[keep].reset_index(drop=True)
    there = set(cases["case_id"])
    tables = {name: getattr(data, name) for name in ("fixations", "regions")}
    return replace(
        data,
        cases=cases,
        **{name: table[table["case_id"].isin(there)].reset_index(drop=True) for name, table in tables.items()},
    )


def with_control(data: PreparedData, control: Control, seed: int) -> PreparedData:
    """Put something else in the place of the gaze of the training and validation cases that have any.

    All else stays: which cases are guided, and how. What a guidance gains with a control it does not owe to where
    readers looked on *this* image. Where fixations name labels, so do those of a control: the same of the case's
    labels have gaze of their own; but shuffled gaze names what it did in the other case.

    Raises:
        ConfigError: "lung-mask", and a guided case has no mask of its lungs; or "shuffled-gaze" of a single case.
    """
    rng = np.random.default_rng(seed)
    learned = data.cases["split"] != "test"
    guided = data.cases.loc[learned & data.cases["has_gaze"], ["case_id", "split"]]
    of_guided = data.fixations["case_id"].isin(guided["case_id"])
    gaze = data.fixations.loc[of_guided]
    if control == "shuffled-gaze":
        made = _shuffled(data, guided, gaze, rng)
    elif control == "random-map":
        made = _scattered(data, gaze, rng)
    elif control == "centre":
        made = _central(data, guided["case_id"].to_numpy(), gaze)
    else:
        made = _in_lungs(data, guided["case_id"].to_numpy(), gaze)
    if data.multi_label and control in ("centre", "lung-mask"):
        named = gaze[["case_id", "label"]].drop_duplicates()
        made = made.drop(columns="label").merge(named, on="case_id")
    return replace(data, fixations=pd.concat([data.fixations[~of_guided], made], ignore_index=True))


def _shuffled(data: PreparedData, guided: pd.DataFrame, gaze: pd.DataFrame, rng: Generator) -> pd.DataFrame:
    """Every case gets the whole gaze of another one of its split."""
    new_owner: dict[str, str] = {}
    for split, cases in guided.groupby("split"):
        if len(cases) < 2:
            raise ConfigError(
                "gaze cannot be shuffled", where=f"{data.root}, split {split}", got="a single case with gaze"
            )
        ids = cases["case_id"].to_numpy()[rng.permutation(len(cases))]
        new_owner |= dict(zip(ids, np.roll(ids, 1), strict=True))  # a single cycle: nobody keeps their own
    return gaze.assign(case_id=[new_owner[case_id] for case_id in gaze["case_id"]])


def _scattered(data: PreparedData, gaze: pd.DataFrame, rng: Generator) -> pd.DataFrame:
    """Every fixation keeps its duration and goes anywhere in the frame."""
    x, y = rng.random((2, len(gaze)))
    return gaze.assign(x_px=x * data.frame.width_px, y_px=y * data.frame.height_px)


def _central(data: PreparedData, case_ids: np.ndarray, gaze: pd.DataFrame) -> pd.DataFrame:
    """A broad blob in the middle of the frame, the same for every case."""
    x, y = _grid_points(data.frame)
    distance2 = (x / data.frame.width_px - 0.5) ** 2 + (y / data.frame.height_px - 0.5) ** 2
    weight = np.exp(-distance2 / (2 * CENTRE_SIGMA**2))
    count = len(case_ids)
    return _points(np.repeat(case_ids, len(x)), np.tile(x, count), np.tile(y, count), np.tile(weight, count), gaze)


def _in_lungs(data: PreparedData, case_ids: np.ndarray, gaze: pd.DataFrame) -> pd.DataFrame:
    """Both lungs, evenly."""
    x, y = _grid_points(data.frame)
    rows, columns = y.astype(int), x.astype(int)
    inside = np.zeros((len(case_ids), len(x)), dtype=bool)
    for covered, case_id in zip(inside, case_ids, strict=True):
        for name, mask in data.read_masks(case_id).items():
            if name != "mediastinum":
                covered |= mask[rows, columns]
        if not covered.any():
            raise ConfigError(
                "the control lung-mask needs a mask of the lungs", where=data.root, got=f"none for case {case_id}"
            )
    owner, at = np.nonzero(inside)
    return _points(case_ids[owner], x[at], y[at], np.ones(len(at)), gaze)


def _grid_points(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """x_px and y_px of points that cover the frame evenly."""
    step = max(frame.height_px, frame.width_px) / MASK_POINTS
    x, y = np.meshgrid(np.arange(step / 2, frame.width_px, step), np.arange(step / 2, frame.height_px, step))
    return x.ravel(), y.ravel()


def _points(
    case_id: np.ndarray, x_px: np.ndarray, y_px: np.ndarray, weight: np.ndarray, like: pd.DataFrame
) -> pd.DataFrame:
    """Fixations table of points, with the median resolution of the gaze whose place they take."""
    return pd.DataFrame(
        {
            "case_id": case_id,
            "reading_id": "control",
            "x_px": x_px,
            "y_px": y_px,
            "start_s": np.nan,
            "duration_s": weight,
            "px_per_degree_x": like["px_per_degree_x"].median(),
            "px_per_degree_y": like["px_per_degree_y"].median(),
            "label": None,
        }
    )
