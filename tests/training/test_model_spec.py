"""The network of a run: described, built again, filled, or refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch

from ggcam.data.case import Frame
from ggcam.data.prepared import load_prepared
from ggcam.errors import ConfigError, MissingFileError, RunFolderError
from ggcam.run_folder import create_run_folder
from ggcam.training.model_spec import ModelSpec
from ggcam.training.run import open_run

DESCRIPTION = ModelSpec("test_resnet", ("a", "b"), Frame(64, 96))


def run_of(tmp_path, description):
    settings = {"data": "DATA", "train": {"epochs": 1}}
    return create_run_folder(tmp_path, "run", settings, description.to_dict())


def test_a_description_survives_the_run_folder(tmp_path):
    for number, description in enumerate(
        (
            DESCRIPTION,
            replace(DESCRIPTION, output_stride=16, num_stages=4, used_bits=12),
            replace(DESCRIPTION, channels=3, mean=(0.5, 0.4, 0.3), std=(0.2,)),
        )
    ):
        run = run_of(tmp_path / str(number), description)
        assert open_run(run.root).spec == description


def test_what_is_described_is_built():
    output = DESCRIPTION.build()(torch.zeros(2, 1, 64, 96))
    assert output.logits.shape == (2, 2)


def test_the_described_channels_and_statistics_are_built():
    model = replace(DESCRIPTION, channels=3, mean=(0.5, 0.4, 0.3), std=(0.2,)).build()
    image = torch.tensor([0.5, 0.4, 0.5]).reshape(1, 3, 1, 1).expand(1, 3, 64, 96)
    torch.testing.assert_close(model.standardise(image)[0, :, 0, 0], torch.tensor([0.0, 0.0, 1.0]))
    assert model(image).logits.shape == (1, 2)


def test_weights_come_back_as_they_were(tmp_path):
    run = run_of(tmp_path, DESCRIPTION)
    model = DESCRIPTION.build()
    torch.save(model.state_dict(), run.weights)
    loaded = open_run(run.root).load_model()
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_an_unfinished_run_says_how_to_finish_it(tmp_path):
    with pytest.raises(RunFolderError, match=r"no trained network yet(?s:.*)--resume"):
        open_run(run_of(tmp_path, DESCRIPTION).root).load_model()


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "other", "unsafe"])
def test_damaged_weights_are_refused(tmp_path, damage):
    run = run_of(tmp_path, DESCRIPTION)
    torch.save(DESCRIPTION.build().state_dict(), run.weights)
    whole = run.weights.read_bytes()
    if damage == "other":
        torch.save(replace(DESCRIPTION, class_names=("a", "b", "c")).build().state_dict(), run.weights)
    elif damage == "unsafe":
        torch.save({"weights": RunFolderError("an object is no weight")}, run.weights)
    else:
        run.weights.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "text": b"not weights"}[damage])
    with pytest.raises(RunFolderError, match="cannot be loaded into the network"):
        open_run(run.root).load_model()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"type": "resnet9999"}, ConfigError, "no network 'resnet9999'"),
        ({"class_names": 3}, RunFolderError, "invalid value for key class_names"),
        ({"class_names": ["x" * 200_000, "y"]}, RunFolderError, "up to 200,000 letters"),
        ({"frame": {"height_px": 64}}, RunFolderError, "key frame.width_px is missing"),
        ({"frame": {"height_px": "64", "width_px": 64}}, RunFolderError, "invalid value for key frame.height_px"),
        ({"frame": {"height_px": 64000, "width_px": 64000}}, RunFolderError, "64000x64000 is too large"),
        ({"frame": {"height_px": 65, "width_px": 64}}, RunFolderError, "not divisible by 32"),
        ({"type": None}, RunFolderError, "invalid value for key type"),
        ({"channels": 2}, RunFolderError, "invalid value for key channels"),
        ({"mean": [0.1, 0.2]}, RunFolderError, "invalid value for key mean"),
        ({"std": [0.0]}, RunFolderError, r"invalid value for key std(?s:.*)1 number above 0"),
    ],
)
def test_a_damaged_description_is_refused(tmp_path, change, error, message):
    run = run_of(tmp_path, DESCRIPTION)
    path = run.root / "params_CAMClassifier_.txt"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    run.weights.write_bytes(b"")
    with pytest.raises(error, match=message):
        open_run(run.root).load_model()


@pytest.mark.parametrize(
    ("content", "message"), [("{", "damaged"), ("[1]", "JSON object"), ("{}", "key type is missing")]
)
def test_a_description_that_is_no_json_object_is_refused(tmp_path, content, message):
    run = run_of(tmp_path, DESCRIPTION)
    (run.root / "params_CAMClassifier_.txt").write_text(content)
    with pytest.raises(RunFolderError, match=message):
        open_run(run.root)


def test_a_missing_description_is_named(tmp_path):
    run = run_of(tmp_path, DESCRIPTION)
    (run.root / "params_CAMClassifier_.txt").unlink()
    with pytest.raises((RunFolderError, MissingFileError), match="description of the network is missing"):
        open_run(run.root)


def test_other_classes_or_another_frame_are_refused(trained, prepared):
    data = load_prepared(prepared)
    ours = open_run(trained).spec
    ours.check_match(data)
    with pytest.raises(RunFolderError, match="different classes"):
        replace(ours, class_names=("a", "b", "c")).check_match(data)
    with pytest.raises(RunFolderError, match=r"different frame(?s:.*)32x64"):
        replace(ours, frame=Frame(32, 64)).check_match(data)


def test_a_finished_run_can_be_loaded_from_a_copy(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "checkpoints")
    open_run(tmp_path / "copy").load_model()
