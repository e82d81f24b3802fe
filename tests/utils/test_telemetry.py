"""Nothing leaves the machine: commands run with name look-ups and connections intercepted, native ones included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ggcam.utils import telemetry

HERE = Path(__file__).parent
SWITCHED_OFF_BY_CI = ("CI", "TF_BUILD", "JENKINS_URL")
"""Where one of these variables is set, ONNX Runtime and OpenVINO send nothing anyway."""

LOOK_UPS = """
import ctypes, socket
ctypes.CDLL(None).getaddrinfo(b"native.example", None, None, ctypes.byref(ctypes.c_void_p()))
for call in (
    lambda: socket.getaddrinfo("python.example", 443),
    lambda: socket.create_connection(("192.0.2.1", 443)),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("192.0.2.2", 53)),
    lambda: socket.create_connection(("localhost", 1)),
):
    try:
        call()
    except OSError:
        pass
"""


@dataclass(frozen=True)
class Offline:
    """Runs Python with an empty home folder and without network, and records what it asks of the network."""

    library: Path
    folder: Path

    def run(self, *arguments: str) -> str:
        home = self.folder / "home"
        work = self.folder / "work"
        for folder in (home, work):
            folder.mkdir(exist_ok=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in (*SWITCHED_OFF_BY_CI, *telemetry.SWITCHES) and not name.startswith(("RAY_", "XDG_"))
        }
        environment = {
            **kept,
            "HOME": str(home),
            "LD_PRELOAD": str(self.library),
            "OUTGOING_LOG": str(self.folder / "log"),
            "PYTHONPATH": str(HERE.parents[1] / "src"),
        }
        done = subprocess.run(
            [sys.executable, *arguments], cwd=work, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def outgoing(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text().splitlines() if log.is_file() else []

    def home_files(self) -> list[str]:
        home = self.folder / "home"
        return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("intercepting native look-ups takes Linux and a C compiler")
    library = tmp_path_factory.mktemp("library") / "outgoing.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "outgoing.c", "-ldl"], check=True)
    return library


@pytest.fixture
def offline(library: Path, tmp_path: Path) -> Offline:
    return Offline(library, tmp_path)


def test_the_interception_sees_native_and_python_calls(offline):
    offline.run("-c", LOOK_UPS)
    expected = ["look-up native.example", "look-up python.example", "connect 192.0.2.1", "sendto 192.0.2.2"]
    assert offline.outgoing() == expected


def test_no_command_asks_the_network_for_anything(offline):
    complete = ["--complete"] if os.environ.get("GGCAM_COMPLETE") else []
    out = offline.run(str(HERE / "every_command.py"), *complete)
    assert "POST /predict: 200" in out
    assert offline.outgoing() == []
    font_cache = ".cache/matplotlib/"
    assert [name for name in offline.home_files() if not name.startswith(font_cache)] == []


def test_a_local_ray_cluster_is_reachable_from_this_process_only(offline):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'ggcam[ray]'")
    seen = json.loads(offline.run(str(HERE / "ray_local.py")))
    listening = set(seen.pop("listening"))
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert seen == {
        "private_folder": True,
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "ORT_DISABLE_TELEMETRY": "1",
    }
    assert offline.outgoing() == []
    assert offline.home_files() == []


def test_a_switch_that_the_user_has_set_is_kept(monkeypatch):
    for name in telemetry.SWITCHES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    telemetry.disable_telemetry()
    found = {name: os.environ[name] for name in telemetry.SWITCHES}
    assert found == telemetry.SWITCHES | {"RAY_USAGE_STATS_ENABLED": "1"}


def test_importing_openvino_hides_its_telemetry_only_meanwhile(monkeypatch):
    pytest.importorskip("openvino")
    stand_in = type(sys)("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", stand_in)
    telemetry.import_openvino()
    assert sys.modules["openvino_telemetry"] is stand_in
