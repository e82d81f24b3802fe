"""`ggcam serve --dicomweb`: one round for cron, and a service that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from highdicom.sr import Comprehensive3DSR

from commands.calling import call, refusal
from dicom_output.predicted import source_dataset, write_source
from dicomweb.orthanc import Orthanc
from ggcam.inference.predictor import load_predictor
from ggcam.utils import locks

QUICK = ("--dicom-map-bits", "16", "--engine", "torch", "--device", "cpu")


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    started = Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield started
    started.kill()


@pytest.fixture
def other_logs_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command silences the loggers of its process, which here is that of all tests."""
    monkeypatch.setattr("ggcam.server.run.log_without_content", lambda: None)


def image(path: Path, number: int) -> Path:
    return write_source(path, source_dataset(SOPInstanceUID=f"1.3.6.1.4.1.77.1.1.{number}"))


def probabilities(report: Comprehensive3DSR) -> dict[str, float]:
    groups = report.content.get_planar_roi_measurement_groups()
    return {group.tracking_identifier: group.get_measurements()[0].value for group in groups}


@pytest.mark.usefixtures("other_logs_kept")
def test_one_round_stores_what_predict_computes(trained, orthanc, tmp_path, capsys):
    path = image(tmp_path / "image.dcm", 1)
    orthanc.upload(path)
    command = ("serve", trained, "--once", "--dicomweb", orthanc.url, "--state", tmp_path / "state", *QUICK)
    command = (*command, "--dicomweb-user-file", orthanc.credentials_file)
    called = call(capsys, *command)
    assert called.code == 0, called
    assert "1 new images; results of 1 images stored; 0 images to be tried again, 0 failed" in called.out
    results = {dataset.Modality + dataset.SOPClassUID.name[:3]: dataset for dataset in orthanc.results()}
    assert sorted(results) == ["OTPar", "OTSec", "SRCom"]
    assert {str(each.StudyInstanceUID) for each in results.values()} == {"1.3.6.1.4.1.77.1"}
    expected = load_predictor(trained, engine="torch", device="cpu")(path)
    found = probabilities(Comprehensive3DSR.from_dataset(results["SRCom"]))
    assert found == pytest.approx(dict(expected.probabilities), abs=1e-6)
    assert "0 new images; results of 0" in call(capsys, *command).out
    orthanc.upload(write_source(tmp_path / "bad.dcm", source_dataset(SOPInstanceUID="1.2.9", NumberOfFrames=3)))
    called = call(capsys, *command)
    assert called.code == 1
    assert "1 failed" in called.out


@pytest.mark.usefixtures("other_logs_kept")
def test_after_a_service_was_killed_the_rest_is_stored(trained, orthanc, tmp_path, capsys):
    orthanc.clear()
    for number in range(1, 4):
        orthanc.upload(image(tmp_path / f"{number}.dcm", number))
    command = ["serve", str(trained), "--port", "0", "--poll", "1", *QUICK, "--dicomweb", orthanc.url]
    command += ["--dicomweb-user-file", str(orthanc.credentials_file), "--state", str(tmp_path / "state")]
    log = tmp_path / "log"
    with log.open("wb") as file:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        service = subprocess.Popen([sys.executable, "-m", "ggcam", *command], stdout=file, stderr=file, env=environment)
    try:
        until = time.monotonic() + 100
        while not orthanc.results():
            assert time.monotonic() < until, log.read_text()
            assert service.poll() is None, log.read_text()
            time.sleep(0.02)
    finally:
        service.kill()
        service.wait()
    assert call(capsys, *command, "--once").code == 0
    found = Counter(str(dataset.SOPInstanceUID) for dataset in orthanc.results())
    assert len(found) == 9
    assert set(found.values()) == {1}
    assert "Doe" not in log.read_text()


@pytest.mark.usefixtures("other_logs_kept")
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--once"], "pass --dicomweb URL"),
        (["--dicomweb", "pacs.example"], "not the URL of a DICOMweb server"),
        (["--dicomweb", "http://127.0.0.1:1", "--modality", "SR"], "would be predicted again"),
        (["--dicomweb", "http://127.0.0.1:1", "--poll", "0"], "at least 1 second"),
        (["--dicomweb", "http://127.0.0.1:1", "--once"], "cannot be reached"),
        (["--dicom-kinds", "xx"], "unknown kind"),
        (["--dicomweb", "http://127.0.0.1:1", "--dicomweb-user-file", "absent"], "cannot be read"),
    ],
)
def test_mistakes_are_said_in_words(trained, tmp_path, capsys, monkeypatch, options, word):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(locks, "LOCK_TIMEOUT_S", 0.1)
    assert word in refusal(capsys, "serve", trained, "--engine", "torch", "--device", "cpu", *options)
