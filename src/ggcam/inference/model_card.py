"""The model card of a bundle: README.md in Hugging Face's format, Markdown with YAML front matter.

Names of classes, data sets and runs come from elsewhere: none of them becomes markup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ggcam.report.result_schemas import SELECTED_ON_TEST, RunMetrics
from ggcam.training.calibration import Calibration
from ggcam.training.config import TrainConfig
from ggcam.training.model_spec import ModelSpec
from ggcam.training.typicality import ValidationMarks
from ggcam.utils.printable import printable
from ggcam.utils.versions import versions

NOTICE = "For research use. Not a medical device, and not for diagnosis."

HEADLINES: Mapping[str, tuple[str, str]] = {
    "macro_auroc": ("roc_auc", "macro AUROC"),
    "macro_auprc": ("average_precision", "macro AUPRC"),
    "accuracy": ("accuracy", "accuracy"),
    "balanced_accuracy": ("balanced_accuracy", "balanced accuracy"),
    "macro_f1": ("f1", "macro F1"),
    "ece": ("expected_calibration_error", "expected calibration error"),
    "brier": ("brier_score", "Brier score"),
}
"""Key in metrics.json -> type of the metric on Hugging Face, and its name."""

_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#|~!&$@:./^])")
"""Characters that Markdown, or the dialects of GitHub and Hugging Face, may read as markup inside a line."""


@dataclass(frozen=True)
class TrainingData:
    """What the card says about the training data.

    Attributes:
        source: name of the source, such as "egd_cxr".
        kind: what the images show: "chest" or "other".
        counts: split -> number of cases.
        split: how the cases were assigned to the splits.
        attention: what the data have to guide CAMs with, such as "gaze".
    """

    source: str
    kind: str
    counts: Mapping[str, int]
    split: str
    attention: str


@dataclass(frozen=True)
class CardFacts:
    """What a card is written from.

    Attributes:
        name: name of the run.
        spec: description of the network.
        config: options of the training.
        calibration: temperatures and thresholds.
        data: the training data; None if they cannot be read any more.
        metrics: content of metrics.json; None if the run has not been evaluated.
        marks: how many validation images are marked as unusual; None if unusual images are not marked.
    """

    name: str
    spec: ModelSpec
    config: TrainConfig
    calibration: Calibration
    data: TrainingData | None
    metrics: RunMetrics | None
    marks: ValidationMarks | None


def model_card(facts: CardFacts) -> str:
    """Write a model card.

    Args:
        facts: what it is written from.

    Returns:
        Markdown with YAML front matter.
    """
    sections = [
        f"# {escape(facts.name)}",
        f"**{NOTICE}**",
        *_network(facts.spec),
        *_use(facts.spec),
        *_data(facts),
        *_results(facts),
        *_calibration(facts),
        *_limits(facts),
        "## Licence",
        "See `LICENSE`. The terms of the training data apply to this network as well.",
    ]
    return f"---\n{_front_matter(facts)}---\n\n" + "\n\n".join(sections) + "\n"


def escape(text: str) -> str:
    r"""Write text so that Markdown shows it as it is, on one line.

    Args:
        text: any text.

    Returns:
        Markdown.

    Example:
        >>> print(escape("<b>lung_lesion</b>, *new*"))
        \<b\>lung\_lesion\<\/b\>, \*new\*
    """
    return _MARKUP.sub(r"\\\1", printable(" ".join(text.split())))


def _front_matter(facts: CardFacts) -> str:
    kind = "chest-x-ray" if facts.data is None or facts.data.kind == "chest" else "images"
    content: dict[str, Any] = {
        "license": "other",
        "license_name": "see-license-file",
        "license_link": "LICENSE",
        "library_name": "ggcam",
        "pipeline_tag": "image-classification",
        "tags": ["ggcam", "class-activation-map", "research-use-only", kind],
    }
    if results := list(_evaluations(facts)):
        content["model-index"] = [{"name": facts.name, "results": results}]
    return "".join(f"{key}: {_yaml(value)}\n" for key, value in content.items())


def _yaml(value: object) -> str:
    """Write a value in YAML's flow style: as JSON, with escapes for characters that YAML refuses or breaks lines at."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in text)


def _evaluations(facts: CardFacts) -> Iterator[dict[str, Any]]:
    """Yield the results on the evaluated split, if there are any."""
    if facts.metrics is None:
        return
    source = "unknown" if facts.data is None else facts.data.source
    found = [
        {
            "type": kind,
            "name": f"{name}{', selected on test' if 'selected_on' in facts.metrics else ''}",
            "value": metric["value"],
            "args": {
                "low": metric.get("low"),
                "high": metric.get("high"),
                "interval": facts.metrics.get("interval", "95 %"),
            },
        }
        for key, (kind, name) in HEADLINES.items()
        if (metric := facts.metrics.get(key)) and metric["value"] is not None
    ]
    if found:
        yield {
            "task": {"type": "image-classification"},
            "dataset": {"name": source, "type": source, "split": facts.metrics["split"]},
            "metrics": found,
        }


def _network(spec: ModelSpec) -> Iterator[str]:
    colours = "grey" if spec.channels == 1 else "colour"
    yield "## Network"
    yield (
        f"Takes {colours} images of {spec.frame} pixels (height x width; any image is brought to that size). Returns "
        f"{'a probability for each label' if spec.multi_label else 'probabilities of the classes, which sum to 1'} "
        "and a class activation map (CAM) for each. No gaze is needed."
    )
    rows = [["backbone", spec.backbone], ["head", spec.head], ["classes", ", ".join(spec.class_names)]]
    yield _table(["", ""], [[each, escape(text)] for each, text in rows])


def _use(spec: ModelSpec) -> Iterator[str]:
    yield "## Use"
    version = versions("ggcam")["ggcam"]
    yield f"Written by ggcam {version}. Nothing in the folder is executed: the weights are safetensors."
    yield (
        "```python\nimport ggcam\n\n"
        'predictor = ggcam.load_predictor("FOLDER")  # this folder\n'
        'result = predictor("image.dcm")\nprint(result.predicted, result.probabilities)\n```'
    )
    if spec.framing == "fitted":
        yield (
            "`model.onnx` runs without ggcam, too: its metadata say how images are brought to its input, and how "
            "logits become probabilities."
        )


def _data(facts: CardFacts) -> Iterator[str]:
    config, data = facts.config, facts.data
    yield "## Training data"
    if data is None:
        yield "The training data could not be read when this card was written."
    else:
        counts = ", ".join(f"{count:,} {split}" for split, count in data.counts.items())
        yield f"Source: {escape(data.source)}. Cases: {counts}. Split: {escape(data.split)}."
    attention = config.view.attention if data is None else data.attention
    rows = [
        ["guidance of the CAM", config.guidance],
        ["attention that guides it", "-" if config.guidance == "none" else attention],
        ["control in place of the attention", config.view.control],
        ["initial weights", config.weights.name if config.weights else "pretrained" if config.pretrained else "random"],
        ["epochs at most", str(config.epochs)],
        ["seed", str(config.seed)],
    ]
    yield _table(["option", "value"], [[each, escape(text)] for each, text in rows])


def _results(facts: CardFacts) -> Iterator[str]:
    yield "## Results"
    metrics = facts.metrics
    if metrics is None:
        yield "This run was not evaluated."
        return
    if "selected_on" in metrics:
        yield f"**{SELECTED_ON_TEST[0].upper()}{SELECTED_ON_TEST[1:]}.**"
    yield (
        f"On the {metrics['split']} split: {metrics['cases']:,} cases of {metrics['patients']:,} patients. "
        f"Interval: {escape(metrics.get('interval', '95 %'))}."
    )
    rows = [[name, *_with_interval(metrics.get(key))] for key, (_, name) in HEADLINES.items() if key in metrics]
    rows += [[f"AUROC, {escape(name)}", *_with_interval(metric)] for name, metric in metrics.get("auroc", {}).items()]
    for name, target in metrics.get("pointing_game", {}).items():
        rows.append([f"CAM peaks on the finding, {escape(name)}", *_with_interval(target["hit_rate"])])
    yield _table(["metric", "value", "95 % interval"], rows)


def _calibration(facts: CardFacts) -> Iterator[str]:
    calibration, names = facts.calibration, facts.spec.class_names
    yield "## Calibration and operating thresholds"
    if not calibration.cases:
        yield "The probabilities are not calibrated, and no thresholds were chosen."
        return
    temperatures = dict(zip(names, calibration.temperature, strict=True))
    shown = temperatures if facts.spec.multi_label else {"all classes": calibration.temperature[0]}
    yield (
        f"Temperatures and thresholds were chosen on {calibration.cases:,} validation cases. Temperature: "
        + ", ".join(f"{escape(name)} {value:.3f}" for name, value in shown.items())
        + "."
    )
    points: Mapping[str, Any] = {} if facts.metrics is None else facts.metrics.get("operating_points", {})
    rows: list[list[str]] = []
    for aim, thresholds in calibration.thresholds.items():
        for name, threshold in thresholds.items():
            point = points.get(aim, {}).get(name, {})
            measured = (" ".join(_with_interval(point.get(key))).strip() for key in ("sensitivity", "specificity"))
            rows.append([escape(name), escape(aim), "-" if threshold is None else f"{threshold:.3f}", *measured])
    if rows:
        yield _table(["class", "chosen for", "threshold", "sensitivity", "specificity"], rows)
        yield "An image counts as positive from the threshold on. Choose thresholds anew for another population."


def _limits(facts: CardFacts) -> Iterator[str]:
    yield "## Limits"
    limits = [
        NOTICE,
        "The network was evaluated on images like its training images. Other devices, views, ages and populations may "
        "give other results.",
        "A CAM shows which cells speak for a class. It does not prove that the finding is there, nor that the answer "
        "rests on it alone.",
        "Classes that were not among the training labels are never predicted.",
    ]
    if facts.marks is None:
        limits.append("Images unlike the training images are not marked.")
    else:
        limits.append(
            "Images unlike the training images are marked as unusual; of the run's own validation images, "
            f"{facts.marks.marked:,} of {facts.marks.cases:,} are. An image without a mark can still be unlike them."
        )
    yield "\n".join(f"- {each}" for each in limits)


def _with_interval(metric: Mapping[str, Any] | None) -> list[str]:
    """Return a value and its interval as two cells."""
    if metric is None or metric.get("value") is None:
        return ["-", ""]
    if metric.get("low") is None or metric.get("high") is None:
        return [f"{metric['value']:.3f}", ""]
    return [f"{metric['value']:.3f}", f"[{metric['low']:.3f}, {metric['high']:.3f}]"]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
