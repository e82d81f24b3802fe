"""An exported file is compared with its run: equal files pass, and whatever is wrong with a file shows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import ggcam
from commands.calling import call, refusal
from ggcam.errors import ConfigError, ImageError, MissingFileError, WeightsError
from ggcam.inference.export import export_run
from ggcam.inference.onnx import read_metadata
from ggcam.inference.probabilities import Prediction
from ggcam.inference.run_onnx import cached_onnx
from ggcam.inference.verification import FLOAT32, INT8, EngineComparison, Tolerance, Verification
from ggcam.inference.verify import _Tally, verify
from ggcam.training.config import TrainConfig
from ggcam.training.train import train
from multilabel_fixture import prepare_multilabel, write_multilabel

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

ENGINES = ["onnxruntime", "openvino"]


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained run that has its NET.onnx already."""
    copy = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(trained, copy)
    cached_onnx(ggcam.open_run(copy))
    return copy


@pytest.fixture(scope="module")
def file(run: Path) -> Path:
    path = run.with_name("NET.onnx")
    export_run(run, "onnx", path)
    return path


@pytest.fixture(scope="module")
def in_int8(run: Path, file: Path) -> Path:
    path = file.with_name("NET-int8.onnx")
    export_run(run, "onnx-int8", path)
    return path


@pytest.fixture(scope="module")
def multilabel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run with several labels per case, and its ONNX file."""
    data = prepare_multilabel(write_multilabel(tmp_path_factory.mktemp("several") / "raw"))
    config = TrainConfig(backbone="test_resnet", output_stride=8, epochs=2, batch_size=8, precision="32")
    run = train(data, config, data.root.with_name("runs"), "several").folder.root
    path = data.root.with_name("several.onnx")
    export_run(run, "onnx", path)
    return run, path


def changed(file: Path, out: Path, **metadata: object) -> Path:
    """Copy a file with other metadata."""
    model = onnx.load(file)
    for prop in model.metadata_props:
        if (name := prop.key.removeprefix("ggcam.")) in metadata:
            prop.value = json.dumps(metadata[name])
    onnx.save(model, out)
    return out


def with_other_weights(file: Path, out: Path, scale: float) -> Path:
    """Copy a file whose CAM head has other weights."""
    model = onnx.load(file)
    (weight,) = (each for each in model.graph.initializer if each.name == "model.head.weight")
    values = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array((values * scale).astype(values.dtype), weight.name))
    onnx.save(model, out)
    return out


def test_an_export_gives_the_numbers_of_the_run_on_its_own_test_images(run, file):
    result = verify(run, file)
    data = ggcam.load_prepared(ggcam.open_run(run).folder.data_root)
    assert result.images == (data.cases["split"] == "test").sum()
    assert list(result.engines) == ENGINES
    assert result.passed
    assert result.computes_in == "float32"
    assert result.tolerance == FLOAT32
    for comparison in result.engines.values():
        assert set(comparison.differences) == {"logits", "probabilities", "cam", "distance"}
        assert comparison.decisions == result.images
        assert comparison.changed == 0
        for difference in comparison.differences.values():
            assert 0 <= difference.typical <= difference.largest < 1e-4


def test_raw_files_are_compared_from_the_decoder_on(run, file, simulated):
    result = verify(run, file, simulated / "files", max_images=10, engines=["onnxruntime"])
    assert result.images == 10
    assert result.passed
    assert not result.unreadable


def test_differences_are_those_of_two_predictors(run, file, simulated, tmp_path):
    other = with_other_weights(file, tmp_path / "other.onnx", 1.2)
    result = verify(run, other, simulated / "files", engines=["onnxruntime"])
    paths = sorted((simulated / "files").rglob("*.dcm"))
    ours, theirs = (
        ggcam.load_predictor(path, engine=engine)(paths) for path, engine in ((run, "torch"), (other, "onnxruntime"))
    )
    gaps = [
        max(abs(a.probabilities[name] - b.probabilities[name]) for name in a.probabilities)
        for a, b in zip(ours, theirs, strict=True)
    ]
    cams = [
        np.abs(np.stack(list(a.cam_grid.values())) - np.stack(list(b.cam_grid.values()))).max()
        / max(1, np.abs(np.stack(list(a.cam_grid.values()))).max())
        for a, b in zip(ours, theirs, strict=True)
    ]
    found = result.engines["onnxruntime"]
    assert found.differences["probabilities"].largest == pytest.approx(max(gaps), abs=1e-5)
    assert found.differences["probabilities"].typical == pytest.approx(np.median(gaps), abs=1e-5)
    assert found.differences["probabilities"].image == str(paths[int(np.argmax(gaps))])
    assert found.differences["cam"].largest == pytest.approx(max(cams), abs=1e-5)
    assert found.changed == sum(a.predicted != b.predicted for a, b in zip(ours, theirs, strict=True))
    assert not result.passed
    assert any("onnxruntime: cam differ" in problem for problem in result.problems)


def test_a_looser_tolerance_accepts_what_a_stricter_one_refuses(run, file, tmp_path):
    other = with_other_weights(file, tmp_path / "other.onnx", 1.05)
    assert not verify(run, other, engines=["onnxruntime"]).passed
    assert verify(run, other, engines=["onnxruntime"], tolerance=10).passed


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"temperature": [9.0, 9.0, 9.0]}, "temperature is"),
        ({"used_bits": 12}, "used bits is 12 instead of 16"),
        ({"framing": "strided"}, "framing is strided instead of fitted"),
        ({"multi_label": True}, "multi-label is True instead of False"),
    ],
)
def test_metadata_that_differ_from_the_run_are_a_problem(run, file, tmp_path, metadata, message):
    result = verify(run, changed(file, tmp_path / "changed.onnx", **metadata), engines=["onnxruntime"], max_images=4)
    assert not result.passed
    assert any(message in problem for problem in result.problems)


def test_raw_files_are_framed_as_the_file_says(run, file, tmp_path):
    """An image of 12 bits in 16 looks dark to a file that takes all bits for used."""
    cv2.imwrite(str(tmp_path / "xray.png"), np.random.default_rng(0).integers(0, 4096, (70, 60)).astype(np.uint16))
    other = changed(file, tmp_path / "changed.onnx", used_bits=12)
    result = verify(run, other, tmp_path / "xray.png", engines=["onnxruntime"])
    assert result.engines["onnxruntime"].differences["logits"].largest > 1e-3


def test_a_file_of_another_run_is_refused(run, file, tmp_path, capsys):
    other = changed(file, tmp_path / "other.onnx", class_names=["a", "b", "c"])
    with pytest.raises(WeightsError, match="belongs to another run: it has other classes"):
        verify(run, other)
    assert "export the run again" in refusal(capsys, "verify", run, other)


def test_int8_has_a_tolerance_of_its_own(run, in_int8, file):
    assert [read_metadata(each.read_bytes())["precision"] for each in (in_int8, file)] == ["int8", "32"]
    result = verify(run, in_int8, engines=["onnxruntime"])
    assert result.computes_in == "int8"
    assert result.tolerance == INT8
    assert result.engines["onnxruntime"].differences["logits"].largest > FLOAT32.largest["logits"]
    assert not verify(run, in_int8, engines=["onnxruntime"], tolerance=0).passed


def test_decisions_with_several_labels_are_counted_at_the_thresholds_of_the_run(multilabel, tmp_path):
    several, file = multilabel
    assert verify(several, file).passed
    other = with_other_weights(file, tmp_path / "other.onnx", -3)
    found = verify(several, other, engines=["onnxruntime"]).engines["onnxruntime"]
    opened = ggcam.open_run(several)
    data = opened.data()
    cases = data.cases.loc[data.cases["split"] == "test", "case_id"]
    images = [data.read_image(case_id) for case_id in cases]
    thresholds = opened.calibration.thresholds["youden"]
    ours, theirs = (
        ggcam.load_predictor(path, engine=engine)(images)
        for path, engine in ((several, "torch"), (other, "onnxruntime"))
    )
    changed_labels = sum(
        (a.probabilities[name] >= thresholds[name]) != (b.probabilities[name] >= thresholds[name])
        for a, b in zip(ours, theirs, strict=True)
        for name in opened.class_names
    )
    assert found.decisions == 3 * len(images)
    assert found.changed == changed_labels > 0


def test_outputs_that_are_not_numbers_are_a_problem():
    one = Prediction(*(np.zeros(shape, np.float32) for shape in ((2, 3), (2, 3), (2, 3, 1, 1))))
    broken = one._replace(logits=np.array([[0, 0, 0], [0, np.nan, 0]], np.float32))
    tally = _Tally(None)
    tally.add(["a", "b"], one, broken)
    result = Verification("run", "file", "float32", 2, {}, (), {"engine": tally.result()}, FLOAT32)
    assert result.problems == ["engine: logits differ by nan, more than 0.001 (b)"]
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert values["engines"]["engine"]["differences"]["logits"]["largest"] is None
    assert values["passed"] is False


def test_a_cam_of_another_grid_is_a_problem():
    one = Prediction(*(np.zeros(shape, np.float32) for shape in ((2, 3), (2, 3), (2, 3, 1, 1))))
    tally = _Tally(None)
    tally.add(["a", "b"], one, one._replace(cam=np.zeros((2, 3, 2, 2), np.float32)))
    result = Verification("run", "file", "float32", 2, {}, (), {"engine": tally.result()}, FLOAT32)
    assert result.problems == ["engine: cam differ by inf, more than 0.001 (a)"]


def test_too_many_changed_decisions_are_a_problem():
    comparison = EngineComparison({}, decisions=40, changed=3)
    allowed, refused = (
        Verification("run", "file", "int8", 40, {}, (), {"engine": comparison}, Tolerance({}, changed))
        for changed in (0.075, 0.05)
    )
    assert allowed.passed
    assert refused.problems == ["engine: 3 of 40 decisions change, more than 5.0%"]


def test_unreadable_images_are_named(run, file, simulated, tmp_path):
    shutil.copy(next(simulated.rglob("*.dcm")), tmp_path / "good.dcm")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = verify(run, file, tmp_path, engines=["onnxruntime"])
    assert result.images == 1
    assert list(result.unreadable) == [str(tmp_path / "broken.png")]
    (tmp_path / "good.dcm").unlink()
    with pytest.raises(ImageError, match="no image can be read"):
        verify(run, file, tmp_path, engines=["onnxruntime"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"images": "nowhere"}, MissingFileError, "folder of images does not exist"),
        ({"engines": ["onnxrutime"]}, ConfigError, "unknown engine"),
        ({"engines": []}, ConfigError, "unknown engine"),
        ({"tolerance": float("nan")}, ConfigError, "tolerance must be at least 0"),
        ({"max_changed": 1.5}, ConfigError, "from 0 to 1"),
        ({"max_images": 0}, ConfigError, "at least one image"),
    ],
)
def test_mistakes_are_explained(run, file, options, error, message):
    with pytest.raises(error, match=message):
        verify(run, file, **options)


def test_files_that_do_not_exist_or_are_no_export(run, file, tmp_path):
    with pytest.raises(MissingFileError, match="exported file does not exist"):
        verify(run, tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("text")
    with pytest.raises(WeightsError):
        verify(run, tmp_path / "text.onnx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match="contains no images"):
        verify(run, file, tmp_path / "empty")


# --- the commands


def test_the_command_prints_a_table_and_writes_json(run, file, tmp_path, capsys):
    called = call(capsys, "verify", run, file, "--json", tmp_path / "result.json")
    assert called.code == 0
    assert "gives the numbers of the run" in called.out
    assert "decisions that change" in called.out
    values = json.loads((tmp_path / "result.json").read_text())
    assert values["passed"] is True
    assert values["engines"]["openvino"]["differences"]["cam"]["largest"] < 1e-4


def test_the_exit_code_is_1_beyond_the_tolerance(run, file, tmp_path, capsys):
    other = with_other_weights(file, tmp_path / "other.onnx", 1.5)
    called = call(capsys, "verify", run, other, "--engines", "onnxruntime")
    assert called.code == 1
    assert "does NOT give the numbers of the run" in called.out
    assert "problem: onnxruntime: logits differ by" in called.out


def test_export_verifies_what_it_wrote(run, tmp_path, capsys):
    called = call(capsys, "export", run, "--format", "onnx", "--out", tmp_path / "NET.onnx")
    assert called.code == 0
    assert "gives the numbers of the run" in called.out
    called = call(capsys, "export", run, "--format", "onnx", "--out", tmp_path / "NET.onnx", "--no-verify")
    assert called.code == 0
    assert "numbers of the run" not in called.out


def test_export_says_when_there_is_nothing_to_verify_on(run, tmp_path, capsys):
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    config = (moved / "config.toml").read_text().splitlines()
    (moved / "config.toml").write_text(
        "\n".join('data = "nowhere"' if line.startswith("data = ") else line for line in config)
    )
    called = call(capsys, "export", moved, "--format", "onnx", "--out", tmp_path / "NET.onnx")
    assert called.code == 0
    assert "not verified: the run's own images cannot be read" in called.err
    assert (tmp_path / "NET.onnx").is_file()
