"""Several labels per case, from a raw folder to predictions of new images; and REFLACX's layout up to training."""

from __future__ import annotations

import json
import re
import shutil
from ast import literal_eval
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

from commands.calling import call, refusal
from data.sources.reflacx_fixture import Reflacx
from ggcam.data.dataset import PreparedDataset
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.sources import reflacx
from ggcam.errors import ConfigError, RunFolderError
from ggcam.evaluation.cam_metrics import Blur
from ggcam.evaluation.evaluate import evaluate
from ggcam.evaluation.run_metrics import gaze_of_label, measure
from ggcam.gaze.maps import attention_map
from ggcam.run_folder import RunFolder
from ggcam.study.folder import open_study_folder
from ggcam.study.metrics import read_metrics
from ggcam.training.config import TrainConfig
from ggcam.training.run import open_run
from ggcam.training.train import train
from multilabel_fixture import CLASSES, prepare_multilabel, write_multilabel

TINY = TrainConfig(backbone="test_resnet", output_stride=8, epochs=2, batch_size=8, accelerator="cpu", precision="32")


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    return write_multilabel(tmp_path_factory.mktemp("several") / "raw")


@pytest.fixture(scope="module")
def data(raw) -> PreparedData:
    return prepare_multilabel(raw)


@pytest.fixture(scope="module")
def run(data) -> RunFolder:
    """Trained for two epochs and evaluated."""
    made = train(data, TINY, data.root.with_name("runs"), "several")
    return evaluate(made).save()


@pytest.fixture(scope="module")
def predictions(run) -> pd.DataFrame:
    return pd.read_parquet(run.predictions)


@pytest.fixture(scope="module")
def metrics(run) -> dict:
    return json.loads(run.metrics.read_text())


def truth_and_probabilities(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return tuple(
        predictions[[f"{what}_{name}" for name in CLASSES]].to_numpy(float) for what in ("label", "probability")
    )


def test_a_batch_holds_each_cases_labels_and_the_class_of_each_fixation(data):
    dataset = PreparedDataset(data, "train")
    rows = list(range(len(dataset)))
    batch = dataset.batch(rows)
    assert batch.label.dtype == torch.float32
    np.testing.assert_array_equal(batch.label, data.label_matrix[(data.cases["split"] == "train").to_numpy()])
    assert batch.label.isnan().any()
    for row, case_id in enumerate(dataset.cases["case_id"]):
        words = data.fixations.loc[data.fixations["case_id"] == case_id, "label"]
        expected = [CLASSES.index(word) if word in CLASSES else -1 for word in words]
        assert batch.point_label[row].tolist() == expected + [-1] * (batch.point_label.shape[1] - len(expected))
    assert set(batch.point_label.flatten().tolist()) == {-1, 0, 1, 2}


def test_training_leaves_a_history_without_gaps_and_guides(run):
    history = pd.read_csv(run.history)
    assert np.isfinite(history.to_numpy()).all()
    assert (history[["train_guidance", "valid_guidance"]] > 0).all(axis=None)
    assert json.loads((run.root / "params_NetLearn_.txt").read_text())["label_gaze"] == "auto"
    assert open_run(run.root).spec.multi_label


def test_predictions_hold_every_label_and_sigmoids(run, predictions, data):
    assert list(predictions)[:9] == [
        "case_id", "patient_id", "split", "label_left", "label_right", "label_low", "predicted", "cam_peak_row",
        "cam_peak_column",
    ]  # fmt: skip
    schema = pq.read_schema(run.predictions)
    assert [str(schema.field(f"label_{name}").type) for name in CLASSES] == ["int8"] * 3
    labels, probabilities = truth_and_probabilities(predictions)
    np.testing.assert_array_equal(labels, data.label_matrix[(data.cases["split"] == "test").to_numpy()])
    assert np.isnan(labels).any()
    scaled = predictions.filter(like="logit_").to_numpy(float) / np.array(open_run(run.root).calibration.temperature)
    np.testing.assert_allclose(probabilities, expit(scaled), atol=1e-6)
    assert predictions["predicted"].tolist() == probabilities.argmax(axis=1).tolist()
    cams = np.load(run.cams)["cam"][np.arange(len(predictions)), predictions["predicted"]]
    peaks = cams[np.arange(len(cams)), predictions["cam_peak_row"], predictions["cam_peak_column"]]
    np.testing.assert_array_equal(peaks, cams.max(axis=(1, 2)))


def test_areas_equal_those_of_scikit_learn_on_known_labels(metrics, predictions):
    labels, probabilities = truth_and_probabilities(predictions)
    assert set(metrics["auroc"]) == set(metrics["auroc_delong"]) == set(CLASSES)
    for k, name in enumerate(CLASSES):
        on = ~np.isnan(labels[:, k])
        truth, scores = labels[on, k], probabilities[on, k]
        assert metrics["auroc"][name]["value"] == pytest.approx(roc_auc_score(truth, scores))
        assert metrics["auroc_delong"][name]["value"] == pytest.approx(roc_auc_score(truth, scores))
        assert metrics["auprc"][name]["value"] == pytest.approx(average_precision_score(truth, scores))
        assert metrics["known"][name] == on.sum()
        for metric in (metrics["auroc"][name], metrics["auprc"][name]):
            assert metric["low"] <= metric["value"] <= metric["high"]
    values = [metrics["auroc"][name]["value"] for name in CLASSES]
    assert metrics["macro_auroc"]["value"] == pytest.approx(np.mean(values))
    assert not {"mcc", "macro_f1", "macro_auroc_ovo"} & set(metrics)


def test_the_gaze_of_a_label_is_its_own_or_else_the_whole(data):
    case_id = next(row.case_id for row in data.fixations.itertuples() if row.label == "left")
    readings = data.readings[case_id]
    own = gaze_of_label(readings, "left")
    assert {word for reading in own for word in reading.label} == {"left"}
    assert gaze_of_label(readings, "no such label") == readings


def test_agreement_is_measured_label_by_label_and_equals_a_loop(data):
    cases = data.cases[data.cases["split"] == "test"].reset_index(drop=True)
    random = np.random.default_rng(0)
    cam = random.normal(size=(len(cases), 3, 8, 8)).astype(np.float32)
    probabilities = random.random((len(cases), 3)).astype(np.float32)
    tree, by_pair = measure(data, cases, probabilities, cam, Blur(sigma_px=4.0))
    found = tree["gaze_agreement"]
    slow = {}
    for i, row in enumerate(cases.to_dict("records")):
        gaze = data.gaze.get(row["case_id"])
        for k, name in enumerate(CLASSES):
            if row[f"label_{name}"] == 1 and gaze is not None:
                own = gaze.select(gaze.label == name)
                seen = attention_map(own if len(own) else gaze, (8, 8), (64, 64), sigma_px=4.0)
                slow[row["case_id"], name] = np.corrcoef(cam[i, k].ravel(), seen.ravel())[0, 1]
    assert found["cases"] == len(slow) > 5
    assert found["cc"]["cam"]["value"] == pytest.approx(np.mean(list(slow.values())), abs=1e-6)
    assert by_pair.set_index(["case_id", "label"])["gaze_agreement/cc/cam"].dropna().to_dict() == pytest.approx(slow)


def test_a_split_without_any_present_label_has_no_cam_metrics(data):
    nobody = (data.label_matrix != 1).all(axis=1)
    cases = data.cases[nobody].reset_index(drop=True)
    assert len(cases) > 1
    random = np.random.default_rng(0)
    shape = (len(cases), 3)
    probabilities, cam = random.random(shape).astype(np.float32), np.ones((*shape, 8, 8), np.float32)
    tree, _ = measure(data, cases, probabilities, cam, Blur())
    assert tree["auroc"] == tree["pointing_game"] == tree["anatomy"] == {}
    assert "gaze_agreement" not in tree
    assert 0 <= tree["accuracy"]["value"] <= 1


def test_the_report_and_outputs_have_the_originals_names(run, predictions):
    report = json.loads(run.classification_report.read_text())
    assert set(report) == {
        "0.0", "1.0", "2.0", "accuracy", "macro avg", "weighted avg", "ROC_AUC_ovr", "ROC_AUC_ovo", "ours",
    }  # fmt: skip
    labels, probabilities = truth_and_probabilities(predictions)
    assert report["2.0"]["support"] == (labels[:, 2] == 1).sum()
    table = pd.read_csv(run.results_csv, index_col=0, dtype={"case_id": str})
    assert table["case_id"].tolist() == predictions["case_id"].tolist()
    written = [[np.nan if value is None else value for value in literal_eval(cell)] for cell in table["Y"]]
    np.testing.assert_array_equal(written, labels)
    np.testing.assert_allclose([literal_eval(cell) for cell in table["Y_pred"]], probabilities, atol=1e-7)


def test_the_page_names_all_labels_and_the_class_of_each_cam(run, predictions):
    page = run.html_report.read_text()
    assert "Confusion matrix" not in page
    assert "<th>Known</th>" in page
    assert "most probable" in page
    shown = set(re.findall(r"</span> <strong>(.*?)</strong>; most probable", page))
    labels, _ = truth_and_probabilities(predictions)
    expected = {", ".join(np.array(CLASSES)[row == 1]) or "no label" for row in labels}
    assert shown <= expected
    assert any(", " in names for names in shown)
    assert set(re.findall(r'class="cam-name">(\w+)<', page)) <= set(CLASSES)
    assert "<em>unknown</em>" in page


def test_new_images_get_a_probability_a_label_and_one_overlay(run, raw, predictions, capsys, tmp_path):
    chosen = predictions.head(4)
    files = [raw / f"{case_id}.png" for case_id in chosen["case_id"]]
    called = call(capsys, "predict", run.root, *files, "--out", tmp_path / "out")
    assert called.code == 0, called
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    columns = [f"probability_{name}" for name in CLASSES]
    np.testing.assert_allclose(table[columns], chosen[columns], atol=1e-5)
    assert table["predicted"].tolist() == [CLASSES[k] for k in chosen["predicted"]]
    assert all(cv2.imread(str(tmp_path / "out" / name)).shape == (80, 60, 3) for name in table["overlay"])


def test_the_command_trains_and_prints_an_auroc_per_label(data, capsys, tmp_path):
    flags = ("--backbone", "test_resnet", "--epochs", "1", "--batch-size", "8", "--accelerator", "cpu")
    choice = ("--guidance", "ggcam", "--label-gaze", "own", "--out", tmp_path)
    called = call(capsys, "train", data.root, *flags, *choice, "--name", "mine")
    assert called.code == 0, called
    assert all(f"AUROC {name}" in called.out for name in CLASSES)
    assert open_run(tmp_path / "mine").config.label_gaze == "own"


def test_a_study_compares_what_the_runs_measured(data, capsys, caplog, tmp_path):
    flags = ("--backbone", "test_resnet", "--epochs", "1", "--batch-size", "8", "--accelerator", "cpu")
    arms = ("--guidance", "none,ggcam-cc", "--controls", "--seeds", "1", "--train-cases", "16", "--workers", "1")
    called = call(capsys, "study", data.root, *flags, *arms, "--out", tmp_path / "s")
    assert called.code == 0, called
    assert "arm ggcam-cc+lung-mask is left out" in caplog.text  # there is no mask
    study, plan = open_study_folder(tmp_path / "s")
    assert len(plan.runs) == 6
    summary = json.loads(study.summary.read_text())
    table = pd.read_parquet(study.table).set_index(["arm", "metric"])["value"]
    assert {row["metric"] for row in summary["arms"]} > {"auroc/low", "gaze_agreement/cc/cam"}
    for row in summary["arms"]:
        assert row["value"] == pytest.approx(table[row["arm"], row["metric"]])
    for row in summary["differences"]:
        ours, theirs = (table[row[which], row["metric"]] for which in ("arm", "baseline"))
        assert row["value"] == pytest.approx(ours - theirs)
        assert row["low"] <= row["value"] <= row["high"]
    assert "AUROC, low" in study.html_report.read_text()


def test_a_patient_who_is_drawn_twice_counts_every_label_twice(run):
    metrics, table = read_metrics(run), pd.read_parquet(run.case_metrics)
    times = np.random.default_rng(0).integers(0, 3, len(metrics.cases))
    repeated = table["case_id"].map(dict(zip(metrics.cases["case_id"], times, strict=True)))
    assert table["case_id"].duplicated().any()
    for name in ("gaze_agreement/nss/cam", "gaze_agreement/cc/cam"):
        slow = table[name].repeat(repeated).mean()
        assert metrics.statistics[name](times[:, None].astype(float))[0] == pytest.approx(slow)


def test_a_study_refuses_the_original_loss_before_training(data, capsys, tmp_path):
    flags = ("--backbone", "test_resnet", "--guidance", "none,original", "--seeds", "1", "--out", tmp_path / "s")
    assert "one class per case" in refusal(capsys, "study", data.root, *flags)
    assert not (tmp_path / "s").exists()


def test_training_depends_on_the_choice_of_gaze(data, tmp_path):
    histories = []
    for choice in ("own-else-all", "all", "own"):
        config = TrainConfig(**{**vars(TINY), "epochs": 1, "label_gaze": choice, "lr": 1e-12, "weight_decay": 0.0})
        histories.append(train(data, config, tmp_path, choice).history)
    assert len({round(float(history["train_guidance"][0]), 5) for history in histories}) == 3
    assert len({round(float(history["train_classification"][0]), 5) for history in histories}) == 1


def test_a_network_learns_labels_that_occur_together(tmp_path):
    """Where labels are blobs, a few epochs are enough."""
    data = prepare_multilabel(write_multilabel(tmp_path / "raw", cases=160, seed=1))
    config = TrainConfig(**{**vars(TINY), "epochs": 12, "lr": 3e-3})
    run = train(data, config, tmp_path, "learned")
    metrics = evaluate(run).metrics
    assert metrics["macro_auroc"]["value"] > 0.9
    assert metrics["gaze_agreement"]["cc"]["cam"]["value"] > metrics["gaze_agreement"]["cc"]["shuffled_gaze"]["value"]


def test_the_original_loss_refuses_and_leaves_no_folder(data, tmp_path, capsys):
    with pytest.raises(ConfigError, match=r"one class per case(.|\n)*--guidance"):
        train(data, TrainConfig(**{**vars(TINY), "guidance": "original"}), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    message = refusal(capsys, "train", data.root, "--preset", "resnet-original", "--out", tmp_path / "runs")
    assert "one class per case" in message


def test_data_with_one_label_per_case_do_not_match_a_network_of_several(run, data, tmp_path):
    copy = Path(shutil.copytree(data.root, tmp_path / "copy"))
    cases = pd.read_parquet(copy / "cases.parquet")
    one = cases.drop(columns=[f"label_{name}" for name in CLASSES])
    one.insert(3, "label", 0)
    one.to_parquet(copy / "cases.parquet", index=False)
    meta = (copy / "dataset.toml").read_text()
    assert "multi_label = true" in meta
    (copy / "dataset.toml").write_text(meta.replace("multi_label = true", "multi_label = false"))
    assert not load_prepared(copy).multi_label
    with pytest.raises(RunFolderError, match=r"different labels(.|\n)*several per case(.|\n)*one per case"):
        evaluate(run.root, copy)


def test_reflacx_trains_an_epoch(tmp_path):
    made = Reflacx(tmp_path / "raw")
    random = np.random.default_rng(0)
    for number in range(12):
        image = made.image(random.integers(0, 250, (60, 50)).astype(np.uint8))
        phase = 1 + number % 2
        certainty = {"Atelectasis": 5 * (number % 3 == 0), "Pneumothorax": 5 * (number % 2)}
        reading = made.reading(image, phase, split=("train", "validate", "test")[number % 3], **certainty)
        made.look(reading, 10 + number, 20)
        made.look(reading, 30, 40, start=2.0, end=2.5)
        made.words[reading].append(("atelectasis", "2.400", "2.900"))
        if certainty["Pneumothorax"]:
            made.draw(reading, (4, 6, 20, 30), 5, "Pneumothorax")
    source = reflacx.read(made.write(), dictation_window_s=1)
    data = prepare_source(source, tmp_path / "data", PrepareConfig(size="64x64", split="source", workers=1))
    run = train(data, TrainConfig(**{**vars(TINY), "epochs": 1, "batch_size": 4}), tmp_path, "reflacx")
    assert np.isfinite(run.history.to_numpy()).all()
    assert run.history["train_guidance"][0] > 0
    evaluation = evaluate(run)
    assert evaluation.labels.shape == (4, 15)
    assert set(evaluation.metrics["pointing_game"]) == {"Pneumothorax"}
    assert evaluation.metrics["pointing_game"]["Pneumothorax"]["cases"] == 2
    assert evaluation.save().html_report.is_file()
