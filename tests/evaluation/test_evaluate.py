"""Evaluation of a trained run: its metrics against slow ones, and every file that it leaves."""

from __future__ import annotations

import hashlib
import json
from ast import literal_eval
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support, roc_auc_score

from ggcam.data.case import Frame
from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.data.schema import REGIONS
from ggcam.errors import ConfigError
from ggcam.evaluation.cam_metrics import CaseMasks, localisation_metrics
from ggcam.evaluation.evaluate import evaluate, outputs_table
from ggcam.evaluation.run_metrics import with_intervals
from ggcam.inference import run_network
from ggcam.inference.engines import ONNX_ENGINES
from ggcam.metrics.localisation import regions_to_mask
from ggcam.run_folder import open_run_folder
from ggcam.training.run import open_run


@pytest.fixture(scope="module")
def predictions(trained: Path) -> pd.DataFrame:
    return pd.read_parquet(open_run_folder(trained).predictions)


@pytest.fixture(scope="module")
def metrics(trained: Path) -> dict:
    return json.loads(open_run_folder(trained).metrics.read_text())


@pytest.fixture(scope="module")
def probabilities(predictions: pd.DataFrame) -> np.ndarray:
    return predictions.filter(like="probability_").to_numpy()


def test_every_file_of_the_run_folder_is_there_and_not_empty(trained):
    net = next(trained.glob("CAMClassifier_test_resnet_*")).name
    files = [
        "params_NetLearn_.txt",
        "params_CAMClassifier_.txt",
        "QuickHelper_summary.txt",
        "config.toml",
        "metrics.json",
        "predictions.parquet",
        "cams.npz",
        "report.html",
        "history.csv",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "checkpoints/previous.ckpt",
        f"{net}/classification_report.json",
        f"{net}/classification_results.csv",
        f"{net}/NET.pt",
        f"{net}/training_process.png",
    ]
    assert [name for name in files if not (trained / name).is_file() or not (trained / name).stat().st_size] == []
    assert not list(trained.rglob("*.part*"))


def test_predictions_are_the_test_cases_in_the_order_of_the_table(predictions, prepared):
    cases = load_prepared(prepared).cases.query("split == 'test'").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        predictions[["case_id", "patient_id", "split", "label"]], cases[["case_id", "patient_id", "split", "label"]]
    )
    assert list(predictions)[:7] == [
        "case_id", "patient_id", "split", "label", "predicted", "cam_peak_row", "cam_peak_column",
    ]  # fmt: skip


def test_macro_auroc_and_accuracy_equal_scikit_learns(metrics, predictions, probabilities):
    labels = predictions["label"].to_numpy()
    assert metrics["macro_auroc"]["value"] == pytest.approx(
        roc_auc_score(labels, probabilities.astype(float), multi_class="ovr", average="macro"), abs=1e-6
    )
    assert metrics["accuracy"]["value"] == pytest.approx(accuracy_score(labels, probabilities.argmax(axis=1)))
    for k, name in enumerate(("Normal", "CHF", "pneumonia")):
        assert metrics["auroc"][name]["value"] == pytest.approx(roc_auc_score(labels == k, probabilities[:, k]))
    assert metrics["cases"] == len(predictions)
    assert metrics["patients"] == predictions["patient_id"].nunique()
    for metric in (metrics["macro_auroc"], metrics["accuracy"], *metrics["auroc"].values()):
        assert 0 <= metric["low"] <= metric["high"] <= 1


def test_probabilities_are_the_softmax_of_the_logits_over_the_temperature(trained, predictions, probabilities, metrics):
    temperature = open_run(trained).calibration.temperature[0]
    assert set(metrics["temperature"].values()) == {temperature} != {1.0}
    logits = predictions.filter(like="logit_").to_numpy(float) / temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert (predictions["predicted"] == probabilities.argmax(axis=1)).all()


def test_calibration_is_measured_with_and_without_the_temperature(predictions, probabilities, metrics):
    logits = predictions.filter(like="logit_").to_numpy(float)
    labels = predictions["label"].to_numpy()
    raw = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.eye(3)[labels]
    for found, expected in ((metrics, probabilities), (metrics["uncalibrated"], raw)):
        assert found["brier"]["value"] == pytest.approx(((expected - truth) ** 2).sum(axis=1).mean(), abs=1e-5)
        assert found["nll"]["value"] == pytest.approx(log_loss(labels, expected, labels=[0, 1, 2]), abs=1e-5)
        assert found["nll"]["low"] <= found["nll"]["value"] <= found["nll"]["high"]


def test_operating_points_are_those_of_the_validation_cases(trained, predictions, probabilities, metrics):
    labels = predictions["label"].to_numpy()
    thresholds = open_run(trained).calibration.thresholds
    assert set(metrics["operating_points"]) == {"youden", "sensitivity_95"}
    for aim, points in metrics["operating_points"].items():
        for name, point in points.items():
            k = ("Normal", "CHF", "pneumonia").index(name)
            above = probabilities[:, k] >= point["threshold"]
            assert point["threshold"] == thresholds[aim][name]
            assert point["sensitivity"]["value"] == pytest.approx(above[labels == k].mean())
            assert point["specificity"]["value"] == pytest.approx(1 - above[labels != k].mean())


def test_the_pointing_game_equals_a_loop(metrics, predictions, trained, prepared):
    data, cams = load_prepared(prepared), np.load(open_run_folder(trained).cams)["cam"]
    grid, frame = cams.shape[2:], (data.frame.height_px, data.frame.width_px)
    for label, name in enumerate(data.class_names):
        hits = []
        for row in predictions[predictions["label"] == label].itertuples():
            findings = [r for r in data.boxes.get(row.case_id, ()) if r.is_finding]
            if not findings:
                continue
            boxes = [(r.kind, r.x0_px, r.y0_px, r.x1_px, r.y1_px) for r in findings]
            truth = regions_to_mask(boxes, frame, grid)
            near = [
                truth[v, u]
                for v in range(grid[0])
                for u in range(grid[1])
                if abs(v - row.cam_peak_row) <= 1 and abs(u - row.cam_peak_column) <= 1
            ]
            hits.append(any(near))
        found = metrics["pointing_game"].get(name)
        assert (found is None) == (not hits)
        if hits:
            assert found["cases"] == len(hits)
            assert found["hit_rate"]["value"] == pytest.approx(np.mean(hits))
            assert 0 <= found["chance"]["low"] <= found["chance"]["value"] <= found["chance"]["high"] <= 1
    assert "pneumonia" in metrics["pointing_game"]
    assert set(metrics["anatomy"]) == {"heart_interp_1", "lung_interp_1"}


def test_the_cams_agree_with_the_peaks_of_the_table(predictions, trained):
    arrays = np.load(open_run_folder(trained).cams)
    assert arrays["case_id"].tolist() == predictions["case_id"].tolist()
    own = arrays["cam"][np.arange(len(predictions)), predictions["label"]]
    peaks = own[np.arange(len(own)), predictions["cam_peak_row"], predictions["cam_peak_column"]]
    np.testing.assert_array_equal(peaks, own.max(axis=(1, 2)))


def test_the_report_has_the_keys_and_metrics_of_the_original(predictions, probabilities, trained):
    report = json.loads(open_run_folder(trained).classification_report.read_text())
    assert set(report) == {
        "0.0", "1.0", "2.0", "accuracy", "macro avg", "weighted avg", "ROC_AUC_ovr", "ROC_AUC_ovo", "ours",
    }  # fmt: skip
    labels, predicted = predictions["label"], probabilities.argmax(axis=1)
    expected = precision_recall_fscore_support(labels, predicted, labels=[0, 1, 2], zero_division=0)
    for k in range(3):
        row = report[f"{float(k)}"]
        assert [row[key] for key in ("precision", "recall", "f1-score", "support")] == pytest.approx(
            [values[k] for values in expected]
        )
    assert report["ROC_AUC_ovo"] == pytest.approx(
        roc_auc_score(labels, probabilities.astype(float), multi_class="ovo"), abs=1e-6
    )
    assert report["ours"]["confusion_matrix"] == confusion_matrix(labels, predicted, labels=[0, 1, 2]).tolist()


def test_the_outputs_have_the_columns_of_the_original(predictions, probabilities, trained):
    text = open_run_folder(trained).results_csv.read_text()
    assert text.startswith(",Y,Y_pred,")
    table = pd.read_csv(open_run_folder(trained).results_csv, index_col=0)
    assert [literal_eval(value) for value in table["Y"]] == [[label] for label in predictions["label"]]
    np.testing.assert_allclose([literal_eval(value) for value in table["Y_pred"]], probabilities, atol=1e-7)
    assert table["case_id"].tolist() == predictions["case_id"].tolist()


def test_the_outputs_are_those_of_the_original_letter_by_letter(golden):
    recorded = np.load(golden / "evaluate.npz")
    probabilities = torch.from_numpy(recorded["logits"]).softmax(dim=1).numpy()
    table = outputs_table(probabilities, recorded["y"], [f"case{number}" for number in range(200)])
    assert table.drop(columns="case_id").to_csv() == (golden / "classification_results.csv").read_text()


class Recorded(PreparedData):
    """A prepared folder whose masks are the recorded ones, two pixels by four a cell."""

    def read_masks(self, case_id: str) -> dict:
        masks = {"mediastinum": self.meta["heart"], "left_lung": self.meta["lung"]}
        return {name: np.kron(cells[int(case_id)], np.ones((2, 4), bool)) for name, cells in masks.items()}


def test_the_anatomy_metrics_from_prepared_masks_are_those_of_the_original(golden):
    recorded = np.load(golden / "evaluate.npz")
    regions = pd.DataFrame(columns=REGIONS.names)
    data = Recorded(
        golden, ("Normal", "CHF", "pneumonia"), Frame(96, 160), pd.DataFrame(), pd.DataFrame(), regions, dict(recorded)
    )
    ids = [str(number) for number in range(200)]
    cam = np.zeros((200, 48, 40))
    cam[np.arange(200), *recorded["cam_argmax"].T] = 1
    masks = CaseMasks.from_data(data, pd.DataFrame({"case_id": ids}), (48, 40))
    tree = localisation_metrics(cam, recorded["y"], data.class_names, masks)
    found = with_intervals({"anatomy": tree["anatomy"]}, np.array(ids))["anatomy"]
    for name in ("heart_interp_1", "lung_interp_1"):
        assert found[name]["hit_rate"]["value"] == pytest.approx(float(recorded[name]), rel=1e-12)


def test_evaluating_again_gives_identical_files(run):
    def sums(root: Path) -> dict[str, str]:
        files = (path for path in root.rglob("*") if path.is_file() and path.name != "report.html")
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = sums(run)
    page = (run / "report.html").read_text()
    evaluate(run).save()
    assert sums(run) == before
    assert (run / "report.html").read_text() == page


def test_many_images_are_evaluated_by_a_faster_engine_with_the_same_numbers(run, monkeypatch):
    expected = evaluate(run, device="cpu")
    monkeypatch.setattr(run_network, "EVALUATION_PIXELS", 0)
    made: list[str] = []
    engine = next(iter(ONNX_ENGINES.values()))
    load = engine._load
    monkeypatch.setattr(engine, "_load", lambda self, content: (made.append(self.package), load(self, content)))
    found = evaluate(run, device="cpu")
    assert made == [engine.package]
    for name in ("logits", "probabilities", "cam"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-5, atol=1e-5)
    evaluate(run, device="cpu", faithfulness_cases=1)  # which needs images of floats
    assert len(made) == 1
    assert not open_run_folder(run).onnx.exists()


def test_another_split_can_be_measured_and_nothing_is_written_before(run):
    before = (run / "metrics.json").read_bytes()
    evaluation = evaluate(run, split="valid")
    assert set(evaluation.cases["split"]) == {"valid"}
    assert (run / "metrics.json").read_bytes() == before
    evaluation.save()
    assert json.loads((run / "metrics.json").read_text())["split"] == "valid"


def test_faithfulness_is_that_of_a_loop_over_its_sample_of_cases(run, prepared):
    from ggcam.inference.devices import find_device
    from ggcam.inference.probabilities import BatchPredictor
    from ggcam.inference.torch_engine import TorchEngine
    from ggcam.metrics.faithfulness import deletion_insertion

    calls: list[tuple[int, int]] = []
    evaluation = evaluate(run, faithfulness_cases=3, progress=lambda done, total: calls.append((done, total)))
    of_class, cams = evaluation.labels, evaluation.cam
    assert calls[-1] == (len(of_class) + 3, len(of_class) + 3)
    folder = evaluation.save()
    found = json.loads(folder.metrics.read_text())["faithfulness"]
    table = pd.read_parquet(folder.case_metrics)
    rows = np.flatnonzero(table["faithfulness/deletion_auc/cam"].notna())
    assert len(rows) == found["cases"] == 3
    assert evaluate(run, faithfulness_cases=3).case_metrics.equals(evaluation.case_metrics)
    predictor, data = (
        BatchPredictor(
            TorchEngine(evaluation.run.load_model(), find_device("cpu")),
            temperature=evaluation.run.calibration.temperature,
        ),
        load_prepared(prepared),
    )
    for i in rows:
        image = torch.from_numpy(data.read_image(table["case_id"][i]) / 255).float()[None, None]
        few = image[0, 0].reshape(8, 8, 8, 8).mean(dim=(1, 3))[None, None]
        blank = torch.nn.functional.interpolate(few, (64, 64), mode="bilinear")

        def score(images, k=of_class[i]):
            return predictor(images).probabilities[:, k]

        curves = deletion_insertion(image.numpy(), cams[i, of_class[i]][None].astype(float), score, blank.numpy(), 10)
        assert table["faithfulness/deletion_auc/cam"][i] == pytest.approx(curves.deletion_auc[0], abs=1e-5)
        assert table["faithfulness/insertion_auc/cam"][i] == pytest.approx(curves.insertion_auc[0], abs=1e-5)
    for name in ("deletion_auc", "insertion_auc"):
        known = table[[f"faithfulness/{name}/{source}" for source in ("cam", "chance", "cam_minus_chance")]].dropna()
        assert list(known.mean()) == pytest.approx([each["value"] for each in found[name].values()])
        assert all(each["low"] <= each["value"] <= each["high"] for each in found[name].values())
        assert (known.iloc[:, 0] - known.iloc[:, 1]).to_numpy() == pytest.approx(known.iloc[:, 2].to_numpy())
    with pytest.raises(ConfigError, match=r"(?s)number of cases is negative.*--faithfulness-cases.*-1"):
        evaluate(run, faithfulness_cases=-1)


def test_progress_ends_with_all_cases(trained, predictions):
    calls: list[tuple[int, int]] = []
    evaluate(trained, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(predictions), len(predictions))
    assert calls == sorted(calls)
