"""The content of a page, read from a run folder; and error messages if the folder is incomplete."""

from __future__ import annotations

import errno
import getpass
import json
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ggcam.data.prepared import load_prepared
from ggcam.errors import MissingFileError, RunFolderError
from ggcam.evaluation.evaluate import evaluate
from ggcam.evaluation.run_results import read_results
from ggcam.report.cases import CaseReader
from ggcam.report.gallery import MAX_CASES
from ggcam.report.run_files import read_cams, read_predictions
from ggcam.report.run_page import render_run_report
from ggcam.run_folder import RunFolder, open_run_folder
from ggcam.training.config import TrainConfig
from ggcam.training.run import open_run
from ggcam.training.train import train
from report.page_fixtures import Page


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> RunFolder:
    """A copy of the trained run, to damage."""
    return open_run_folder(Path(shutil.copytree(trained, tmp_path / "run")))


def test_the_results_tell_what_the_run_is(trained):
    results = read_results(open_run(trained))
    assert results.run_id == "trained"
    assert results.summary["Guidance"] == "ggcam-cc"
    assert results.summary["Network"] == "test_resnet"
    assert results.summary["Frame"] == "64x64"
    assert results.summary["Split"] == "test"
    assert [chart.title for chart in results.charts.training] == ["Losses", "Validation", "Learning rate"]
    assert [chart.title for chart in results.charts.roc] == ["Normal", "CHF", "pneumonia"]
    assert results.training_facts["id"] == "trained"
    assert "[train]" in results.config
    assert results.versions["torch"] != "not installed"
    assert results.missing == ""


def test_the_gallery_shows_cases_of_every_class_the_worst_first(trained):
    results = read_results(open_run(trained))
    gallery = results.gallery
    assert 3 <= len(gallery) <= MAX_CASES
    assert len(gallery) == results.evaluated_cases  # there are fewer than could be shown
    assert {case.truth for case in gallery} == {("Normal",), ("CHF",), ("pneumonia",)}
    assert len({case.name for case in gallery}) == len(gallery)
    assert [case.truth_probability for case in gallery] == sorted(case.truth_probability for case in gallery)
    for case in gallery:
        assert 1 / 3 <= case.probability <= 1
        assert case.correct == (case.truth == (case.predicted,))
        assert [each.truth for each in case.classes].count("true") == 1
        assert case.classes[case.shown].truth == "true"


def test_cases_without_gaze_have_no_picture_of_it(trained, prepared):
    data = load_prepared(prepared)
    for case in read_results(open_run(trained)).gallery:
        has = case.name in data.gaze
        assert (case.gaze is not None) == has
        assert bool(case.scanpaths) == has
        assert case.fixations == (len(data.gaze[case.name]) if has else 0)
        assert case.agreement is not None if has else case.agreement is None


def test_the_data_card_counts_what_is_there(trained, prepared):
    data, card = load_prepared(prepared), read_results(open_run(trained)).data_card
    assert card is not None
    assert card.facts["Source"] == "egd_cxr"
    assert card.facts["Cases with gaze"].startswith(f"{data.cases['has_gaze'].sum()} of 60")
    assert card.facts["Readings"] == f"{data.cases['has_gaze'].sum()}"
    assert card.dropped == data.meta["dropped"]
    assert sum(int(row[-3]) for row in card.rows[:-1]) == int(card.rows[-1][-3]) == 60


def test_a_case_is_shown_with_its_cam_gaze_and_findings(trained, prepared):
    run, data = open_run_folder(trained), load_prepared(prepared)
    cases = CaseReader(data, read_cams(run))
    arrays = np.load(run.cams)
    for number, case_id in enumerate(read_predictions(run)["case_id"]):
        shown = cases[case_id]
        np.testing.assert_array_equal(shown.cam, arrays["cam"][number].astype(np.float32))
        assert shown.image.shape == (64, 64)
        assert (shown.gaze is not None) == (shown.fine_gaze is not None) == (case_id in data.gaze)
        assert shown.gaze is None or shown.gaze.shape == shown.cam.shape[1:]
        assert shown.fine_gaze is None or shown.fine_gaze.shape == (64, 64)
        assert all(region.is_finding for region in shown.findings)
        assert not any(region.is_finding for region in shown.markers)


def test_a_run_without_its_history_still_has_a_page(run):
    run.history.unlink()
    assert read_results(open_run(run.root)).charts.training == ()
    run.history.write_text("")
    assert read_results(open_run(run.root)).charts.training == ()


@pytest.mark.parametrize("name", ["metrics", "classification_report", "predictions", "cams"])
def test_a_run_that_was_not_evaluated_says_so(run, name):
    getattr(run, name).unlink()
    with pytest.raises(MissingFileError, match=r"(?s)(missing|does not exist).*evaluate"):
        read_results(open_run(run.root))


@pytest.mark.parametrize("name", ["metrics", "classification_report", "predictions", "cams"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe\x00 no file of ours"])
def test_a_damaged_file_is_refused(run, name, content):
    getattr(run, name).write_bytes(content)
    with pytest.raises(RunFolderError, match=r"damaged|lacks"):
        read_results(open_run(run.root))


def test_the_data_are_those_of_the_evaluation(run, prepared, tmp_path):
    moved = Path(shutil.copytree(prepared, tmp_path / "moved"))
    run.metrics.write_text(json.dumps(json.loads(run.metrics.read_text()) | {"data": str(moved)}))
    assert read_results(open_run(run.root)).gallery
    shutil.rmtree(moved)
    results = read_results(open_run(run.root))
    assert results.gallery == ()
    assert results.data_card is None
    assert results.evaluated_cases > 0
    page = Page(render_run_report(results))
    assert "No case gallery and no data card: the data of the run do not exist" in page.words
    assert "where: moved" in page.words
    assert "Confusion matrix" in page.words


def test_other_data_in_the_place_of_the_run_s_are_not_shown(run, prepared, tmp_path):
    import pandas as pd

    changed = Path(shutil.copytree(prepared, tmp_path / "changed"))
    table = pd.read_parquet(changed / "cases.parquet")
    gone = set(pd.read_parquet(run.predictions)["case_id"].iloc[:2])
    table[~table["case_id"].isin(gone)].to_parquet(changed / "cases.parquet")
    for name in ("fixations", "regions"):
        rows = pd.read_parquet(changed / f"{name}.parquet")
        rows[~rows["case_id"].isin(gone)].to_parquet(changed / f"{name}.parquet")
    run.metrics.write_text(json.dumps(json.loads(run.metrics.read_text()) | {"data": str(changed)}))
    results = read_results(open_run(run.root))
    assert results.gallery == ()
    assert "2 evaluated cases are not among them" in results.missing


def test_the_data_are_found_where_the_run_says(trained, prepared):
    assert open_run(trained).data().root == prepared.resolve()


def edit_json(path: Path, change: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("metrics", lambda c: c.pop("macro_auroc"), "the key macro_auroc is missing"),
        ("metrics", lambda c: c["accuracy"].update(value="high"), r"key accuracy.value\n(.|\n)*a finite number"),
        ("metrics", lambda c: c.update(split="dev"), "key split(.|\n)*one of 'train'"),
        ("metrics", lambda c: c["overlap"].update(CHF=[]), r"key overlap.CHF\n"),
        ("metrics", lambda c: c["pointing_game"]["CHF"].pop("chance"), "the key pointing_game.CHF.chance is missing"),
        ("classification_report", lambda c: c.update(ours=None), r"key ours\n"),
        ("classification_report", lambda c: c["ours"]["confusion_matrix"].pop(), "confusion matrix(.|\n)*3 rows of 3"),
        ("classification_report", lambda c: c["ours"]["classes"].pop("CHF"), "confusion matrix(.|\n)*2 rows of 2"),
    ],
)
def test_json_of_another_form_is_refused_with_the_key(run, name, change, message):
    edit_json(getattr(run, name), change)
    with pytest.raises(RunFolderError, match=message) as caught:
        read_results(open_run(run.root))
    assert f"where: {getattr(run, name)}" in str(caught.value)
    assert "hint: evaluate the run again: ggcam evaluate" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="patient_id"), "columns are missing(.|\n)*no patient_id"),
        (lambda t: t.assign(label=3), "a label is out of range(.|\n)*0 to 2"),
        (lambda t: t.assign(label=-1), "a label is out of range"),
        (lambda t: t.assign(probability_CHF=1.5), "a probability is out of range"),
        (lambda t: t.assign(probability_CHF=np.nan), "probability"),
        (lambda t: t.assign(case_id="x"), "a case is repeated"),
        (lambda t: t.assign(case_id=range(len(t))), "cases"),
        (lambda t: t.head(0), "there are no predictions"),
        (lambda t: t.rename(columns={"probability_CHF": "probability_x"}), "other classes than"),
        (lambda t: t.head(3), "has other cases than"),
    ],
)
def test_predictions_of_another_form_are_refused(run, change, message):
    table = pq.read_table(run.predictions)
    changed = pa.Table.from_pandas(change(table.to_pandas()), preserve_index=False)
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), run.predictions)
    with pytest.raises(RunFolderError, match=message):
        read_results(open_run(run.root))


def test_files_of_two_evaluations_are_never_shown_together(run, trained):
    evaluate(run.root, split="valid").save()
    assert read_results(open_run(run.root)).metrics["split"] == "valid"
    original = open_run_folder(trained)
    for name in ("metrics", "predictions", "case_metrics", "cams"):
        path = getattr(run, name)
        kept = path.read_bytes()
        path.write_bytes(getattr(original, name).read_bytes())  # as a kill between two files leaves them
        with pytest.raises(RunFolderError, match=r"different evaluations(.|\n)*evaluate the run again"):
            read_results(open_run(run.root))
        path.write_bytes(kept)
    assert read_results(open_run(run.root)).metrics["split"] == "valid"


def test_an_evaluation_that_cannot_be_written_leaves_the_earlier_one(run, monkeypatch: pytest.MonkeyPatch):
    def full(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
    evaluation = evaluate(run.root, split="valid")
    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left") as caught:
        evaluation.save()
    assert caught.value.filename
    assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before


def test_a_run_folder_tells_nothing_about_the_machine(prepared, tmp_path):
    config = TrainConfig(backbone="test_resnet", output_stride=8, epochs=1, batch_size=8)
    root = evaluate(train(load_prepared(prepared), config, prepared.with_name("private"), "run")).save().root
    words = {str(prepared.parent), str(Path.cwd()), getpass.getuser() + "/", f".{platform.node()}."}
    for path in root.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not any(word in path.name or word.encode() in content for word in words), path
    assert open_run(root).data().root == prepared
    assert read_results(open_run(root)).gallery
    moved = Path(shutil.move(root, tmp_path))
    page = Page(render_run_report(read_results(open_run(moved))))
    assert "No case gallery and no data card: the data of the run do not exist" in page.words
    assert str(tmp_path) not in page.words
    assert read_results(open_run(moved), prepared).gallery
