"""One Orthanc per test process, empty at the start of each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dicomweb.orthanc import Orthanc


@pytest.fixture(scope="session")
def orthanc_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    orthanc = Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield orthanc
    orthanc.kill()


@pytest.fixture
def orthanc(orthanc_process: Orthanc) -> Orthanc:
    orthanc_process.clear()
    return orthanc_process


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"
