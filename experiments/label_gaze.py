"""The study of docs/label-gaze.md: how well maps of label-specific gaze point at the finding, cue by cue.

    python -m experiments.label_gaze OUT [--seeds 1 2 3] [--cases 480] [--tune]

Simulates REFLACX with each seed in OUT, prepares it, draws for each label that a case has and a reader names a map of
the gaze that belongs to it, and compares it with the ellipses of the finding. The table has the pointing accuracy (the
peak of the map lies in an ellipse) and the IoU, with 95 % intervals over patients. `--tune` compares lags and widths of
the gate instead; they, and the threshold of the IoU, were chosen on seed 0, which the study does not use.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from ggcam.data import label_gaze
from ggcam.data.anatomical_prior import chest_boxes, prior_weights
from ggcam.data.case import Frame
from ggcam.data.label_gaze import Scanpath, label_weights, mentions_by_case
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.sources.dictation import label_fixations
from ggcam.data.view_config import LabelCue
from ggcam.gaze.fixations import Fixations
from ggcam.gaze.maps import attention_map
from ggcam.gaze.mentions import Mention, time_weights
from ggcam.metrics.bootstrap_statistics import weighted_mean
from ggcam.metrics.intervals import bootstrap_intervals
from ggcam.metrics.localisation import regions_to_mask
from ggcam.metrics.overlap import iou_curve
from ggcam.simulation.config import SimulationConfig
from ggcam.simulation.simulator import simulate

TUNING_SEED = 0
SIZE, FRAME, GRID = "128x104", "128x128", (64, 64)
"""Sizes of the images, raw and prepared, and of the maps: cells of two pixels, half a degree of visual angle."""

IMAGE_SIZE = Frame.parse(FRAME).shape

WINDOWS_S = (1.5, 3.0)
"""Windows before a mention, in seconds; the other methods are compared with the first."""

LAGS_S, WIDTHS_S = (0.0, 1.5, 3.0, 4.5), (0.75, 1.5, 3.0)
"""What `--tune` compares."""

Map = Float[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Target:
    """A label that a case has, that a reader of it names, and that has an ellipse.

    Attributes:
        case_id: id of the case.
        patient_id: its patient, different in each data set.
        finding: name of the label.
        gaze: fixations of the case.
        scanpath: the same, placed in the chest.
        chest: left, top, right and bottom of the chest in pixels of the frame.
        mentions: reading id -> mentions of the label.
        truth: cells in one of the label's ellipses.
    """

    case_id: str
    patient_id: str
    finding: str
    gaze: Fixations
    scanpath: Scanpath
    chest: Float[np.ndarray, " 4"]
    mentions: dict[str, list[Mention]]
    truth: Bool[np.ndarray, "h w"]


def main() -> None:
    """Simulate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cases", type=int, default=480)
    parser.add_argument("--tune", action="store_true", help="compare lags and widths of the gate on seed 0")
    args = parser.parse_args()
    tuning = find_targets(simulated_data(args.out, TUNING_SEED, args.cases))
    if args.tune:
        print(compare_gates(tuning).round(3).to_string(index=False))
        return
    targets = [target for seed in args.seeds for target in find_targets(simulated_data(args.out, seed, args.cases))]
    print(f"{len(targets):,} labels of {len({target.case_id for target in targets}):,} cases\n")
    for name, table in (("label-gaze", measure(targets, tuning)), ("label-gaze-findings", by_finding(targets))):
        table.to_csv(args.out / f"{name}.csv", index=False)
        print(table.to_string(index=False), end="\n\n")


def simulated_data(out: Path, seed: int, cases: int) -> PreparedData:
    """Simulate and prepare REFLACX, or load what an earlier call prepared.

    Args:
        out: folder of the study.
        seed: random seed of the simulation.
        cases: number of images.

    Returns:
        The prepared folder.
    """
    raw, data = (out / f"{name}-{seed}-{cases}" for name in ("raw", "data"))
    if not (data / "dataset.toml").is_file():
        if not raw.exists():
            raw.parent.mkdir(parents=True, exist_ok=True)
            simulate(raw, SimulationConfig(cases=cases, layout="reflacx", size=SIZE, seed=seed, workers=1))
        prepare(raw, data, PrepareConfig(size=FRAME, split="source", workers=1), "reflacx")
    return load_prepared(data)


def find_targets(data: PreparedData) -> list[Target]:
    """Find the labels that the study measures.

    Args:
        data: the prepared folder.

    Returns:
        The labels, in the order of the cases.
    """
    named = mentions_by_case(data)
    chests = dict(zip(data.cases["case_id"], chest_boxes(data), strict=True))
    tables = dict(iter(data.fixations.groupby("case_id", sort=False)))
    targets = []
    for row, (case_id, patient_id) in enumerate(zip(data.cases["case_id"], data.cases["patient_id"], strict=True)):
        for name in np.array(data.class_names)[data.label_matrix[row] == 1].tolist():
            regions = [each for each in data.boxes[case_id] if each.name == name and each.kind == "ellipse"]
            if regions and (case_id, name) in named:
                corners = [(each.kind, each.x0_px, each.y0_px, each.x1_px, each.y1_px) for each in regions]
                target = Target(
                    case_id=case_id,
                    patient_id=f"{data.root.name}/{patient_id}",
                    finding=name,
                    gaze=data.gaze[case_id],
                    scanpath=Scanpath.from_table(tables[case_id], chests[case_id]),
                    chest=chests[case_id],
                    mentions=named[case_id, name],
                    truth=regions_to_mask(corners, data.frame.shape, GRID),
                )
                targets.append(target)
    return targets


def compare_gates(targets: Sequence[Target]) -> pd.DataFrame:
    """Compare lags and widths of the temporal gate.

    Args:
        targets: labels of the tuning seed.

    Returns:
        Pointing accuracy with the gate alone and with all cues, one row per lag and width.
    """
    truth = np.stack([target.truth for target in targets])
    rows = []
    for lag_s, width_s in itertools.product(LAGS_S, WIDTHS_S):
        with mock.patch.object(label_gaze, "time_weights", partial(time_weights, lag_s=lag_s, width_s=width_s)):
            accuracy = {
                f"pointing, {name}": points_at(np.stack([draw(target) for target in targets]), truth).mean()
                for name, draw in (("time", METHODS["scanpath x time"]), ("all cues", METHODS[ALL_CUES]))
            }
        rows.append({"lag_s": lag_s, "width_s": width_s, **accuracy})
    return pd.DataFrame(rows)


def measure(targets: Sequence[Target], tuning: Sequence[Target]) -> pd.DataFrame:
    """Measure every method.

    Args:
        targets: labels that the table is about.
        tuning: labels of another seed, on which the threshold of each method's IoU is chosen.

    Returns:
        One row per method: pointing accuracy and IoU with their intervals, and the difference of the pointing accuracy
        to the window.
    """
    patients = np.array([target.patient_id for target in targets])
    maps = {name: np.stack(draw) for name, draw in drawn_maps(targets).items()}
    tuning_maps = {name: np.stack(draw) for name, draw in drawn_maps(tuning).items()}
    truth, tuning_truth = (np.stack([each.truth for each in found]) for found in (targets, tuning))
    pointing = {name: points_at(drawn, truth) for name, drawn in maps.items()}
    statistics = {}
    for name, drawn in maps.items():
        best = int(np.nanmean(iou_curve(tuning_maps[name], tuning_truth), axis=0).argmax())
        statistics |= {
            (name, "pointing accuracy"): weighted_mean(pointing[name]),
            (name, "IoU"): weighted_mean(iou_curve(drawn, truth)[:, best]),
            (name, "pointing, minus window"): weighted_mean(pointing[name] - pointing[WINDOW]),
        }
    intervals = bootstrap_intervals({"|".join(key): value for key, value in statistics.items()}, patients)
    columns = list(dict.fromkeys(column for _, column in statistics))
    return pd.DataFrame(
        [{"fixations": name} | {column: str(intervals[f"{name}|{column}"]) for column in columns} for name in maps]
    )


def by_finding(targets: Sequence[Target]) -> pd.DataFrame:
    """Measure the pointing accuracy for each finding.

    Args:
        targets: labels that the table is about.

    Returns:
        One row per finding that at least ten cases have: number of cases, and pointing accuracy of some methods.
    """
    finding, truth = np.array([target.finding for target in targets]), np.stack([each.truth for each in targets])
    shown = (WHOLE, WINDOW, "prior alone", "prior x scanpath", ALL_CUES)
    hits = {name: points_at(np.stack([METHODS[name](target) for target in targets]), truth) for name in shown}
    names, cases = np.unique(finding, return_counts=True)
    return pd.DataFrame(
        [
            {"finding": name, "cases": count, **{each: hits[each][finding == name].mean().round(3) for each in shown}}
            for name, count in zip(names.tolist(), cases.tolist(), strict=True)
            if count >= 10
        ]
    )


def drawn_maps(targets: Sequence[Target]) -> dict[str, list[Map]]:
    """Draw the map of every method for every label.

    Args:
        targets: the labels.

    Returns:
        Name of the method -> maps in the order of the labels.
    """
    maps = {name: [draw(target) for target in targets] for name, draw in METHODS.items()}
    maps["another patient's record, all cues"] = [draw_weighted(each, CUES) for each in with_other_records(targets)]
    return maps


def points_at(maps: Float[np.ndarray, "n h w"], truth: Bool[np.ndarray, "n h w"]) -> Float[np.ndarray, " n"]:
    """Return whether the peak of each map lies in its truth.

    Args:
        maps: the maps.
        truth: cells of the truth.

    Returns:
        0 or 1 for each map; the fraction of the peaks in the truth where several cells are equally high, as those of
        the prior are.
    """
    at_peak = maps >= maps.max(axis=(1, 2), keepdims=True) * (1 - 1e-6)
    return (at_peak & truth).sum(axis=(1, 2)) / at_peak.sum(axis=(1, 2))


def draw(target: Target, weights: Float[np.ndarray, " n"]) -> Map:
    """Draw the map of weighted fixations, as training draws it."""
    gaze = replace(target.gaze, duration_s=target.gaze.duration_s * weights)
    return attention_map(gaze, GRID, IMAGE_SIZE)


def draw_weighted(target: Target, cues: Sequence[LabelCue]) -> Map:
    """Draw the map of the fixations, weighted by cues."""
    return draw(target, label_weights(target.scanpath, target.finding, target.mentions, cues))


def draw_window(target: Target, window_s: float) -> Map:
    """Draw the map of the fixations in a window before a mention; without any, of all fixations."""
    inside = np.zeros(len(target.gaze), dtype=bool)
    for reading_id, mentions in target.mentions.items():
        start_s = target.gaze.start_s
        label = label_fixations(start_s, start_s + target.gaze.duration_s, mentions, window_s)
        inside |= (label != "") & (target.scanpath.reading_id == reading_id)
    return draw(target, (inside if inside.any() else np.ones_like(inside)).astype(np.float64))


def with_window(data: PreparedData) -> PreparedData:
    """Label fixations by the shorter window, as `--dictation-window-s` does when preparing.

    Args:
        data: the prepared folder.

    Returns:
        The data with labels of fixations.
    """
    by_reading: dict[str, list[Mention]] = {}
    for readings in mentions_by_case(data).values():
        for reading_id, mentions in readings.items():
            by_reading.setdefault(reading_id, []).extend(mentions)
    label = np.full(len(data.fixations), "", dtype=object)
    start_s, duration_s = (data.fixations[name].to_numpy(np.float64) for name in ("start_s", "duration_s"))
    for reading_id, rows in data.fixations.groupby("reading_id").indices.items():
        start, end = start_s[rows], start_s[rows] + duration_s[rows]
        label[rows] = label_fixations(start, end, by_reading.get(str(reading_id), []), WINDOWS_S[0])
    label[label == ""] = None
    return replace(data, fixations=data.fixations.assign(label=label))


def draw_prior(target: Target) -> Map:
    """Draw the anatomical prior of the finding, without gaze."""
    down, across = ((np.arange(cells) + 0.5) / cells for cells in GRID)
    x0, y0, x1, y1 = target.chest
    across, down = np.meshgrid((across * IMAGE_SIZE[1] - x0) / (x1 - x0), (down * IMAGE_SIZE[0] - y0) / (y1 - y0))
    inside = (across > 0) & (across < 1) & (down > 0) & (down < 1)
    prior = prior_weights(target.finding, across.ravel(), down.ravel()).reshape(GRID)
    return np.where(inside, prior, 0.0)


def with_other_records(targets: Sequence[Target]) -> list[Target]:
    """Give each label the gaze and the dictation of another patient with the same label.

    Args:
        targets: the labels.

    Returns:
        The labels, with the other chest laid over their own; a label that only one patient has is left as it is.
    """
    rng = np.random.default_rng(0)
    mixed = []
    for target in targets:
        others = [each for each in targets if each.finding == target.finding and each.patient_id != target.patient_id]
        other = others[rng.integers(len(others))] if others else target
        x0, y0, x1, y1 = target.chest
        gaze = replace(
            other.gaze,
            x_px=x0 + other.scanpath.across * (x1 - x0),
            y_px=y0 + other.scanpath.down * (y1 - y0),
        )
        mixed.append(replace(target, gaze=gaze, scanpath=other.scanpath, mentions=other.mentions))
    return mixed


CUES: tuple[LabelCue, ...] = ("prior", "words", "time")
WINDOW, LONG_WINDOW = (f"window of {window_s} s before the mention" for window_s in WINDOWS_S)
WHOLE, ALL_CUES = "all (scanpath)", "prior x scanpath x words x time"
METHODS: dict[str, Callable[[Target], Map]] = {
    WHOLE: partial(draw_weighted, cues=()),
    WINDOW: partial(draw_window, window_s=WINDOWS_S[0]),
    LONG_WINDOW: partial(draw_window, window_s=WINDOWS_S[1]),
    "prior alone": draw_prior,
    "scanpath x time": partial(draw_weighted, cues=("time",)),
    "scanpath x words": partial(draw_weighted, cues=("words",)),
    "prior x scanpath": partial(draw_weighted, cues=("prior",)),
    "prior x scanpath x words": partial(draw_weighted, cues=("prior", "words")),
    "prior x scanpath x time": partial(draw_weighted, cues=("prior", "time")),
    ALL_CUES: partial(draw_weighted, cues=CUES),
}
"""Name of the method -> function that draws its map."""


if __name__ == "__main__":
    main()
