"""Images from a real Orthanc, and results back into it; kills of either side in the middle."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import ComputedRadiographyImageStorage, JPEG2000Lossless

from dicom_output.predicted import of_class, source_dataset, write_source
from dicomweb.orthanc import Orthanc
from dicomweb.stand_in_queue import StandInQueue
from ggcam.dicom_output.options import DicomOptions
from ggcam.dicom_output.uids import result_uid
from ggcam.dicomweb import archive as archive_module
from ggcam.dicomweb.archive import Archive
from ggcam.dicomweb.backoff import Backoff
from ggcam.dicomweb.credentials import CredentialsFile
from ggcam.dicomweb.query import ImageQuery
from ggcam.dicomweb.state_file import StateFile, open_state_file
from ggcam.dicomweb.worker import Round, Worker
from ggcam.errors import DicomwebUnavailableError

OPTIONS = DicomOptions(("sr", "sc"))
NAME = "Škvorecký^Jürgen=山田^太郎"


@pytest.fixture(scope="module")
def queue() -> StandInQueue:
    return StandInQueue(OPTIONS)


@pytest.fixture
def states(state: Path) -> Iterator[StateFile]:
    with open_state_file(state, "model") as opened:
        yield opened


def make_worker(archive: Archive, queue: StandInQueue, states: StateFile) -> Worker:
    query = ImageQuery(("CR", "DX"), ("CHEST",))
    return Worker(archive, queue, states, query, queue.options, image_backoff=Backoff(0, 0), random=Random(0))


def uid(number: int) -> str:
    return f"1.3.6.1.4.1.77.1.1.{number}"


def upload(orthanc: Orthanc, folder: Path, *datasets: FileDataset) -> None:
    for number, dataset in enumerate(datasets):
        orthanc.upload(write_source(folder / f"{number}.dcm", dataset))


def plain(number: int, **attributes: Any) -> FileDataset:
    return source_dataset(SOPInstanceUID=uid(number), **attributes)


def compressed(number: int) -> FileDataset:
    dataset = plain(number)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    return dataset


def test_results_of_all_kinds_of_images_join_their_study(orthanc, states, tmp_path, caplog):
    bare = dict.fromkeys(("StudyDate", "StudyTime", "StudyID", "PatientBirthDate", "PatientSex", "AccessionNumber"))
    upload(
        orthanc,
        tmp_path,
        plain(1, SpecificCharacterSet="ISO_IR 192", PatientName=NAME),
        plain(2, StudyInstanceUID="1.3.6.1.4.1.77.2", SeriesInstanceUID="1.3.6.1.4.1.77.2.1", **bare),
        of_class(ComputedRadiographyImageStorage, Modality="CR", SOPInstanceUID=uid(3), SeriesInstanceUID="1.3.6.1.4"),
        compressed(4),
        plain(5, BodyPartExamined="HAND", SeriesInstanceUID="1.3.6.1.4.1.77.1.2"),
    )
    queue = StandInQueue(DicomOptions(("pm", "sr", "sc"), map_bits=16))
    with caplog.at_level(logging.INFO):
        worker = make_worker(orthanc.archive(), queue, states)
        assert worker.run_round() == Round(4, 4, 0, 0)
        assert worker.run_round() == Round(0, 0, 0, 0)
    results = orthanc.results()
    expected = {
        result_uid(uid(number), queue.model, queue.options, kind): kind
        for number in (1, 2, 3, 4)
        for kind in queue.options.kinds
    }
    assert Counter(str(each.SOPInstanceUID) for each in results) == Counter(list(expected))
    studies = Counter(str(each.StudyInstanceUID) for each in results)
    assert studies == {"1.3.6.1.4.1.77.1": 9, "1.3.6.1.4.1.77.2": 3}
    named = [each for each in results if str(each.PatientName) == NAME]
    assert len(named) == 3
    assert Counter(each.SOPClassUID.name for each in results)["Parametric Map Storage"] == 4
    assert "Doe" not in caplog.text
    assert "Škvorecký" not in caplog.text


def test_bad_images_fail_with_a_reason_and_do_not_block_others(orthanc, queue, states, tmp_path, capfd, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the name
        short = plain(4, PixelData=b"1234", PatientName="Doe^" + "Jane" * 30)
    damaged = compressed(3)
    damaged.PixelData = damaged.PixelData[:60] + bytes(len(damaged.PixelData) - 60)
    upload(
        orthanc,
        tmp_path,
        plain(1, NumberOfFrames=2),
        plain(2, PhotometricInterpretation="PALETTE COLOR"),
        damaged,
        short,
        plain(5),
    )
    with caplog.at_level(logging.WARNING):
        assert make_worker(orthanc.archive(), queue, states).run_round() == Round(5, 1, 0, 4)
    reasons = {number: getattr(states.get(uid(number)), "reason", "") for number in range(1, 6)}
    assert reasons[1] == "the DICOM file contains several frames (expected: one frame; got: 2)"
    assert "unsupported photometric interpretation" in reasons[2]
    assert "damaged" in reasons[3]
    assert "pixel" in reasons[4]
    assert reasons[5] == ""
    assert len(orthanc.results()) == 2
    printed = capfd.readouterr()
    assert "Doe" not in "".join((caplog.text, *printed, *reasons.values()))


def test_long_lists_come_in_pages(orthanc, queue, states, tmp_path, monkeypatch: pytest.MonkeyPatch):
    upload(orthanc, tmp_path, *[plain(number) for number in range(1, 6)])
    monkeypatch.setattr(archive_module, "PAGE", 2)
    archive = orthanc.archive()
    pages = list(archive.find_images(ImageQuery(("DX",))))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {image.sop_uid for page in pages for image in page} == {uid(number) for number in range(1, 6)}


def test_days_limit_the_studies(orthanc, queue, tmp_path):
    upload(orthanc, tmp_path, plain(1))
    for days, count in ((1, 0), (36500, 1)):
        assert sum(len(page) for page in orthanc.archive().find_images(ImageQuery(days=days))) == count


def test_a_lost_state_file_stores_nothing_twice(orthanc, queue, tmp_path):
    upload(orthanc, tmp_path, plain(1), plain(2))
    stored: list[str] = []
    archive = orthanc.archive()
    archive.watch = lambda event: stored.append(event) if event == "before store" else None
    for name in ("a", "b"):
        with open_state_file(tmp_path / name, "model") as states:
            assert make_worker(archive, queue, states).run_round().stored == 2
    assert len(stored) == len(orthanc.results()) == 4


def test_wrong_credentials_are_said(orthanc, queue, states, tmp_path):
    path = tmp_path / "user"
    path.write_text("ggcam:wrong")
    archive = Archive(orthanc.url, CredentialsFile(path, "user"))
    with pytest.raises(DicomwebUnavailableError, match="refuses the credentials"):
        make_worker(archive, queue, states).run_round()


def test_images_arrive_by_c_store(orthanc, queue, states, tmp_path):
    if shutil.which("storescu") is None:
        pytest.skip("storescu is absent: apt-get install dcmtk")
    path = write_source(tmp_path / "image.dcm", plain(1))
    subprocess.run(["storescu", "127.0.0.1", str(orthanc.dicom_port), path], check=True)
    assert make_worker(orthanc.archive(), queue, states).run_round() == Round(1, 1, 0, 0)


REQUESTS = ["find", "stored", "fetch", "store", "store", "stored"]
"""Requests for one image and its two results."""


def test_a_worker_killed_after_any_request_loses_nothing_and_stores_nothing_twice(orthanc, queue, tmp_path):
    image = tmp_path / "image.dcm"
    write_source(image, plain(1))
    queue.submit(image.read_bytes(), OPTIONS.kinds)  # the child processes must not start decoders
    for moment in range(1, len(REQUESTS) + 1):
        orthanc.clear()
        orthanc.upload(image)
        state = tmp_path / f"{moment}.sqlite"
        assert _round_in_a_child(orthanc, queue, state, kill_at=moment) == -signal.SIGKILL
        sent = tmp_path / f"{moment}.sent"
        before = {str(each.SOPInstanceUID) for each in orthanc.results()}
        assert _round_in_a_child(orthanc, queue, state, sent=sent) == 0
        assert Counter(str(each.SOPInstanceUID) for each in orthanc.results()) == {
            result_uid(uid(1), queue.model, OPTIONS, kind): 1 for kind in OPTIONS.kinds
        }
        assert len(sent.read_text().split()) == 2 - len(before)
        with open_state_file(state, "model") as states:
            assert states.counts() == {"stored": 1}


def _round_in_a_child(
    orthanc: Orthanc, queue: StandInQueue, state: Path, kill_at: int | None = None, sent: Path | None = None
) -> int:
    """Run a round in a process of its own, which kills itself after a request; return its exit code."""
    child = os.fork()
    if child == 0:
        count = 0

        def watch(event: str) -> None:
            nonlocal count
            count += event.startswith("after")
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if sent is not None and event == "before store":
                with sent.open("a") as file:
                    file.write("store\n")

        try:
            if sent is not None:
                sent.touch()
            archive = orthanc.archive()
            archive.watch = watch
            with open_state_file(state, "model") as states:
                make_worker(archive, queue, states).run_round()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("event", ["before store", "after store"])
def test_a_server_killed_in_the_middle_gets_each_result_once(orthanc, queue, states, tmp_path, event):
    upload(orthanc, tmp_path, plain(1), plain(2))
    archive, events = orthanc.archive(), []

    def watch(name: str) -> None:
        events.append(name)
        if events.count(event) == 2 and name == event:
            orthanc.kill()

    archive.watch = watch
    worker = make_worker(archive, queue, states)
    try:
        with pytest.raises(DicomwebUnavailableError):
            worker.run_round()
    finally:
        orthanc.start()
    assert worker.run_round().failed == 0
    assert states.counts() == {"stored": 2}
    assert Counter(str(each.SOPInstanceUID) for each in orthanc.results()) == {
        result_uid(uid(number), queue.model, OPTIONS, kind): 1 for number in (1, 2) for kind in OPTIONS.kinds
    }
