"""`ggcam predict --precision`: what each engine computes in, what is kept and recorded, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
import torch

import ggcam
from commands.calling import call, refusal
from dicom_output.predicted import source_dataset, write_source
from ggcam.dicom_output.model_identity import read_model_identity
from ggcam.dicom_output.options import DicomOptions
from ggcam.dicom_output.writer import DicomWriter
from ggcam.errors import ConfigError, PreparedFolderError
from ggcam.inference import precision, run_int8, run_network
from ggcam.inference.engines import ONNX_ENGINES, EngineName, openvino_computes_bf16
from ggcam.inference.network import open_network
from ggcam.inference.predict import predict
from ggcam.inference.prediction_folder import UNFINISHED
from ggcam.inference.run_int8 import cached_int8
from ggcam.inference.run_onnx import cached_onnx
from ggcam.inference.write_bundle import write_bundle
from ggcam.run_folder import open_run_folder
from ggcam.server.prediction_queue import PredictionQueue
from ggcam.training.run import open_run
from ggcam.utils.user_cache import cache_folder

FASTEST = next(iter(ONNX_ENGINES))
HAS_BF16 = openvino_computes_bf16()
ON_CPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU answers here")
IMAGES = [np.random.default_rng(number).integers(0, 256, (90, 80), dtype=np.uint8) for number in range(4)]


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory) -> Path:
    """A run folder with NET.onnx and NET-int8.onnx."""
    copy = Path(shutil.copytree(trained, tmp_path_factory.mktemp("precision") / "run"))
    cached_onnx(open_run(copy))
    cached_int8(open_run(copy))
    return copy


@pytest.fixture(scope="module")
def int8_file(run) -> Path:
    return open_run_folder(run).onnx_int8


@pytest.fixture(scope="module")
def float_file(run) -> Path:
    return open_run_folder(run).onnx


@pytest.fixture
def no_measurements():
    (cache_folder() / f"{precision.CACHE}.json").unlink(missing_ok=True)


def probabilities(path: Path, **options) -> np.ndarray:
    return np.array([list(result.probabilities.values()) for result in ggcam.load_predictor(path, **options)(IMAGES)])


@ON_CPU
@pytest.mark.parametrize(
    ("engine", "wanted", "used"),
    [
        ("torch", "bf16", "torch"),
        ("auto", "bf16", "openvino" if HAS_BF16 else "torch"),
        ("auto", "int8", FASTEST),
        ("onnxruntime", "int8", "onnxruntime"),
        ("openvino", "int8", "openvino"),
        pytest.param("openvino", "bf16", "openvino", marks=pytest.mark.skipif(not HAS_BF16, reason="no instructions")),
    ],
)
def test_a_run_is_computed_in_other_precisions(run, engine, wanted, used):
    predictor = ggcam.load_predictor(run, engine=engine, precision=wanted)
    assert (predictor.engine, predictor.precision) == (used, wanted)
    expected, found = probabilities(run, engine="torch"), probabilities(run, engine=engine, precision=wanted)
    assert 0 < np.abs(found - expected).max() < 0.1


def test_float32_is_the_default(run):
    for engine in ("torch", "onnxruntime", "openvino"):
        assert ggcam.load_predictor(run, engine=engine).precision == "32"
        np.testing.assert_array_equal(
            probabilities(run, engine=engine), probabilities(run, engine=engine, precision="32")
        )


@pytest.mark.parametrize(
    ("engine", "wanted", "hint"),
    [
        ("torch", "int8", "leave --engine out, or pass --engine onnxruntime or openvino"),
        ("onnxruntime", "bf16", "leave --engine out, or pass --engine torch or openvino"),
    ],
)
def test_an_engine_that_does_not_compute_in_a_precision_says_which_does(capsys, run, files, engine, wanted, hint):
    message = refusal(capsys, "predict", run, files[0], "--engine", engine, "--precision", wanted)
    assert f"{engine} does not compute in {wanted}" in message
    assert hint in message


def test_a_processor_without_instructions_for_bfloat16(run, float_file, monkeypatch):
    monkeypatch.setattr(precision, "openvino_computes_bf16", lambda: False)
    with pytest.raises(ConfigError, match="no instructions for it"):
        open_network(run, "openvino", precision="bf16")
    assert open_network(run, "auto", "cpu", precision="bf16").engine == "torch"
    with pytest.raises(ConfigError, match=r"no installed engine(?s:.*)the run folder and --engine torch"):
        open_network(float_file, precision="bf16")
    assert open_network(float_file, precision="auto").precision == "32"


def test_int8_runs_on_the_cpu_only(run):
    with pytest.raises(ConfigError, match="ONNX files run on the CPU only"):
        open_network(run, "auto", "cuda", precision="int8")


def test_int8_is_calibrated_once(run, tmp_path, monkeypatch):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    file = open_run_folder(copy).onnx_int8
    file.unlink()
    assert open_network(copy, "onnxruntime", precision="int8").precision == "int8"
    assert file.is_file()
    monkeypatch.setattr(run_int8, "quantise", None)  # to call it again would be an error
    assert open_network(copy, "onnxruntime", precision="int8").precision == "int8"
    shutil.copy(open_run_folder(copy).onnx, file)  # in float32
    with pytest.raises(TypeError):
        open_network(copy, "onnxruntime", precision="int8")


def test_int8_without_the_images_of_the_run(run, tmp_path):
    copy = Path(shutil.copytree(run, tmp_path / "elsewhere" / "run"))
    open_run_folder(copy).onnx_int8.unlink()
    config = (copy / "config.toml").read_text()
    lines = ['data = "gone"' if line.startswith("data") else line for line in config.splitlines()]
    (copy / "config.toml").write_text("\n".join(lines))
    with pytest.raises(PreparedFolderError, match=r"int8 is calibrated on the images(?s:.*)pass another --precision"):
        open_network(copy, precision="int8")


def test_a_file_has_a_precision_of_its_own(int8_file, float_file, run, tmp_path):
    assert ggcam.load_predictor(int8_file).precision == "int8"
    assert ggcam.load_predictor(int8_file, precision="auto").precision == "int8"
    np.testing.assert_array_equal(
        probabilities(int8_file, engine="onnxruntime"), probabilities(run, engine="onnxruntime", precision="int8")
    )
    for wanted in ("32", "bf16"):
        with pytest.raises(ConfigError, match=r"computes in int8(?s:.*)leave --precision out"):
            open_network(int8_file, precision=wanted)
    with pytest.raises(ConfigError, match="ggcam export RUN --format onnx-int8"):
        open_network(float_file, precision="int8")
    if HAS_BF16:
        assert open_network(float_file, precision="bf16").engine == "openvino"
    write_bundle(run, tmp_path / "bundle")
    with pytest.raises(ConfigError, match="ggcam export RUN --format onnx-int8"):
        open_network(tmp_path / "bundle", precision="int8")
    assert open_network(tmp_path / "bundle", "torch", "cpu", precision="bf16").precision == "bf16"


@ON_CPU
@pytest.mark.usefixtures("no_measurements")
@pytest.mark.parametrize(("seconds", "chosen"), [([1.0, 0.5], "bf16"), ([1.0, 0.95], "32")])
def test_auto_takes_bfloat16_only_if_it_is_clearly_faster_and_remembers_it(run, monkeypatch, seconds, chosen):
    measured: list[int] = []
    monkeypatch.setattr(
        precision,
        "_measure",
        lambda engines, *_: measured.append(len(engines)) or dict(zip(engines, seconds, strict=True)),
    )
    found = [open_network(run, "torch", precision="auto") for _ in range(2)]
    assert [network.precision for network in found] == [chosen, chosen]
    assert measured == [2]


@ON_CPU
@pytest.mark.usefixtures("no_measurements")
def test_auto_measures(run, float_file, trained):
    cases: tuple[tuple[Path, EngineName], ...] = ((run, "torch"), (float_file, "auto"), (trained, "auto"))
    for path, engine in cases:
        assert ggcam.load_predictor(path, engine=engine, precision="auto").precision in ("32", "bf16")
    assert ggcam.load_predictor(run, engine="onnxruntime", precision="auto").precision == "32"
    kept = json.loads((cache_folder() / f"{precision.CACHE}.json").read_text())
    assert len(kept) == (2 if HAS_BF16 else 1)
    assert all(min(each["seconds"].values()) > 0 for each in kept.values())


def test_bfloat16_is_at_hand_for_many_images_as_well(trained, tmp_path):
    copy = Path(shutil.copytree(trained, tmp_path / "run"))
    many = run_network.AUTO_PIXELS // (64 * 64) + 1
    found = open_network(copy, device="cpu", expected_images=many, precision="bf16")
    assert (found.engine, found.precision) == ("openvino" if HAS_BF16 else "torch", "bf16")


@pytest.fixture
def files(tmp_path) -> list[Path]:
    for number in range(3):
        uid = f"1.3.6.1.4.1.77.1.1.{number}"
        write_source(tmp_path / f"{number}.dcm", source_dataset(SOPInstanceUID=uid))
    return sorted(tmp_path.glob("*.dcm"))


def test_the_precision_is_recorded(capsys, run, files, tmp_path):
    called = call(capsys, "predict", run, *files, "--out", tmp_path / "a", "--engine", "torch", "--precision", "bf16")
    assert called.code == 0, called
    assert "computed with torch in bfloat16" in called.out
    table = pd.read_csv(tmp_path / "a" / "predictions.csv")
    assert table["precision"].tolist() == ["bf16"] * 3
    found = predict(run, files, tmp_path / "b", engine="torch")
    assert (found.precision, "precision" in found.table) == ("32", False)


def test_a_folder_of_another_precision_is_not_continued(run, files, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("ggcam.inference.prediction_folder.PredictionFolder.finish", lambda _: None)
        predict(run, files[:1], out, engine="torch", precision="bf16")
    assert json.loads((out / UNFINISHED).read_text())["precision"] == "bf16"
    with pytest.raises(ConfigError, match=r"unfinished predictions of another call(?s:.*)--precision"):
        predict(run, files, out, engine="torch")
    found = predict(run, files, out, precision="auto")  # it keeps its choice
    assert (found.engine, found.precision, found.resumed) == ("torch", "bf16", 1)


def test_dicom_objects_of_another_precision_have_other_uids(run, files, tmp_path):
    reports: dict[str, pydicom.Dataset] = {}
    for wanted in ("32", "bf16"):
        writer = DicomWriter(run, tmp_path / wanted, DicomOptions(("sr",)))
        predict(run, files[:1], tmp_path / f"out-{wanted}", engine="torch", writer=writer, precision=wanted)
        (path,) = writer.folder.iterdir()
        reports[wanted] = pydicom.dcmread(path)
    assert reports["32"].SOPInstanceUID != reports["bf16"].SOPInstanceUID
    texts = [{str(element.value) for element in report.iterall()} for report in reports.values()]
    assert ["computed in bfloat16" in each for each in texts] == [False, True]
    identity = read_model_identity(run)
    assert identity.precision == "32"
    assert identity.key != replace(identity, precision="int8").key


def test_an_int8_file_identifies_itself(int8_file, float_file):
    int8, float32 = read_model_identity(int8_file), read_model_identity(float_file)
    assert int8.key != float32.key
    assert (int8.precision, float32.precision) == ("int8", "32")


def test_the_service_computes_in_the_precision_and_says_so(run):
    with PredictionQueue.open(run, device="cpu", engine="torch", precision="bf16") as queue:
        assert (queue.predictor.precision, queue.model.precision) == ("bf16", "bf16")
