"""Precision auto: measured once, recorded in the run, and without a trace in the network or the random numbers."""

from __future__ import annotations

import copy
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ggcam.data.prepared import PreparedData, load_prepared
from ggcam.models.cam import CAMClassifier
from ggcam.study.folder import StudyFolder
from ggcam.study.plan import plan_study, write_plan
from ggcam.study.precision import with_shared_precision
from ggcam.training import precision as module
from ggcam.training.config import TrainConfig
from ggcam.training.initial_model import build_initial_model
from ggcam.training.model_spec import ModelSpec
from ggcam.training.precision import measure_step, with_measured_precision
from ggcam.training.run import open_run
from ggcam.training.train import resume, train

CONFIG = TrainConfig(backbone="test_resnet", batch_size=8, epochs=1, accelerator="cpu")


@pytest.fixture(scope="module")
def data(prepared: Path) -> PreparedData:
    return load_prepared(prepared)


@pytest.fixture(scope="module")
def spec(data) -> ModelSpec:
    return ModelSpec.from_config(CONFIG, data)


@pytest.fixture(scope="module")
def model(spec) -> CAMClassifier:
    return build_initial_model(spec, CONFIG)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GGCAM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "training_precision.json"


@pytest.fixture
def seconds(monkeypatch) -> dict[str, float]:
    """Seconds of a step with each precision, in place of a measurement; "calls" counts those."""
    found = {"32": 1.0, "bf16": 0.5, "calls": 0}

    def measured(*_: object) -> dict[str, float]:
        found["calls"] += 1
        return found

    monkeypatch.setattr(module, "measure_step", measured)
    return found


@pytest.mark.parametrize(
    ("bf16", "chosen"), [(0.5, "bf16"), (0.89, "bf16"), (0.91, "32"), (1.3, "32"), (torch.inf, "32")]
)
def test_bfloat16_is_chosen_if_it_is_clearly_faster(spec, model, cache, seconds, bf16, chosen):
    seconds["bf16"] = bf16
    assert with_measured_precision(CONFIG, spec, model, 1) == replace(CONFIG, precision=chosen)


def test_what_was_measured_is_kept_for_this_network_and_size(spec, model, cache, seconds):
    assert with_measured_precision(CONFIG, spec, model, 1).precision == "bf16"
    seconds["bf16"] = 5.0
    assert with_measured_precision(CONFIG, spec, model, 1).precision == "bf16"
    assert with_measured_precision(replace(CONFIG, seed=5, lr=0.1), spec, model, 1).precision == "bf16"
    assert seconds["calls"] == 1
    ((key, value),) = json.loads(cache.read_text()).items()
    assert all(part in key for part in ("backbone test_resnet", "64x64", torch.__version__))
    assert value["precision"] == "bf16"
    larger = replace(spec, frame=type(spec.frame)(96, 64))
    for other, config in (
        (larger, CONFIG),
        (spec, replace(CONFIG, checkpointing=True)),
        (spec, replace(CONFIG, batch_size=2)),
    ):
        assert with_measured_precision(config, other, model, 1).precision == "32"
    assert (seconds["calls"], len(json.loads(cache.read_text()))) == (4, 4)


@pytest.mark.parametrize("content", ["{", '{"%s": 3}', '{"%s": {"precision": "fp8"}}'])
def test_a_damaged_cache_is_measured_again(spec, model, cache, seconds, content):
    with_measured_precision(CONFIG, spec, model, 1)
    (key,) = json.loads(cache.read_text())
    cache.write_text(content.replace("%s", key))
    assert with_measured_precision(CONFIG, spec, model, 1).precision == "bf16"
    assert seconds["calls"] == 2


def test_nothing_is_measured_where_the_choice_is_made_or_processes_must_agree(spec, model, cache, seconds, monkeypatch):
    for name in ("32", "bf16"):
        assert with_measured_precision(replace(CONFIG, precision=name), spec, model, 1).precision == name
    for native, name in ((True, "bf16"), (False, "32")):
        monkeypatch.setattr(module, "has_bf16_instructions", lambda _, native=native: native)
        assert with_measured_precision(CONFIG, spec, model, 2).precision == name
    assert with_measured_precision(replace(CONFIG, accelerator="mps"), spec, model, 1).precision == "32"
    assert seconds["calls"] == 0


def test_a_measurement_leaves_no_trace(model):
    def draw(*_: object) -> None:
        torch.rand(3)  # as dropout does

    model = copy.deepcopy(model).train()
    model.backbone.register_forward_hook(draw)
    before, generator = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    seconds = measure_step(model, (2, 1, 64, 64), torch.device("cpu"))
    assert all(0 < value < 60 for value in seconds.values())
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_network_that_bfloat16_cannot_compute_is_trained_in_float32(spec, model):
    def refuse(_module, _inputs, output):
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("not implemented for 'BFloat16'")

    broken = copy.deepcopy(model)
    broken.backbone.register_forward_hook(refuse)
    seconds = measure_step(broken, (2, 1, 64, 64), torch.device("cpu"))
    assert seconds["bf16"] == torch.inf


def test_a_run_records_the_choice_and_a_resumed_one_keeps_it(data, tmp_path, cache, seconds):
    run = train(data, CONFIG, tmp_path, "mine")
    assert tomllib.loads(run.folder.config.read_text())["train"]["precision"] == "bf16"
    assert torch.load(run.folder.checkpoints / "last.ckpt", weights_only=True)["epoch"] == 0
    by_hand = train(data, replace(CONFIG, precision="bf16"), tmp_path, "by-hand")
    assert run.folder.weights.read_bytes() == by_hand.folder.weights.read_bytes()
    seconds["bf16"] = 5.0
    cache.unlink()
    run.folder.weights.unlink()
    assert resume(run.folder.root).config.precision == open_run(run.folder.root).config.precision == "bf16"
    assert seconds["calls"] == 1


def test_a_study_measures_once_and_keeps_the_choice(data, tmp_path, cache, seconds):
    study = StudyFolder(tmp_path / "study")
    plan = plan_study(CONFIG, ["none", "ggcam-cc"], 2)
    chosen = with_shared_precision(data, plan, study)
    assert {run.config.precision for run in chosen.runs} == {"bf16"}
    assert seconds["calls"] == 1
    study.root.mkdir()
    write_plan(study.plan, chosen, {"root": "data", "sha256": "0"})
    seconds["bf16"] = 5.0
    cache.unlink()
    more = plan_study(CONFIG, ["none", "ggcam-cc"], 3)
    assert {run.config.precision for run in with_shared_precision(data, more, study).runs} == {"bf16"}
    given = plan_study(replace(CONFIG, precision="32"), ["none"], 1)
    assert with_shared_precision(data, given, study) == given
    assert seconds["calls"] == 1
