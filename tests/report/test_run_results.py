"""What a run folder holds, read for its page; and what is said when it is not whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ggcam.data.prepared import load_prepared
from ggcam.errors import MissingFileError, PreparedFolderError, RunFolderError
from ggcam.report.page import GALLERY_MOST
from ggcam.report.run_results import ShownCases, data_of, read_results
from ggcam.run_folder import RunFolder, open_run_folder

PNG = b"\x89PNG"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> RunFolder:
    """A copy of the trained run, to damage."""
    return open_run_folder(Path(shutil.copytree(trained, tmp_path / "run")))


def test_the_results_tell_what_the_run_is(trained):
    results = read_results(open_run_folder(trained))
    assert results.run_id == "trained"
    assert results.summary["Guidance"] == "ggcam-cc"
    assert results.summary["Network"] == "test_resnet"
    assert results.summary["Frame"] == "64x64"
    assert results.summary["Split"] == "test"
    assert results.training_png is not None
    assert results.training_png.startswith(PNG)
    assert "[train]" in results.config
    assert results.versions["torch"] != "not installed"


def test_the_gallery_shows_every_class_in_turn(trained):
    gallery = read_results(open_run_folder(trained)).gallery
    assert 3 <= len(gallery) <= GALLERY_MOST
    assert [case.true_class for case in gallery[:3]] == ["Normal", "CHF", "pneumonia"]
    assert len({case.name for case in gallery}) == len(gallery)
    for case in gallery:
        assert case.image.startswith(PNG)
        assert case.cam.startswith(PNG)
        assert 1 / 3 <= case.probability <= 1


def test_cases_without_gaze_have_no_picture_of_it(trained, prepared):
    data = load_prepared(prepared)
    for case in read_results(open_run_folder(trained)).gallery:
        assert (case.gaze is not None) == (case.name in data.gaze)


def test_a_case_is_shown_with_its_cam_gaze_and_findings(trained, prepared):
    run, data = open_run_folder(trained), load_prepared(prepared)
    cases = ShownCases(run, data)
    arrays = np.load(run.cams)
    for number, case_id in enumerate(cases.table["case_id"]):
        shown = cases[case_id]
        np.testing.assert_array_equal(shown.cam, arrays["cam"][number].astype(np.float32))
        assert shown.image.shape == (64, 64)
        assert (shown.gaze is not None) == (case_id in data.gaze)
        assert shown.gaze is None or shown.gaze.shape == shown.cam.shape[1:]
        assert all(region.is_finding for region in shown.findings)


def test_a_run_without_its_picture_of_the_training_still_has_a_page(run):
    run.curves.unlink()
    assert read_results(run).training_png is None


@pytest.mark.parametrize("name", ["metrics", "report", "predictions", "cams"])
def test_a_run_that_was_not_evaluated_says_so(run, name):
    getattr(run, name).unlink()
    with pytest.raises(MissingFileError, match=r"(?s)(missing|not been evaluated).*evaluate"):
        read_results(run)


@pytest.mark.parametrize("name", ["metrics", "report", "predictions", "cams"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe\x00 no file of ours"])
def test_a_damaged_file_is_refused(run, name, content):
    getattr(run, name).write_bytes(content)
    with pytest.raises(RunFolderError, match=r"damaged|lacks"):
        read_results(run)


def test_the_data_are_those_of_the_evaluation(run, prepared, tmp_path):
    moved = Path(shutil.copytree(prepared, tmp_path / "moved"))
    run.metrics.write_text(json.dumps(json.loads(run.metrics.read_text()) | {"data": str(moved)}))
    read_results(run)
    shutil.rmtree(moved)
    with pytest.raises(PreparedFolderError, match=r"(?s)not where they were.*moved.*--data"):
        read_results(run)


def test_the_data_are_found_where_the_run_says(trained, prepared):
    assert data_of(open_run_folder(trained)).root == prepared.resolve()
