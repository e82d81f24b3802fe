"""Views of a prepared folder for one run: another split, fewer training cases, or a control in place of attention.

A view writes nothing, so all runs of a study share the images of the folder.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int, Shaped
from numpy.random import Generator

from ggcam.data.attention import attended_cases, finding_regions, resolve_attention, uses_gaze
from ggcam.data.case import Frame
from ggcam.data.prepared import PreparedData
from ggcam.data.region_controls import rotate_within, scatter_regions, shuffle_regions
from ggcam.data.stratify import assign_folds, assign_strata, merge_rare
from ggcam.data.view_config import Control, ViewConfig
from ggcam.errors import ConfigError
from ggcam.gaze.centre_prior import CENTRE_PRIOR_SPREAD

GRID_POINTS = 32
"""Number of grid points, along the frame's longer side, at which a mask or a blob becomes fixations."""


def apply_view(data: PreparedData, config: ViewConfig) -> PreparedData:
    """Select the data of one run.

    Args:
        data: the prepared folder.
        config: options of the view. The same options give the same view.

    Returns:
        The selected data; `data` itself for the default options.

    Raises:
        ConfigError: a class has fewer patients than there are folds, or the data do not support the attention or
            the control.
    """
    data = replace(data, attention=kind) if (kind := resolve_attention(data, config.attention)) != "gaze" else data
    if config.folds:
        data = with_folds(data, config.folds, config.fold, config.view_seed)
    if config.train_cases is not None:
        data = with_train_cases(data, config.train_cases, config.view_seed)
    return data if config.control == "none" else with_control(data, config.control, config.view_seed)


def with_folds(data: PreparedData, num_folds: int, fold: int, seed: int) -> PreparedData:
    """Split data for cross-validation: one fold for test, the next for validation, the others for training.

    Folds are grouped by patient and stratified. In multi-label data, strata with fewer patients than folds are merged.

    Args:
        data: the prepared folder.
        num_folds: number of folds.
        fold: number of the test fold, from 0.
        seed: random seed of the folds.

    Returns:
        The same cases with another split.

    Raises:
        ConfigError: a class has fewer patients than `num_folds`.
    """
    patients, stratum = data.cases["patient_id"].to_numpy(np.str_), assign_strata(data.labels_of(data.cases))
    if data.multi_label:
        stratum = merge_rare(stratum, patients, num_folds)
    case_fold = assign_folds(patients, stratum, num_folds, seed)
    split = np.where(case_fold == fold, "test", np.where(case_fold == (fold + 1) % num_folds, "valid", "train"))
    return replace(data, cases=data.cases.assign(split=split))


def with_train_cases(data: PreparedData, max_cases: int, seed: int) -> PreparedData:
    """Keep a stratified choice of the training cases, and all validation and test cases.

    Args:
        data: the prepared folder.
        max_cases: maximum number of training cases. A larger choice contains the smaller ones.
        seed: random seed of the choice.

    Returns:
        The data with fewer training cases; all cases of a patient are kept or left out together.
    """
    cases = data.cases
    is_train = (cases["split"] == "train").to_numpy()
    train = cases.loc[is_train]
    strata = assign_strata(data.labels_of(train))
    order = _interleave_strata(train["patient_id"], strata, np.random.default_rng(seed))
    sizes = train.groupby("patient_id").size()
    chosen = order[np.cumsum(sizes.loc[order].to_numpy()) <= max_cases]
    keep = ~is_train | cases["patient_id"].isin(chosen.tolist()).to_numpy()
    return _select_cases(data, keep)


def _interleave_strata(
    patient_id: pd.Series, stratum: Int[np.ndarray, " n"], rng: Generator
) -> Shaped[np.ndarray, " patients"]:
    """Shuffle patients, and order them so that strata alternate; a patient belongs to the stratum of the first case."""
    patients = pd.DataFrame({"patient_id": patient_id, "stratum": stratum})
    patients = patients.drop_duplicates("patient_id").sort_values("patient_id")
    shuffled = patients.iloc[rng.permutation(len(patients))]
    turn = shuffled.groupby("stratum").cumcount()
    return shuffled.assign(turn=turn).sort_values(["turn", "stratum"])["patient_id"].to_numpy()


def _select_cases(data: PreparedData, keep: Bool[np.ndarray, " cases"]) -> PreparedData:
    cases = data.cases[keep].reset_index(drop=True)
    kept_ids = set(cases["case_id"])
    tables = {name: getattr(data, name) for name in ("fixations", "regions")}
    return replace(
        data,
        cases=cases,
        **{name: table[table["case_id"].isin(kept_ids)].reset_index(drop=True) for name, table in tables.items()},
    )


def with_control(data: PreparedData, control: Control, seed: int) -> PreparedData:
    """Replace the attention of the training and validation cases by a control.

    Everything else stays the same, including which cases are guided; only a case without another one of its class is
    not guided under "shuffled-in-class". What a guidance gains with a control cannot be due to where readers looked on
    *this* image, or to what they marked. Where fixations have labels, those of the control have the same labels of the
    case; shuffled gaze keeps the labels of the other case, shuffled regions keep those of the case.

    Args:
        data: the prepared folder.
        control: what replaces the attention.
        seed: random seed of the control.

    Returns:
        The data with other fixations or regions in training and validation.

    Raises:
        ConfigError: a guided case has no lung mask (for "lung-mask"), or only one case of a split has attention
            (for "shuffled-gaze").
    """
    rng = np.random.default_rng(seed)
    cases = data.cases.assign(attended=attended_cases(data) & (data.cases["split"] != "test"))
    guided = cases.loc[cases["attended"], ["case_id", "split"]]
    is_replaced = data.fixations["case_id"].isin(guided["case_id"])
    gaze = data.fixations.loc[is_replaced]
    if control in ("centre", "lung-mask"):
        draw = _centre_prior if control == "centre" else _lung_mask
        replaced = draw(data, guided["case_id"].to_numpy(), gaze)
        if data.multi_label:
            replaced = replaced.drop(columns="label").merge(_guided_labels(data, gaze), on="case_id")
        has_gaze = cases["has_gaze"] | cases["attended"]
        data = replace(data, cases=data.cases.assign(has_gaze=has_gaze), attention="gaze")
    elif control == "random-map":
        replaced = _scatter_fixations(data, gaze, rng)
        data = replace(data, regions=scatter_regions(data, rng))
    else:
        within_class = control == "shuffled-in-class"
        replaced = _shuffle_gaze(data, gaze, within_class, rng)
        data = replace(data, regions=shuffle_regions(data, within_class, rng))
    return replace(data, fixations=pd.concat([data.fixations[~is_replaced], replaced], ignore_index=True))


def _guided_labels(data: PreparedData, gaze: pd.DataFrame) -> pd.DataFrame:
    """Return the labels whose CAMs are guided in each case: a table of case_id and label, None for all labels."""
    regions = finding_regions(data, data.attention)
    names = [data.class_names[number] if number >= 0 else None for number in regions["class"]]
    of_regions = pd.DataFrame({"case_id": regions["case_id"], "label": names}, dtype=object)
    if not uses_gaze(data.attention):
        return of_regions.drop_duplicates()
    of_gaze = gaze.loc[:, ["case_id", "label"]]
    return pd.concat([of_gaze, of_regions.loc[~of_regions["case_id"].isin(of_gaze["case_id"])]]).drop_duplicates()


def _shuffle_gaze(data: PreparedData, gaze: pd.DataFrame, within_class: bool, rng: Generator) -> pd.DataFrame:
    """Give every case the whole gaze of another case of its split, or of its split and class."""
    if not uses_gaze(data.attention) or gaze.empty:
        return gaze
    cases = data.cases.loc[data.cases["case_id"].isin(gaze["case_id"])]
    group = cases["split"].to_numpy(np.str_)
    if within_class:
        group = np.char.add(group, assign_strata(data.labels_of(cases)).astype(np.str_))
    new_owner = dict(rotate_within(cases["case_id"].to_numpy(np.str_), group, rng))
    if not within_class and len(new_owner) < len(cases):
        raise ConfigError(
            "gaze cannot be shuffled among fewer than two cases", where=data.root, got="a single case with gaze"
        )
    gaze = gaze.loc[gaze["case_id"].isin(list(new_owner))]
    return gaze.assign(case_id=[new_owner[case_id] for case_id in gaze["case_id"]])


def _scatter_fixations(data: PreparedData, gaze: pd.DataFrame, rng: Generator) -> pd.DataFrame:
    """Move every fixation to a random position in the frame; its duration stays the same."""
    x, y = rng.random((2, len(gaze)))
    return gaze.assign(x_px=x * data.frame.width_px, y_px=y * data.frame.height_px)


def _centre_prior(data: PreparedData, case_ids: np.ndarray, gaze: pd.DataFrame) -> pd.DataFrame:
    """Give every case the centre prior."""
    x, y = _grid_points(data.frame)
    distance2 = (x / data.frame.width_px - 0.5) ** 2 + (y / data.frame.height_px - 0.5) ** 2
    weight = np.exp(-distance2 / (2 * CENTRE_PRIOR_SPREAD**2))
    count = len(case_ids)
    return _fixation_table(
        np.repeat(case_ids, len(x)), np.tile(x, count), np.tile(y, count), np.tile(weight, count), gaze
    )


def _lung_mask(data: PreparedData, case_ids: np.ndarray, gaze: pd.DataFrame) -> pd.DataFrame:
    """Give every case fixations that cover both of its lungs evenly."""
    x, y = _grid_points(data.frame)
    rows, columns = y.astype(int), x.astype(int)
    inside = np.zeros((len(case_ids), len(x)), dtype=bool)
    for in_lungs, case_id in zip(inside, case_ids, strict=True):
        for name, mask in data.read_masks(case_id).items():
            if name != "mediastinum":
                in_lungs |= mask[rows, columns]
        if not in_lungs.any():
            raise ConfigError("the control lung-mask needs lung masks", where=data.root, got=f"none for case {case_id}")
    owner, point = np.nonzero(inside)
    return _fixation_table(case_ids[owner], x[point], y[point], np.ones(len(point)), gaze)


def _grid_points(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return x_px and y_px of points that cover the frame evenly."""
    step = max(frame.height_px, frame.width_px) / GRID_POINTS
    x, y = np.meshgrid(np.arange(step / 2, frame.width_px, step), np.arange(step / 2, frame.height_px, step))
    return x.ravel(), y.ravel()


def _fixation_table(
    case_id: np.ndarray, x_px: np.ndarray, y_px: np.ndarray, weight: np.ndarray, gaze: pd.DataFrame
) -> pd.DataFrame:
    """Make a table of fixations, with the median resolution of the gaze that they replace; NaN if it is unknown."""
    return pd.DataFrame(
        {
            "case_id": case_id,
            "reading_id": "control",
            "x_px": x_px,
            "y_px": y_px,
            "start_s": np.nan,
            "duration_s": weight,
            "px_per_degree_x": gaze["px_per_degree_x"].median(),
            "px_per_degree_y": gaze["px_per_degree_y"].median(),
            "label": None,
        }
    )
