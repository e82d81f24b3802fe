"""Switch off the usage statistics that dependencies send by default.

ONNX Runtime (1.29 and later) and OpenVINO send events to their vendors and keep a device id in the home folder; Ray
reports its usage; Hugging Face's client describes the installation in its requests.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Environment variable -> value that switches telemetry off. Child processes inherit them."""


def disable_telemetry() -> None:
    """Set :data:`SWITCHES`. A variable that the user has set is left as it is.

    `import ggcam` calls this: the libraries read the variables when they are imported.
    """
    for name, value in SWITCHES.items():
        os.environ.setdefault(name, value)


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime without telemetry.

    Returns:
        The module.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # builds with the telemetry of Windows do not read the variable
    return onnxruntime


def import_openvino() -> ModuleType:
    """Import OpenVINO without telemetry.

    OpenVINO reports its import unless the file `intel/openvino_telemetry` in the home folder forbids it. It uses a stub
    where the package `openvino_telemetry` is not installed; this function makes it look so.

    Returns:
        The module.
    """
    name = "openvino_telemetry"
    imported = sys.modules.get(name)
    sys.modules[name] = None  # pyright: ignore[reportArgumentType]  (documented: the import fails)
    try:
        import openvino
    finally:
        del sys.modules[name]
        if imported is not None:
            sys.modules[name] = imported
    return openvino
