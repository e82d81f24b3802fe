"""The plateau schedule: against torch's own, and back to the best epoch, also after an interruption."""

from __future__ import annotations

from unittest.mock import Mock

import lightning
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ggcam.data.prepared import load_prepared
from ggcam.training.config import TrainConfig
from ggcam.training.lightning_module import GuidedTraining
from ggcam.training.plateau import Plateau
from ggcam.training.run import open_run
from ggcam.training.train import resume, train

SCHEDULE = {"schedule": "plateau", "patience": 1, "optimizer": "adam", "lr": 1e-2}


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.integers(0, 3).map(float) | st.just(float("nan")), min_size=1, max_size=30),
    st.sampled_from(["min", "max"]),
    st.integers(1, 4),
    st.integers(0, 30),
)
def test_it_drops_when_torchs_own_would_and_survives_an_interruption(values, mode, patience, interrupted):
    ours, theirs = optimizer(), optimizer()
    wanted = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, mode, factor=0.1, patience=patience, threshold=0, min_lr=1e-4, eps=0
    )
    plateau = Plateau("valid/x", mode, patience, min_lr=1e-4)
    for epoch, value in enumerate(values):
        if epoch == interrupted:
            kept = plateau.state_dict()
            plateau = Plateau("valid/x", mode, patience, min_lr=1e-4)
            plateau.load_state_dict(kept)
        trainer = Mock(lightning.Trainer, callback_metrics={"valid/x": torch.tensor(value)}, optimizers=[ours])
        plateau.on_train_epoch_end(trainer, Mock(lightning.LightningModule))
        wanted.step(value)
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"])


def final_state(run) -> dict:
    return torch.load(run.folder.last_checkpoint, weights_only=True)


def test_a_drop_brings_back_the_best_epochs_weights_and_optimizer(prepared, tmp_path, monkeypatch):
    config = TrainConfig(backbone="test_resnet", batch_size=8, epochs=6, reload_best=True, **SCHEDULE)
    seen = []
    drop = Plateau._drop

    def spy(self, trainer, module):
        before = {name: value.clone() for name, value in module.state_dict().items()}
        drop(self, trainer, module)
        best = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
        after, state = module.state_dict(), trainer.optimizers[0].state_dict()
        assert best["epoch"] < trainer.current_epoch
        assert any(not torch.equal(before[name], value) for name, value in after.items())
        assert all(torch.equal(best["state_dict"][name], value) for name, value in after.items())
        for key, moments in state["state"].items():
            kept = best["optimizer_states"][0]["state"][key]
            assert all(torch.equal(kept[name], moments[name]) for name in ("step", "exp_avg", "exp_avg_sq"))
        seen.append(state["param_groups"][0]["lr"])

    monkeypatch.setattr(Plateau, "_drop", spy)
    worse = iter([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    monkeypatch.setattr("ggcam.training.losses.macro_auroc", lambda *_: next(worse))
    run = train(load_prepared(prepared), config, tmp_path, "run")
    assert seen == pytest.approx([1e-3, 1e-4])
    assert run.history["learning_rate"].tolist() == pytest.approx([1e-2, 1e-2, 1e-2, 1e-3, 1e-3, 1e-4])


class Interrupted(Exception):
    pass


@pytest.mark.parametrize(("reload_best", "stop"), [(True, 2), (True, 3), (False, 3)])
def test_a_run_interrupted_around_a_drop_goes_on_to_the_very_state(prepared, tmp_path, monkeypatch, reload_best, stop):
    """Epochs 1 and 2 bring no gain: the rate drops at the end of epoch 2. It is lost and repeated, or kept."""
    scores = [0.9, 0.8, 0.7, 0.95, 0.6]
    data = load_prepared(prepared)
    config = TrainConfig(backbone="test_resnet", batch_size=8, epochs=5, reload_best=reload_best, **SCHEDULE)
    ended = GuidedTraining.on_validation_epoch_end

    def score(module):
        monkeypatch.setattr("ggcam.training.losses.macro_auroc", lambda *_: scores[module.current_epoch])
        return ended(module)

    monkeypatch.setattr(GuidedTraining, "on_validation_epoch_end", score)

    def interrupt(row):
        if row["epoch"] == stop:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(data, config, tmp_path, "cut", on_epoch=interrupt)
    assert final_state(open_run(tmp_path / "cut"))["epoch"] == stop - 1
    cut, whole = resume(tmp_path / "cut"), train(data, config, tmp_path, "whole")
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(final_state(cut)[part], final_state(whole)[part], rtol=0, atol=0)
    rates = [run.history["learning_rate"].tolist() for run in (cut, whole)]
    assert rates[0] == rates[1] == pytest.approx([1e-2, 1e-2, 1e-2, 1e-3, 1e-3])
