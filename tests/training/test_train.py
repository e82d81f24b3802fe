"""Training from a prepared folder to a run folder: repeatable, resumable, the same on two processes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from commands.calling import refusal
from ggcam.cli import main
from ggcam.data.augment_config import AugmentConfig
from ggcam.data.prepared import load_prepared
from ggcam.data.view_config import ViewConfig
from ggcam.data.views import with_train_cases
from ggcam.errors import ConfigError, PreparedFolderError, RunFolderError
from ggcam.evaluation.evaluate import evaluate
from ggcam.models.cam import CAMClassifier
from ggcam.run_folder import open_run_folder
from ggcam.training.config import TrainConfig
from ggcam.training.run import open_run
from ggcam.training.train import resume, train

TINY = {"backbone": "test_resnet", "batch_size": 8}
TINY_FLAGS = ("--backbone", "test_resnet", "--batch-size", "8", "--accelerator", "cpu")


def ggcam(*arguments: object, **options) -> subprocess.Popen:
    source = Path(__file__).parents[2] / "src"
    one_process = {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    environment = {**os.environ, "PYTHONPATH": str(source), **one_process}
    command = [sys.executable, "-m", "ggcam", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(open_run_folder(run).weights, weights_only=True)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_folder_holds_the_files_that_the_original_wrote(prepared, tmp_path):
    run = train(load_prepared(prepared), TrainConfig(**TINY, epochs=2), tmp_path, "mine")
    assert run.folder.root == tmp_path / "mine"
    assert json.loads((run.folder.root / "params_NetLearn_.txt").read_text())["guidance"] == "ggcam-cc"
    described = json.loads((run.folder.root / "params_CAMClassifier_.txt").read_text())
    assert described["class_names"] == ["Normal", "CHF", "pneumonia"]
    assert "torch: " in (run.folder.root / "QuickHelper_summary.txt").read_text()
    assert run.folder.results.name.startswith("CAMClassifier_test_resnet_")
    assert run.folder.weights.is_file()
    assert run.folder.training_plot.stat().st_size > 10_000
    assert {path.name for path in run.folder.checkpoints.iterdir()} == {"best.ckpt", "last.ckpt", "previous.ckpt"}
    history = pd.read_csv(run.folder.history)
    assert history["epoch"].tolist() == [0, 1]
    assert np.isfinite(history.to_numpy()).all()
    assert list(run.folder.root.glob("logs/tensorboard/events*"))
    assert list(run.folder.root.glob("logs/version_0/metrics.csv"))


def test_the_saved_network_is_that_of_the_best_epoch(prepared, tmp_path):
    run = train(load_prepared(prepared), TrainConfig(**TINY, epochs=3), tmp_path)
    best = torch.load(run.folder.checkpoints / "best.ckpt", weights_only=True)
    history = pd.read_csv(run.folder.history)
    assert best["epoch"] == history["valid_macro_auroc"].idxmax()
    assert same(
        weights(run.folder.root),
        {key.removeprefix("model."): v for key, v in best["state_dict"].items() if key.startswith("model.")},
    )


def test_a_run_trains_on_its_arrangement_and_its_pair_on_the_same(prepared, tmp_path):
    data = load_prepared(prepared)
    few = ViewConfig(train_cases=16, view_seed=2)
    viewed = train(data, TrainConfig(**TINY, epochs=1, view=few), tmp_path)
    by_hand = train(with_train_cases(data, 16, 2), TrainConfig(**TINY, epochs=1), tmp_path)
    assert same(weights(viewed.folder.root), weights(by_hand.folder.root))
    for guidance, alike in (("none", True), ("ggcam-cc", False)):
        runs = [
            train(data, TrainConfig(**TINY, epochs=1, guidance=guidance, view=ViewConfig(control)), tmp_path)
            for control in ("none", "shuffled-gaze")
        ]
        assert same(*(weights(run.folder.root) for run in runs)) is alike


def test_one_seed_gives_one_network_and_leaves_the_global_generator_alone(prepared, tmp_path):
    data = load_prepared(prepared)
    torch.manual_seed(17)
    before = torch.get_rng_state()
    config = TrainConfig(**TINY, epochs=1, augment=AugmentConfig(rotate_deg=5, shift=0.05), seed=4)
    runs = [train(data, config, tmp_path) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert same(weights(runs[0].folder.root), weights(runs[1].folder.root))
    other = train(data, TrainConfig(**TINY, epochs=1, seed=5), tmp_path)
    assert not same(weights(runs[0].folder.root), weights(other.folder.root))


def test_guidance_alone_tells_two_arms_apart(prepared, tmp_path):
    """Arms of a comparison share their initial weights and their batches; only the loss differs."""
    data = load_prepared(prepared)
    rates = {"lr": 1e-12, "weight_decay": 0.0, "precision": "32"}
    runs = [train(data, TrainConfig(**TINY, epochs=1, guidance=g, **rates), tmp_path, g) for g in ("none", "ggcam-cc")]
    histories = [pd.read_csv(run.folder.history) for run in runs]
    # With a rate of nothing both saw the same batches through the same weights.
    assert histories[0]["train_classification"][0] == pytest.approx(histories[1]["train_classification"][0], rel=1e-5)
    assert histories[0]["train_guidance"][0] == 0
    assert histories[1]["train_guidance"][0] > 0.1


@pytest.mark.parametrize(
    "options",
    [
        {"guidance": "ggcam", "schedule": "plateau", "monitor": "loss", "early_stop_patience": 1},
        {"guidance": "none", "schedule": "constant", "optimizer": "adam", "clip_norm": 0.0, "sigma_px": 4.0},
        {"backbone": "test_vit", "precision": "32", "cache": "none", "workers": 0},
        {"precision": "bf16", "clip_norm": 1.0, "checkpointing": True},
    ],
)
def test_every_choice_trains(prepared, tmp_path, options):
    run = train(load_prepared(prepared), TrainConfig(**{**TINY, "epochs": 2, **options}), tmp_path)
    assert isinstance(run.load_model(), CAMClassifier)


@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="there is no C++ compiler")
def test_a_compiled_network_learns_the_same_and_keeps_its_names(prepared, tmp_path):
    """In a process of its own: the compiler does not get through the checks of shapes that tests run under."""
    few_layers = {"num_stages": 1, "precision": "32"}  # each layer takes seconds to compile
    train(load_prepared(prepared), TrainConfig(**TINY, epochs=1, **few_layers), tmp_path, "plain")
    flags = [*TINY_FLAGS, "--epochs", "1", "--precision", "32", "--num-stages", "1", "--out", tmp_path]
    done = ggcam("train", prepared, *flags, "--name", "compiled", "--compile")
    _, errors = done.communicate()
    assert done.returncode == 0, errors.decode()
    plain, compiled = (pd.read_csv(tmp_path / name / "history.csv") for name in ("plain", "compiled"))
    for column in ("train_total", "valid_classification", "valid_guidance"):
        assert compiled[column].to_numpy() == pytest.approx(plain[column].to_numpy(), rel=1e-3)
    assert set(weights(tmp_path / "compiled")) == set(weights(tmp_path / "plain"))


def test_a_run_killed_midway_goes_on_to_the_very_weights_of_an_uninterrupted_one(prepared, tmp_path):
    flags = [*TINY_FLAGS, "--epochs", "12", "--rotate-deg", "5", "--out"]
    process = ggcam("train", prepared, *flags, tmp_path, "--name", "killed")
    run = tmp_path / "killed"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (
        (run / "history.csv").is_file() and len(pd.read_csv(run / "history.csv")) >= 3
    ):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not open_run_folder(run).weights.is_file()
    assert (run / "checkpoints" / "last.ckpt").is_file()
    for arguments in (("--resume", run), (prepared, *flags, tmp_path, "--name", "whole")):
        main(["train", *map(str, arguments)])
    assert same(weights(run), weights(tmp_path / "whole"))
    columns = ["epoch", "learning_rate", "train_total", "valid_macro_auroc"]
    killed, whole = (pd.read_csv(tmp_path / name / "history.csv")[columns] for name in ("killed", "whole"))
    pd.testing.assert_frame_equal(killed, whole)


@pytest.mark.parametrize("guidance", ["unet", "gaze-crop"])
def test_layers_and_random_numbers_of_a_guidance_follow_the_seed_alone(prepared, tmp_path, guidance):
    """One has layers of its own, the other draws in each step; the second run is interrupted and continued."""
    config = TrainConfig(**TINY, epochs=3, guidance=guidance)
    train(load_prepared(prepared), config, tmp_path, "whole")
    torch.rand(7)  # what the caller drew before makes no difference

    def interrupt(row: dict[str, float]) -> None:
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(load_prepared(prepared), config, tmp_path, "interrupted", on_epoch=interrupt)
    resume(tmp_path / "interrupted")
    columns = ["epoch", "learning_rate", "train_total", "valid_macro_auroc"]
    whole, continued = (pd.read_csv(tmp_path / name / "history.csv")[columns] for name in ("whole", "interrupted"))
    pd.testing.assert_frame_equal(whole, continued)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "interrupted"))


def test_two_processes_give_the_metrics_of_one(prepared, tmp_path):
    """A network without batch norm, in float32: what remains is the order of sums."""
    flags = [*TINY_FLAGS, "--backbone", "test_vit", "--epochs", "2", "--precision", "32", "--out"]
    main(["train", *map(str, (prepared, *flags, tmp_path)), "--name", "one", "--devices", "1"])
    process = ggcam("train", prepared, *flags, tmp_path, "--name", "two", "--devices", "2", "--strategy", "ddp")
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    times = ["seconds", "data_wait_fraction"]
    histories = [pd.read_csv(tmp_path / name / "history.csv").drop(columns=times) for name in ("one", "two")]
    pd.testing.assert_frame_equal(*histories, rtol=1e-3)
    metrics = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two")]
    assert metrics[0]["macro_auroc"]["value"] == pytest.approx(metrics[1]["macro_auroc"]["value"], abs=1e-3)


def test_a_finished_run_is_left_as_it_is(trained):
    before = open_run_folder(trained).weights.stat().st_mtime_ns
    resume(trained)
    assert open_run_folder(trained).weights.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance": "gradcam"}, "there is no guidance"),
        ({"backbone": "resnet_10"}, "no network 'resnet_10' in timm"),
        ({"output_stride": 7}, "cannot be built"),
        ({"accelerator": "gpu", "devices": "9"}, "not supported on this machine"),
        ({"strategy": "quantum"}, "not supported on this machine"),
    ],
)
def test_invalid_options_are_refused_before_anything_is_written(prepared, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        train(load_prepared(prepared), TrainConfig(**{**TINY, **options}), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_diverging_run_raises_an_error(prepared, tmp_path):
    with pytest.raises(ConfigError, match="training diverged in epoch 1"):
        train(load_prepared(prepared), TrainConfig(**TINY, lr=1e30, clip_norm=0.0, schedule="constant"), tmp_path)


OWN_GUIDANCE = """
import torch
from ggcam import Guidance, cam_gaze_loss

class Shifted(Guidance):
    def __init__(self, weight=1.0):
        super().__init__(weight)
        self.shift = torch.nn.Parameter(torch.tensor(0.5))

    def dissimilarity(self, output, labels, density):
        error = cam_gaze_loss(output.cam_for_labels(labels) + self.shift, density, "mse", reduction="none")
        return error + cam_gaze_loss(output.cam_for_labels(labels), density, reduction="none")
"""


def test_a_guidance_of_ones_own_trains_by_its_name_alone(prepared, tmp_path, monkeypatch, capsys):
    """From the command line, in a folder of its own; a run folder alone does not make it imported."""
    (tmp_path / "own_guidance.py").write_text(OWN_GUIDANCE)
    flags = [*TINY_FLAGS, "--epochs", "2", "--guidance", "own_guidance:Shifted", "--out", "runs", "--name", "whole"]
    process = ggcam("train", prepared, *flags, cwd=tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    run = open_run(tmp_path / "runs" / "whole")
    assert run.config.guidance == "own_guidance:Shifted"
    shift = torch.load(run.folder.checkpoints / "best.ckpt", weights_only=True)["state_dict"]["guidance.shift"]
    assert shift != 0.5  # it is trained with the network
    assert run.history["train_guidance"].min() > 0

    cut = Path(shutil.copytree(run.folder.root, tmp_path / "runs" / "cut"))
    open_run(cut).folder.weights.unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="pass --guidance own_guidance:Shifted"):
        resume(cut)
    assert "pass --guidance own_guidance:Shifted" in refusal(capsys, "train", prepared, "--config", cut / "config.toml")
    assert "own_guidance" not in sys.modules
    process = ggcam("train", "--resume", cut, "--guidance", "own_guidance:Shifted", cwd=tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    assert same(weights(cut), weights(run.folder.root))
    again = torch.load(cut / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]["guidance.shift"]
    assert again == shift


@pytest.mark.parametrize("checkpointing", [False, True])
def test_on_a_cpu_freed_memory_is_kept_during_the_training_unless_memory_is_short(
    prepared, tmp_path, monkeypatch, checkpointing
):
    @contextmanager
    def kept() -> Iterator[None]:
        events.append("begin")
        yield
        events.append("end")

    events: list[str] = []
    monkeypatch.setattr("ggcam.training.trainer.all_freed_memory_kept", kept)
    config = TrainConfig(**TINY, epochs=2, accelerator="cpu", checkpointing=checkpointing)
    train(load_prepared(prepared), config, tmp_path, on_epoch=lambda _: events.append("epoch"))
    assert events == (["epoch"] * 2 if checkpointing else ["begin", "epoch", "epoch", "end"])


def test_nothing_is_printed(prepared, tmp_path, capfd):
    evaluate(train(load_prepared(prepared), TrainConfig(**TINY, epochs=1), tmp_path))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_taken_name_is_refused_and_what_is_there_stays(prepared, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunFolderError, match="already taken"):
        train(load_prepared(prepared), TrainConfig(**TINY), tmp_path, "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_resumed_run_whose_data_are_gone_says_so(prepared, tmp_path):
    run = train(load_prepared(prepared), TrainConfig(**TINY, epochs=1), tmp_path, "mine")
    run.folder.weights.unlink()
    config = run.folder.root / "config.toml"
    config.write_text(re.sub('^data = ".*"$', 'data = "../gone"', config.read_text(), flags=re.MULTILINE))
    with pytest.raises(PreparedFolderError, match="gone"):
        resume(run.folder.root)
