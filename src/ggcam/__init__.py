"""Gaze-guided class activation mapping: classifiers that look where radiologists looked. For research use.

The names below are what other programs may rely on. Each is imported when it is first asked for, so that
`import ggcam` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ggcam.data.dataset import PreparedDataset
    from ggcam.data.prepared import load_prepared
    from ggcam.errors import GGCamError
    from ggcam.gaze.fixations import Fixations
    from ggcam.gaze.batch import GazeBatch
    from ggcam.gaze.maps import attention_map, attention_maps
    from ggcam.guidance import GUIDANCES, Guidance, create_guidance
    from ggcam.models.backbones import create_backbone
    from ggcam.models.cam import CAMClassifier, CAMHead, CAMOutput
    from ggcam.run_folder import open_run_folder
    from ggcam.training.model_spec import load_model

    __version__: str

__all__ = [
    "GUIDANCES",
    "CAMClassifier",
    "CAMHead",
    "CAMOutput",
    "Fixations",
    "GGCamError",
    "GazeBatch",
    "Guidance",
    "PreparedDataset",
    "__version__",
    "attention_map",
    "attention_maps",
    "create_backbone",
    "create_guidance",
    "load_model",
    "load_prepared",
    "open_run_folder",
]

_HOMES = {
    "GUIDANCES": "guidance",
    "CAMClassifier": "models.cam",
    "CAMHead": "models.cam",
    "CAMOutput": "models.cam",
    "Fixations": "gaze.fixations",
    "GGCamError": "errors",
    "GazeBatch": "gaze.batch",
    "Guidance": "guidance",
    "PreparedDataset": "data.dataset",
    "attention_map": "gaze.maps",
    "attention_maps": "gaze.maps",
    "create_backbone": "models.backbones",
    "create_guidance": "guidance",
    "load_model": "training.model_spec",
    "load_prepared": "data.prepared",
    "open_run_folder": "run_folder",
}
"""Public name -> the module that it lives in."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, and keep it."""
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("ggcam")
    elif name in _HOMES:
        found = getattr(import_module(f"ggcam.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'ggcam' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
