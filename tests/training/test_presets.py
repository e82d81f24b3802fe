"""The presets: what they hold, and that each trains and leaves the original's files."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from ggcam.cli import main
from ggcam.data.prepared import load_prepared
from ggcam.data.view_config import ViewConfig
from ggcam.errors import ConfigError, WeightsError
from ggcam.guidance import create_guidance
from ggcam.models import original, original_weights
from ggcam.models.weight_files import read_state_dict
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining
from ggcam.training.presets import PRESETS, preset_in
from ggcam.training.run import open_run
from ggcam.training.train import start_guidance, train


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_hold_the_originals_schedule(name):
    config = PRESETS[name]
    assert (config.optimizer, config.batch_size, config.weight_decay, config.clip_norm) == ("adam", 4, 0, 0)
    assert (config.schedule, config.patience, config.min_lr, config.reload_best) == ("plateau", 40, 1e-8, True)
    assert (config.early_stop_patience, config.epochs, config.max_hours) == (83, 1024, 23.5)
    network = {"effnet": ("original-effnet-s", 6e-3), "resnet": ("original-resnet-50", 5e-3)}
    assert (config.backbone, config.lr) == network[name.split("-")[0]]
    assert not config.augment.active
    assert not config.pretrained


def test_arms_differ_in_guidance_alone_but_for_the_original_one():
    for net in ("effnet", "resnet"):
        corrected, baseline, old = (PRESETS[f"{net}-{arm}"] for arm in ("ggcam", "baseline", "original"))
        assert replace(corrected, guidance="none") == baseline
        assert (corrected.guidance, corrected.monitor) == ("ggcam", "auroc")
        assert replace(corrected, guidance="original", monitor="total", precision="32") == old


def test_a_preset_is_found_wherever_it_stands_and_no_other_word_is_taken_for_one():
    wanted = PRESETS["effnet-ggcam"]
    for line in (
        "train D --preset effnet-ggcam",
        "train --preset=effnet-ggcam D --lr 1",
        "train --lr 1 --preset effnet-ggcam",
    ):
        assert preset_in(line.split()) == wanted
    for line in (
        "train effnet-ggcam",
        "train --preset",
        "train --preset=",
        "train --preset effnet-gcam",
        "",
        "--preset x",
    ):
        assert preset_in(line.split()) == TrainConfig()


def test_other_flags_override_a_preset_even_with_a_value_that_is_the_default(prepared, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("ggcam.training.train.train", lambda data, config, *_, **__: asked.append(config))
    monkeypatch.setattr("ggcam.training.trainer.is_first_process", lambda: False)
    default = TrainConfig()
    main(
        [
            "train",
            str(prepared),
            "--preset",
            "resnet-ggcam",
            "--batch-size",
            str(default.batch_size),
            "--no-reload-best",
        ]
    )
    main(["train", str(prepared), "--preset", "effnet-original"])
    main(["train", str(prepared)])
    wanted = replace(PRESETS["resnet-ggcam"], batch_size=default.batch_size, reload_best=False)
    assert asked == [wanted, PRESETS["effnet-original"], default]


def test_a_typo_lists_the_presets(prepared, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", str(prepared), "--preset", "resnet-gcam"])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert "resnet-gcam" in printed
    assert all(name in printed for name in PRESETS)


def test_a_preset_and_a_config_file_or_a_resumed_run_exclude_each_other(trained, capsys):
    for flag in (("--config", trained / "config.toml"), ("--resume", trained)):
        with pytest.raises(SystemExit) as stopped:
            main(["train", "--preset", "effnet-ggcam", *map(str, flag)])
        assert stopped.value.code == 2
        assert flag[0] in capsys.readouterr().err


@pytest.mark.parametrize("name", ["effnet-ggcam", "resnet-original"])
def test_a_preset_writes_the_originals_run_folder(prepared, tmp_path, name, caplog):
    main(
        [
            "train",
            str(prepared),
            "--preset",
            name,
            "--epochs",
            "1",
            "--batch-size",
            "8",
            "--train-cases",
            "8",
            "--out",
            str(tmp_path),
            "--name",
            "a",
        ]
    )
    run = open_run(tmp_path / "a")
    params, results = {"effnet-ggcam": ("EffCAMNet", "ENetCAM_S"), "resnet-original": ("ResCAMNet", "RNetCAM_50")}[name]
    assert run.folder.results.name.rsplit("_", 1)[0] == results
    assert len(run.folder.results.name.rsplit("_", 1)[1]) == 5
    files = {path.name for path in run.folder.root.iterdir() if path.is_file()}
    assert {"params_NetLearn_.txt", f"params_{params}_.txt", "QuickHelper_summary.txt"} <= files
    assert {path.name for path in run.folder.results.iterdir()} == {
        *("classification_report.json", "classification_results.csv", "NET.pt", "training_process.png"),
    }
    assert json.loads((run.folder.root / f"params_{params}_.txt").read_text())["reduction"] == "mean"
    assert sum("Use it only to compare with old" in record.message for record in caplog.records) == (
        name == "resnet-original"
    )
    # The file is the original's, and it is the network that was evaluated.
    ours, theirs = run.load_model(), original_weights.load(run.folder.weights)
    assert original_weights.identify(read_state_dict(run.folder.weights))[0].type == results.split("_")[1]
    image = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    torch.testing.assert_close(ours(image), theirs(image))
    best = torch.load(run.folder.checkpoints / "best.ckpt", weights_only=True)["state_dict"]
    scalars = original_weights.scalars_in_state(torch.load(run.folder.weights))
    assert scalars["lg_sigma_dissimilarity"] == best["guidance.log_sigma_guidance"]
    assert "valid_total" in run.history


@pytest.mark.parametrize("name", ["effnet-original", "resnet-ggcam", "effnet-baseline", "resnet-baseline"])
def test_the_other_presets_train_a_small_network(prepared, tmp_path, name):
    run = train(load_prepared(prepared), replace(PRESETS[name], backbone="test_resnet", epochs=1), tmp_path)
    assert run.load_model()(torch.zeros(1, 1, 64, 64, dtype=torch.uint8)).logits.isfinite().all()


def test_training_goes_on_from_a_file_of_the_originals_scalars_and_all(prepared, tmp_path):
    network = original.NETWORKS["original-resnet-18"]
    scalars = {name: torch.tensor(float(i)) for i, name in enumerate(original_weights.LOSS_SCALARS)}
    state = original_weights.original_state_dict(original.create_classifier(network), scalars)
    torch.save(state, tmp_path / "old.pt")
    config = TrainConfig(
        backbone="original-resnet-18",
        guidance="original",
        weights=tmp_path / "old.pt",
        epochs=1,
        batch_size=8,
        lr=1e-12,
        view=ViewConfig(train_cases=8),
    )
    run = train(load_prepared(prepared), config, tmp_path)
    after = torch.load(run.folder.weights)
    for key, value in state.items():
        if "running" not in key and "tracked" not in key:
            torch.testing.assert_close(after[key], value, msg=key)


def test_no_other_loss_starts_from_the_scalars_of_one_that_drowns_the_classification(tmp_path):
    model = original.create_classifier(original.NETWORKS["original-resnet-18"])
    torch.save(
        original_weights.original_state_dict(model, {"lg_sigma_dissimilarity": torch.tensor(-23.0)}),
        tmp_path / "old.pt",
    )
    for guidance, start in (("ggcam", math.log(0.1)), ("original", -23.0)):
        module = GuidedTraining(model, create_guidance(guidance), TrainConfig(), (64, 64))
        start_guidance(module, tmp_path / "old.pt")
        assert module.guidance.log_sigma_guidance.item() == pytest.approx(start)


def test_weights_of_another_type_or_class_count_are_refused_before_anything_is_written(prepared, tmp_path):
    network = original.NETWORKS["original-resnet-18"]
    torch.save(original_weights.original_state_dict(original.create_classifier(network, 2)), tmp_path / "two.pt")
    for backbone, message in (
        ("original-resnet-18", r"linear.bias has shape \[2\]"),
        ("original-effnet-s", "is missing"),
    ):
        config = TrainConfig(backbone=backbone, weights=tmp_path / "two.pt")
        with pytest.raises(WeightsError, match=message):
            train(load_prepared(prepared), config, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "original-resnet-51"}, "no original network"),
        ({"reduction": "sum"}, "average over channels"),
        ({"output_stride": 8}, "(?i)stride"),
        ({"pretrained": True}, "no pretrained weights"),
    ],
)
def test_options_that_the_originals_networks_do_not_have_are_refused(prepared, tmp_path, options, message):
    config = TrainConfig(**{"backbone": "original-resnet-18", **options})
    with pytest.raises(ConfigError, match=message):
        train(load_prepared(prepared), config, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_run_may_be_limited_in_time(prepared, tmp_path):
    config = TrainConfig(backbone="test_resnet", batch_size=8, epochs=50, max_hours=1e-9)
    assert len(train(load_prepared(prepared), config, tmp_path).history) == 1


def test_the_cam_of_any_network_may_take_the_mean(prepared, tmp_path):
    config = TrainConfig(backbone="test_resnet", batch_size=8, epochs=1, reduction="mean")
    run = train(load_prepared(prepared), config, tmp_path)
    assert run.load_model().head.reduction == "mean"
    assert run.folder.model_settings["reduction"] == "mean"
