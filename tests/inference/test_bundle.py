"""A bundle gives the numbers of its run, runs nothing, hides nothing, and says when it is broken."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import ggcam
from commands.calling import call, refusal
from ggcam.dicom_output.model_identity import read_model_identity
from ggcam.errors import BundleError, ConfigError, GGCamError
from ggcam.inference.bundle import MANIFEST, REQUIRED, WEIGHTS, is_bundle, open_bundle
from ggcam.inference.cached_onnx import read_cached_onnx
from ggcam.inference.run_onnx import cached_onnx
from ggcam.inference.write_bundle import write_bundle
from ggcam.training.config import read_train_config

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the trained run that has its NET.onnx already; it was trained with --keep-paths."""
    copy = tmp_path_factory.mktemp("bundled") / "run"
    shutil.copytree(trained, copy)
    cached_onnx(ggcam.open_run(copy))
    return copy


@pytest.fixture(scope="module")
def bundle(run: Path) -> Path:
    out = run.with_name("bundle")
    write_bundle(run, out)
    return out


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


@pytest.fixture(scope="module")
def images(simulated: Path) -> list[Path]:
    return sorted(simulated.rglob("*.dcm"))[:4]


def relist(bundle: Path, **changes: object) -> None:
    """Write the manifest anew, with the present bytes of the files that it lists."""
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["files"] = {name: hashlib.sha256((bundle / name).read_bytes()).hexdigest() for name in manifest["files"]}
    (bundle / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def test_the_files_of_a_bundle(bundle):
    assert sorted(path.name for path in bundle.iterdir()) == sorted(
        [*REQUIRED, "typicality.json", "typicality.npz", "README.md", "LICENSE", MANIFEST]
    )
    assert is_bundle(bundle)
    assert open_bundle(bundle).name == "run"


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
def test_every_engine_gives_the_numbers_of_the_run(run, bundle, images, engine):
    ours, theirs = (ggcam.load_predictor(path, engine=engine) for path in (run, bundle))
    assert theirs.engine == engine
    assert theirs.class_names == ours.class_names
    assert theirs.validation_marks == ours.validation_marks
    for a, b in zip(ours(images), theirs(images), strict=True):
        assert a.probabilities == b.probabilities
        assert a.unusual == b.unusual
        for name in a.cam_grid:
            np.testing.assert_array_equal(a.cam_grid[name], b.cam_grid[name])


def test_a_moved_bundle_is_predicted_by_the_command(copy, images, tmp_path, capsys):
    called = call(capsys, "predict", copy, *images, "--out", tmp_path / "answers")
    assert called.code == 0
    assert (tmp_path / "answers/predictions.csv").read_text().count("\n") == 5


def test_no_pickle_is_read(bundle, images, monkeypatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a pickle was read")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    predictor = ggcam.load_predictor(bundle, engine="torch")
    assert predictor(np.zeros((50, 50), np.uint8)).predicted in predictor.class_names


def test_its_onnx_file_needs_no_torch(bundle):
    code = (
        "import sys, numpy, ggcam\n"
        f"print(ggcam.load_predictor({str(bundle)!r}, device='cpu')(numpy.zeros((50, 50), numpy.uint8)).predicted)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


def test_it_tells_no_path_of_the_machine(run, trained, bundle):
    for path in bundle.iterdir():
        content = path.read_bytes()
        for place in (run.parent, trained.parent, Path.home()):
            assert os.fsencode(place) not in content, path


def test_its_options_repeat_the_training(run, bundle):
    _, config = read_train_config(bundle / "config.toml")
    ours = ggcam.open_run(run).config
    assert (config.backbone, config.seed, config.epochs) == (ours.backbone, ours.seed, ours.epochs)


def test_dicom_objects_identify_the_same_network(run, bundle):
    assert read_model_identity(bundle) == read_model_identity(run)


def test_it_is_verified(run, bundle):
    assert ggcam.verify(run, bundle, engines=["onnxruntime"]).passed


def test_card_and_licence_may_be_edited(copy):
    (copy / "README.md").write_text("# Mine")
    (copy / "LICENSE").unlink()
    assert open_bundle(copy).name == "run"


# --- broken bundles


def _missing(bundle: Path) -> None:
    (bundle / "calibration.json").unlink()


def _changed(bundle: Path) -> None:
    content = bytearray((bundle / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (bundle / WEIGHTS).write_bytes(content)


def _later_version(bundle: Path) -> None:
    relist(bundle, version=2)


def _another_format(bundle: Path) -> None:
    relist(bundle, format="other")


def _not_json(bundle: Path) -> None:
    (bundle / MANIFEST).write_text("{")


def _wrong_types(bundle: Path) -> None:
    relist(bundle, files=["model.onnx"])


def _incomplete_list(bundle: Path) -> None:
    relist(bundle, files={})


def _name_elsewhere(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    relist(bundle, files={**manifest["files"], "../../etc/passwd": "0" * 64})


def _absolute_name(bundle: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    relist(bundle, files={**manifest["files"], "/etc/passwd": "0" * 64})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_missing, r"a file of the bundle is missing\n  where: .*calibration.json"),
        (_changed, r"has changed since it was written\n  where: .*model.safetensors(?s:.*)hint: get the bundle again"),
        (_later_version, r"another version(?s:.*)expected: 1\n  got: 2"),
        (_another_format, "not a bundle of ggcam"),
        (_not_json, r"damaged\n  where: .*bundle.json"),
        (_wrong_types, r"bundle.json"),
        (_incomplete_list, "does not list all of its files"),
        (_name_elsewhere, r"names a file outside its folder(?s:.*)passwd"),
        (_absolute_name, r"names a file outside its folder(?s:.*)passwd"),
    ],
)
def test_a_broken_bundle_is_refused(copy, capsys, images, damage, message):
    damage(copy)
    with pytest.raises(BundleError, match=message):
        ggcam.load_predictor(copy)
    refusal(capsys, "predict", copy, images[0], "--out", copy.parent / "answers")


def test_weights_of_another_network_are_refused(copy):
    state = safetensors.torch.load_file(copy / WEIGHTS)
    state.pop("head.weight")
    safetensors.torch.save_file(state, copy / WEIGHTS)
    relist(copy)
    with pytest.raises(BundleError, match="cannot be loaded into the network"):
        ggcam.load_predictor(copy, engine="torch")


@pytest.mark.parametrize("name", ["network.json", "calibration.json", "typicality.json", "typicality.npz", WEIGHTS])
def test_damaged_content_with_a_matching_sum_is_an_error_in_words(copy, name):
    (copy / name).write_bytes(b'{"type": 5}')
    relist(copy)
    with pytest.raises(GGCamError, match=name.replace(".", r"\.")):
        ggcam.load_predictor(copy, engine="torch")


# --- writing


def test_the_command_writes_a_bundle_with_a_licence_and_verifies_it(run, tmp_path, capsys):
    (tmp_path / "terms.txt").write_text("CC BY 4.0\n")
    options = ("export", run, "--format", "bundle", "--out", tmp_path / "new/bundle")
    called = call(capsys, *options, "--license-file", tmp_path / "terms.txt")
    assert called.code == 0
    assert "gives the numbers of the run" in called.out
    assert (tmp_path / "new/bundle/LICENSE").read_text() == "CC BY 4.0\n"
    assert "exists already" in refusal(capsys, *options)
    refused = refusal(capsys, "export", run, "--format", "onnx", "--license-file", tmp_path / "terms.txt")
    assert "only a bundle has a licence" in refused
    assert sorted(path.name for path in (tmp_path / "new").iterdir() if path.name != "bundle.lock") == ["bundle"]


def test_an_interrupted_export_leaves_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_bundle(run, tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_is_no_bundle(run, tmp_path):
    (tmp_path / "bundle").write_text("")
    with pytest.raises(ConfigError, match="exists already"):
        write_bundle(run, tmp_path / "bundle")


def test_the_onnx_file_is_that_of_the_run(run, bundle):
    cached = read_cached_onnx(ggcam.open_run(run).folder)
    assert cached is not None
    assert open_bundle(bundle).onnx.read_bytes() == cached.content
