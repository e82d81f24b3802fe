import time
from unittest.mock import Mock

import pytest
from lightning import LightningModule, Trainer

from ggcam.training.history import History


def test_the_share_of_waiting_is_the_time_between_steps(tmp_path, monkeypatch):
    trainer = Mock(spec=Trainer, current_epoch=0, callback_metrics={}, is_global_zero=True)
    trainer.optimizers = [Mock(param_groups=[{"lr": 0.1}])]
    module = Mock(spec=LightningModule)
    # The epoch starts; 3 s until a batch, 1 s for it; 2 s until the next, 4 s for it; 1 s of validation.
    clock = iter([0.0, 3.0, 4.0, 6.0, 10.0, 11.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    history = History(tmp_path / "history.csv")
    history.on_train_epoch_start(trainer, module)
    for step in range(2):
        history.on_train_batch_start(trainer, module, None, step)
        history.on_train_batch_end(trainer, module, None, None, step)
    history.on_train_epoch_end(trainer, module)
    assert history.rows == [
        {"epoch": 0, "learning_rate": 0.1, "seconds": 11.0, "data_wait_fraction": pytest.approx(0.5)}
    ]
