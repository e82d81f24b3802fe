"""A run's results on one page: a single HTML file that needs nothing beside it, and no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ggcam.report.render import render

GALLERY_MOST = 12
"""Gallery cases shown, at most."""

ANATOMY_NAMES: Mapping[str, str] = {
    "heart_interp_1": "CHF: in the heart",
    "lung_interp_1": "Pneumonia: in the lungs",
}
"""The original GG-CAM's name for an anatomy figure -> what it says."""


@dataclass(frozen=True)
class GalleryCase:
    """One test case in pictures, PNG files' contents.

    Attributes:
        name: such as the case's id.
        true_class: name of the true class.
        predicted_class: name of the most probable class.
        probability: of the predicted class, 0 to 1.
        image: the X-ray.
        cam: the X-ray with the CAM of the true class over it.
        gaze: the X-ray with the reader's gaze over it; None without gaze.
        cam_class: where a case may have several labels, whose CAM it is; None otherwise. Then `true_class` names all
            labels that the case has.
    """

    name: str
    true_class: str
    predicted_class: str
    probability: float
    image: bytes
    cam: bytes
    gaze: bytes | None = None
    cam_class: str | None = None

    @property
    def outcome(self) -> str:
        """What the prediction and the CAM come to."""
        if self.cam_class is not None:
            return f"CAM of {self.cam_class}"
        return "right" if self.true_class == self.predicted_class else "wrong"


@dataclass(frozen=True)
class RunResults:
    """What a run folder says about a run.

    Attributes:
        run_id: the run's name.
        metrics: content of metrics.json. "macro_auroc", which makes the headline, "accuracy", and each class's under
            "auroc" are {"value", "low", "high"}; "interval" says of what kind the interval is. Each entry of
            "anatomy" and, by class, of "pointing_game" has such a "hit_rate", and beside it "chance", "distance_px"
            and "cases". None is undefined, and every part may be absent.
        report: content of classification_report.json.
        summary: short facts for the top of the page, such as {"Guidance": "ggcam-cc", "Test cases": "220"}.
        training_png: content of training_process.png, None where there is none.
        gallery: cases to show; the first twelve are.
        config: text of config.toml.
        versions: package -> version.
    """

    run_id: str
    metrics: Mapping[str, Any]
    report: Mapping[str, Any]
    summary: Mapping[str, str] = field(default_factory=dict)
    training_png: bytes | None = None
    gallery: tuple[GalleryCase, ...] = ()
    config: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def write_run_report(results: RunResults, out_html: Path) -> None:
    """Write the page of a run; everything is inside it, the pictures as data URIs. Its folder is made if need be."""
    out_html.parent.mkdir(parents=True, exist_ok=True)
    out_html.write_text(render_run_report(results), encoding="utf-8")


def render_run_report(results: RunResults) -> str:
    """The page of a run as text. Names and values are escaped: nothing in them can become markup."""
    metrics, ours = results.metrics, results.report["ours"]
    targets = {ANATOMY_NAMES.get(name, name): found for name, found in metrics.get("anatomy", {}).items()}
    targets |= {f"{name}: on the finding": found for name, found in metrics.get("pointing_game", {}).items()}
    return render(
        "run.html.j2",
        run=results,
        macro_auroc=metrics.get("macro_auroc"),
        accuracy=metrics.get("accuracy"),
        auroc={
            name: metrics.get("auroc", {}).get(name, {"value": row["auroc"]}) for name, row in ours["classes"].items()
        },
        kind_of_interval=metrics.get("interval"),
        targets=targets,
        ours=ours,
        several="confusion_matrix" not in ours,
        gallery=results.gallery[:GALLERY_MOST],
    )
