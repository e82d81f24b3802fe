"""An Orthanc of a test's own: on loopback, in a temporary folder, and ended by its process."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
from pydicom.dataset import Dataset

from dicomweb.watched_archive import WatchedArchive
from ggcam.dicomweb.credentials import CredentialsFile

PLUGINS = (Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"), Path("/usr/lib/orthanc/libOrthancDicomWeb.so"))
USER, PASSWORD = "ggcam", "pässword:1"


def orthanc_programs() -> tuple[str, str]:
    """Return the program and its DICOMweb plugin; skip the test where one is absent."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    plugin = next((path for path in PLUGINS if path.exists()), None)
    if program is None or plugin is None:
        pytest.skip("Orthanc or its DICOMweb plugin is absent: apt-get install orthanc orthanc-dicomweb")
    return program, str(plugin)


class Orthanc:
    """Starts Orthanc, and stops or kills it."""

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None):
        self._program, plugin = orthanc_programs()
        self._folder = folder
        self.http_port, self.dicom_port = _free_ports(2)
        self.credentials_file = folder / "credentials"
        self.credentials_file.write_text(f"{USER}:{PASSWORD}\n")
        storage = str(folder / "storage")
        configuration = {
            **(settings or {}),
            "StorageDirectory": storage,
            "IndexDirectory": storage,
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "Plugins": [plugin],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (folder / "orthanc.json").write_text(json.dumps(configuration))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def archive(self) -> WatchedArchive:
        return WatchedArchive(self.url, CredentialsFile(self.credentials_file, "user"))

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, str(self._folder / "orthanc.json")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        until = time.monotonic() + 20
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(requests.ConnectionError):
                self.rest("system")
                return
            time.sleep(0.02)
        raise AssertionError(f"Orthanc does not start:\n{(self._folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """End the process at once, as a power failure would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def rest(self, path: str, method: str = "GET", **arguments: Any) -> Any:
        """Ask Orthanc's own interface, not DICOMweb."""
        response = requests.request(
            method,
            f"http://127.0.0.1:{self.http_port}/{path}",
            auth=(USER.encode(), PASSWORD.encode()),
            timeout=30,
            **arguments,
        )
        response.raise_for_status()
        return response.json() if "json" in response.headers.get("Content-Type", "") else response.content

    def upload(self, *files: Path) -> None:
        for file in files:
            self.rest("instances", "POST", data=file.read_bytes())

    def clear(self) -> None:
        for study in self.rest("studies"):
            self.rest(f"studies/{study}", "DELETE")

    def results(self) -> list[Dataset]:
        """Return the objects that ggcam has stored."""
        read = (pydicom.dcmread(BytesIO(self.rest(f"instances/{each}/file"))) for each in self.rest("instances"))
        return [dataset for dataset in read if dataset.get("Manufacturer") == "ggcam"]


def _free_ports(count: int) -> Sequence[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
