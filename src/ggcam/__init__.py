"""Gaze-guided class activation mapping: classifiers that look where radiologists looked. For research use.

The names below are what other programs may rely on. Each is imported when it is first asked for, so that
`import ggcam` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ggcam.utils.telemetry import disable_telemetry

if TYPE_CHECKING:
    from ggcam.data.batches import Batch, Sample, collate
    from ggcam.data.case import Case, Region, Source
    from ggcam.data.dataset import PreparedDataset
    from ggcam.data.prepare.config import PrepareConfig
    from ggcam.data.prepare.pipeline import prepare
    from ggcam.data.prepared import PreparedData, load_prepared
    from ggcam.errors import GGCamError
    from ggcam.evaluation.evaluate import Evaluation, evaluate
    from ggcam.gaze.batch import GazeBatch
    from ggcam.gaze.fixations import Fixations
    from ggcam.gaze.maps import attention_map, attention_maps
    from ggcam.guidance import GUIDANCES, Guidance, cam_gaze_loss, create_guidance
    from ggcam.inference.predictor import Predictor, load_predictor
    from ggcam.inference.result import PredictionResult
    from ggcam.inference.verification import Verification
    from ggcam.inference.verify import verify
    from ggcam.models.backbones import create_backbone
    from ggcam.models.cam import CAMClassifier, CAMHead, CAMOutput
    from ggcam.report import plots
    from ggcam.simulation.config import SimulationConfig
    from ggcam.simulation.simulator import SimulationSummary, simulate
    from ggcam.study.demo import DemoResult, run_demo
    from ggcam.study.plan import StudyPlan, plan_study
    from ggcam.study.study import StudyResult, open_study, run_study
    from ggcam.training.config import TrainConfig
    from ggcam.training.run import Run, open_run
    from ggcam.training.train import train

    __version__: str

disable_telemetry()

__all__ = [
    "GUIDANCES",
    "Batch",
    "CAMClassifier",
    "CAMHead",
    "CAMOutput",
    "Case",
    "DemoResult",
    "Evaluation",
    "Fixations",
    "GGCamError",
    "GazeBatch",
    "Guidance",
    "PredictionResult",
    "Predictor",
    "PrepareConfig",
    "PreparedData",
    "PreparedDataset",
    "Region",
    "Run",
    "Sample",
    "SimulationConfig",
    "SimulationSummary",
    "Source",
    "StudyPlan",
    "StudyResult",
    "TrainConfig",
    "Verification",
    "__version__",
    "attention_map",
    "attention_maps",
    "cam_gaze_loss",
    "collate",
    "create_backbone",
    "create_guidance",
    "evaluate",
    "load_predictor",
    "load_prepared",
    "open_run",
    "open_study",
    "plan_study",
    "plots",
    "prepare",
    "run_demo",
    "run_study",
    "simulate",
    "train",
    "verify",
]

_HOMES = {
    "GUIDANCES": "guidance",
    "Batch": "data.batches",
    "CAMClassifier": "models.cam",
    "CAMHead": "models.cam",
    "CAMOutput": "models.cam",
    "Case": "data.case",
    "DemoResult": "study.demo",
    "Evaluation": "evaluation.evaluate",
    "Fixations": "gaze.fixations",
    "GGCamError": "errors",
    "GazeBatch": "gaze.batch",
    "Guidance": "guidance",
    "PredictionResult": "inference.result",
    "Predictor": "inference.predictor",
    "PrepareConfig": "data.prepare.config",
    "PreparedData": "data.prepared",
    "PreparedDataset": "data.dataset",
    "Region": "data.case",
    "Run": "training.run",
    "Sample": "data.batches",
    "SimulationConfig": "simulation.config",
    "SimulationSummary": "simulation.simulator",
    "Source": "data.case",
    "StudyPlan": "study.plan",
    "StudyResult": "study.study",
    "TrainConfig": "training.config",
    "Verification": "inference.verification",
    "attention_map": "gaze.maps",
    "attention_maps": "gaze.maps",
    "cam_gaze_loss": "guidance",
    "collate": "data.batches",
    "create_backbone": "models.backbones",
    "create_guidance": "guidance",
    "evaluate": "evaluation.evaluate",
    "load_predictor": "inference.predictor",
    "load_prepared": "data.prepared",
    "open_run": "training.run",
    "open_study": "study.study",
    "plan_study": "study.plan",
    "prepare": "data.prepare.pipeline",
    "run_demo": "study.demo",
    "run_study": "study.study",
    "simulate": "simulation.simulator",
    "train": "training.train",
    "verify": "inference.verify",
}
"""Public name -> the module that it lives in."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, and keep it."""
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("ggcam")
    elif name == "plots":
        found = import_module("ggcam.report.plots")
    elif name in _HOMES:
        found = getattr(import_module(f"ggcam.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'ggcam' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
