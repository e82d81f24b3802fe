"""Schemas of the files that describe and hold results: JSON files of runs and studies, study.toml, notes in ONNX files.

They are checked where a file is opened. A metric is {"value", "low", "high"}, each None where it is undefined. Keys of
later versions are allowed.
"""

# Without `from __future__ import annotations`, which would hide NotRequired from a TypedDict.

from typing import Any, Literal, NotRequired, TypedDict

from ggcam.data.prepared_schema import FrameSize
from ggcam.data.view_config import AttentionKind, Control

SELECTED_ON_TEST = "selected on test: the best epoch is chosen on the test cases, so the metrics on them are too good"
"""Remark on results with `selected_on`, as in published tables whose authors had no validation part."""

Number = float | None
"""A finite number; None where it is undefined."""


class Metric(TypedDict):
    """A metric with its confidence interval."""

    value: Number
    low: NotRequired[Number]
    high: NotRequired[Number]


class AgainstChance(TypedDict):
    """A metric of the CAM, and of the same cells in random order."""

    cam: Metric
    chance: Metric
    cam_minus_chance: Metric


class Target(TypedDict):
    """How often the peak of the CAM lies on a target."""

    cases: int
    hit_rate: Metric
    chance: Metric
    hit_rate_minus_chance: NotRequired[Metric]
    distance_px: Metric
    chance_in_lungs_and_heart: NotRequired[Metric]


class SizeMetrics(Target):
    """Localisation of the findings of one size."""

    energy_inside: AgainstChance
    best_iou: AgainstChance


class FindingOverlap(TypedDict):
    """How much of a class's findings the CAM covers."""

    cases: int
    energy_inside: NotRequired[AgainstChance]
    mean_iou: NotRequired[AgainstChance]
    best_iou: NotRequired[AgainstChance]
    average_precision: NotRequired[AgainstChance]
    by_size: NotRequired[dict[str, SizeMetrics]]


class GazeAgreement(TypedDict):
    """Agreement of CAM and gaze: each metric for the CAM and for the references."""

    cases: int
    readings: int
    nss: NotRequired[dict[str, Metric]]
    cc: NotRequired[dict[str, Metric]]
    sim: NotRequired[dict[str, Metric]]
    auc_judd: NotRequired[dict[str, Metric]]
    auc_shuffled: NotRequired[dict[str, Metric]]
    information_gain: NotRequired[dict[str, Metric]]
    kl: NotRequired[dict[str, Metric]]


class Shortcut(Target):
    """How often the peak of the CAM, and how much of it, lies on a simulated marker."""

    energy_inside: NotRequired[AgainstChance]


class Faithfulness(TypedDict):
    """How the score depends on the cells that the CAM marks."""

    cases: int
    deletion_auc: NotRequired[AgainstChance]
    insertion_auc: NotRequired[AgainstChance]


class ReliabilityBin(TypedDict):
    """One bin of the reliability curve."""

    cases: int
    confidence: Metric
    accuracy: Metric


class OperatingPoint(TypedDict):
    """Sensitivity and specificity at a threshold that was chosen on the validation cases."""

    threshold: float
    sensitivity: Metric
    specificity: Metric


class RunMetrics(TypedDict):
    """Content of metrics.json."""

    split: Literal["train", "valid", "test"]
    selected_on: NotRequired[Literal["test"]]
    data: str
    cases: int
    patients: int
    interval: NotRequired[str]
    evaluation: NotRequired[str]
    macro_auroc: Metric
    macro_auroc_ovo: NotRequired[Metric]
    micro_auroc: NotRequired[Metric]
    macro_auprc: NotRequired[Metric]
    accuracy: Metric
    balanced_accuracy: NotRequired[Metric]
    macro_f1: NotRequired[Metric]
    mcc: NotRequired[Metric]
    brier: NotRequired[Metric]
    ece: Metric
    nll: NotRequired[Metric]
    uncalibrated: NotRequired[dict[str, Metric]]
    temperature: NotRequired[dict[str, float]]
    operating_points: NotRequired[dict[str, dict[str, OperatingPoint]]]
    reliability: NotRequired[dict[str, ReliabilityBin]]
    auroc: NotRequired[dict[str, Metric]]
    auroc_delong: NotRequired[dict[str, Metric]]
    auprc: NotRequired[dict[str, Metric]]
    sensitivity_at_90_specificity: NotRequired[dict[str, Metric]]
    anatomy: NotRequired[dict[str, Target]]
    pointing_game: NotRequired[dict[str, Target]]
    overlap: NotRequired[dict[str, FindingOverlap]]
    gaze_agreement: NotRequired[GazeAgreement]
    shortcut: NotRequired[Shortcut]
    faithfulness: NotRequired[Faithfulness]


_F1 = TypedDict("_F1", {"f1-score": Number})


class ClassRow(_F1):
    """Metrics of one class in classification_report.json; with several labels per case, its own confusion matrix."""

    precision: Number
    recall: Number
    support: float
    auroc: Number
    auprc: Number
    known: NotRequired[int]
    confusion_matrix: NotRequired[list[list[int]]]


class OwnReport(TypedDict):
    """Table "ours" of classification_report.json; with several labels per case, it has no confusion matrix."""

    classes: dict[str, ClassRow]
    confusion_matrix: NotRequired[list[list[int]]]


class ClassificationReport(TypedDict):
    """Content of classification_report.json; the other keys are those of the original GG-CAM."""

    ours: OwnReport


class ArmRow(TypedDict):
    """A metric of an arm in summary.json."""

    arm: str
    train_cases: int | None
    metric: str
    runs: int
    value: Number
    low: Number
    high: Number
    low_patients_seeds: NotRequired[Number]
    high_patients_seeds: NotRequired[Number]
    by_seed: dict[str, Number]


class DifferenceRow(ArmRow):
    """A difference of two arms in summary.json."""

    baseline: str
    p_patients: Number
    p_seeds: Number
    p_patients_holm: Number
    p_seeds_holm: Number


class StudySummary(TypedDict):
    """Content of summary.json."""

    arms_compared: list[str]
    baseline: str
    seeds: list[int]
    folds: int
    train_cases: list[int]
    selected_on: NotRequired[Literal["test"]]
    explained: dict[str, str]
    notes: list[str]
    arms: list[ArmRow]
    differences: list[DifferenceRow]
    missing_runs: list[str]


class StudyData(TypedDict):
    """Identity of the data of a study."""

    root: str
    sha256: str


class PlannedArm(TypedDict):
    """An arm in study.toml."""

    guidance: str
    control: Control
    attention: NotRequired[AttentionKind]
    weight: NotRequired[float]
    options: NotRequired[list[str]]


class Plan(TypedDict):
    """The runs of a study in study.toml."""

    arms: list[PlannedArm]
    seeds: list[int]
    folds: int
    train_cases: list[int]


class StudyFile(TypedDict):
    """Content of study.toml; `train` is the training config that all runs share."""

    data: StudyData
    plan: Plan
    train: dict[str, Any]


class ModelFile(TypedDict):
    """Content of params_<Net>_.txt; later versions have more keys."""

    type: str
    class_names: list[str]
    frame: FrameSize
    output_stride: int | None
    net: str
    reduction: Literal["sum", "mean"]
    multi_label: NotRequired[bool]
    num_stages: NotRequired[int | None]
    framing: NotRequired[Literal["fitted", "strided"]]
    used_bits: NotRequired[int]
    channels: NotRequired[Literal[1, 3]]
    mean: NotRequired[list[float] | None]
    std: NotRequired[list[float] | None]
    head: NotRequired[Literal["cam", "attention-pool", "attention-branch", "mil"]]


class OnnxNote(TypedDict):
    """What ggcam notes in the metadata of an ONNX file."""

    pixels: Literal["uint8", "uint16"]
    size: list[int]
    channels: NotRequired[Literal[1, 3]]
    class_names: NotRequired[list[str]]
    multi_label: NotRequired[bool]
    framing: NotRequired[Literal["fitted", "strided"]]
    used_bits: NotRequired[int]
    temperature: NotRequired[list[float]]
    typicality: NotRequired[dict[str, Any]]
    weights_sha256: NotRequired[str]
    version_ggcam: NotRequired[str]
