"""Which engine answers: what was asked for, what is installed, and when a file of it is worth its making."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from commands.calling import call, refusal
from ggcam.cli import main
from ggcam.errors import ConfigError, WeightsError
from ggcam.inference import onnx, run_network, run_onnx
from ggcam.inference.engines import ONNX_ENGINES
from ggcam.inference.export import export_int8
from ggcam.inference.network import open_network
from ggcam.inference.onnx import read_metadata
from ggcam.inference.predict import predict
from ggcam.run_folder import open_run_folder, read_json

FASTEST = next(iter(ONNX_ENGINES))
ON_CPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU answers here")


@pytest.fixture(scope="module")
def kept(trained, tmp_path_factory) -> Path:
    """A run folder with a NET.onnx of its network."""
    run = Path(shutil.copytree(trained, tmp_path_factory.mktemp("kept") / "run"))
    main(["export", str(run), "--format", "onnx", "--out", str(open_run_folder(run).onnx)])
    return run


@pytest.fixture
def files(simulated) -> list[Path]:
    return sorted(simulated.rglob("*.dcm"))[:5]


def probabilities(table: pd.DataFrame) -> np.ndarray:
    return table.filter(like="probability_").to_numpy()


def test_every_engine_fills_the_same_table(capsys, kept, files, tmp_path):
    tables = {}
    for engine in ("torch", "onnxruntime", "openvino"):
        called = call(capsys, "predict", kept, *files, "--out", tmp_path / engine, "--engine", engine)
        assert called.code == 0
        assert f"computed with {engine}" in called.out
        tables[engine] = pd.read_csv(tmp_path / engine / "predictions.csv")
    for engine in ("onnxruntime", "openvino"):
        assert tables[engine]["overlay"].tolist() == tables["torch"]["overlay"].tolist()
        np.testing.assert_allclose(probabilities(tables[engine]), probabilities(tables["torch"]), atol=1e-4)


def test_a_file_keeps_the_bits_that_the_raw_training_images_use(kept, monkeypatch):
    metadata = read_metadata(open_run_folder(kept).onnx.read_bytes())
    assert metadata["used_bits"] == 16
    monkeypatch.setattr(onnx, "read_metadata", lambda _: {**metadata, "used_bits": 12})
    assert open_network(open_run_folder(kept).onnx).framing.used_bits == 12


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # without torch, and with it
def test_the_metadata_are_read_once(device, kept, monkeypatch):
    read = []
    monkeypatch.setattr(onnx, "read_metadata", lambda content: read.append(content) or read_metadata(content))
    assert open_network(kept, device=device).engine == FASTEST
    assert len(read) == 1


def test_a_file_alone_is_enough(capsys, kept, files, tmp_path):
    file = shutil.copy(open_run_folder(kept).onnx, tmp_path / "model.onnx")
    expected = predict(kept, files, tmp_path / "run", engine="torch").table
    found = predict(Path(file), files, tmp_path / "file")
    np.testing.assert_allclose(probabilities(found.table), probabilities(expected), atol=1e-4)
    assert list(found.table) == list(expected)
    assert found.engine == FASTEST
    assert "torch cannot run an ONNX file" in refusal(capsys, "predict", file, files[0], "--engine", "torch")


def test_the_command_writes_a_file_whose_notes_suffice(capsys, monkeypatch, kept, tmp_path):
    monkeypatch.chdir(tmp_path)
    called = call(capsys, "export", kept, "--format", "onnx")
    assert called.code == 0
    assert called.out.splitlines()[-1] == "NET.onnx"
    assert [path.name for path in tmp_path.iterdir()] == ["NET.onnx"]
    notes = read_metadata((tmp_path / "NET.onnx").read_bytes())
    assert notes["class_names"] == ["Normal", "CHF", "pneumonia"]
    assert (notes["size"], notes["pixels"], notes["multi_label"]) == ([64, 64], "uint8", False)
    assert "display window" in notes["image"]
    assert "aspect ratio kept" in notes["fit"]


@ON_CPU
def test_auto_takes_the_fastest_engine_once_its_file_is_there(kept, trained):
    assert open_network(kept).engine == FASTEST
    assert open_network(trained).engine == "torch"  # a handful of images is no reason to write one
    assert open_network(kept, device="cpu").engine == FASTEST


@ON_CPU
def test_auto_writes_the_file_for_many_images_and_only_once(trained, tmp_path, monkeypatch):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    assert open_network(run, expected_images=run_network.AUTO_PIXELS // (64 * 64) + 1).engine == FASTEST
    assert open_run_folder(run).onnx.is_file()
    monkeypatch.setattr(run_onnx, "to_onnx", None)  # to call it again would be an error
    assert open_network(run, "onnxruntime").engine == "onnxruntime"


@ON_CPU
def test_a_file_of_other_weights_is_not_taken(kept, tmp_path):
    run = Path(shutil.copytree(kept, tmp_path / "run"))
    weights = open_run_folder(run).weights
    state = torch.load(weights)
    state["head.bias"] += 1
    torch.save(state, weights)
    assert open_network(run).engine == "torch"
    open_run_folder(run).onnx.write_bytes(b"damaged")
    assert open_network(run).engine == "torch"


@ON_CPU
@pytest.mark.parametrize(("missing", "engine"), [("openvino", FASTEST), ("onnx", "torch"), ("onnxruntime", "openvino")])
def test_auto_makes_do_with_what_is_installed(kept, monkeypatch, missing, engine):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    assert open_network(kept).engine == engine
    with pytest.raises(ConfigError, match=f"{missing} is not installed"):
        open_network(kept, "openvino" if missing == "openvino" else "onnxruntime")


def test_a_file_alone_needs_no_package_that_only_writing_one_needs(kept, monkeypatch):
    real, writers = importlib.util.find_spec, ("onnxscript", "onnxruntime")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in writers else real(name))
    assert open_network(open_run_folder(kept).onnx).engine == "openvino"


@ON_CPU
def test_auto_falls_back_on_torch_where_a_network_cannot_be_written(trained, monkeypatch, caplog):
    def fails(*_, **__):
        raise ConfigError("this network cannot be written as ONNX")

    monkeypatch.setattr(run_onnx, "to_onnx", fails)
    assert open_network(trained, expected_images=10**6).engine == "torch"
    assert "computing with torch: this network cannot be written" in caplog.text
    with pytest.raises(ConfigError, match="cannot be written"):
        open_network(trained, "openvino")


def test_what_cannot_run_is_refused(kept, tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"something else")
    with pytest.raises(WeightsError, match="neither a run folder nor an ONNX file"):
        open_network(tmp_path / "other.onnx")
    with pytest.raises(ConfigError, match=r"ONNX files run on the CPU only(?s:.*)openvino on cuda"):
        open_network(kept, "openvino", device="cuda")


def test_int8_says_what_it_costs(kept, files, tmp_path):
    measured = export_int8(kept, tmp_path / "a.onnx")
    metrics = read_json(open_run_folder(kept).metrics)
    assert measured["cases"] == metrics["cases"] == 12
    assert measured["macro AUROC in float32"] == pytest.approx(metrics["macro_auroc"]["value"], abs=1e-6)
    loss = measured["macro AUROC in float32"] - measured["macro AUROC in int8"]
    assert measured["loss of macro AUROC"] == pytest.approx(loss)
    assert abs(loss) < 0.2
    assert 0 < measured["largest change of a probability"] < 0.2
    table = predict(tmp_path / "a.onnx", files, tmp_path / "out").table
    exact = predict(kept, files, tmp_path / "exact", engine="torch").table
    np.testing.assert_allclose(probabilities(table), probabilities(exact), atol=0.2)
