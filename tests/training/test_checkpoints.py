"""Checkpoints: written whole on any file system, read without running code, and the best of those left continues."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from torch import nn

from ggcam.data.prepared import load_prepared
from ggcam.errors import BusyError, RunFolderError
from ggcam.training.checkpoints import BEST, LAST, PREVIOUS, CheckpointFiles, find_checkpoint, read_checkpoint
from ggcam.training.config import TrainConfig
from ggcam.training.run import Run, open_run
from ggcam.training.train import resume, train
from ggcam.utils import locks

CONFIG = TrainConfig(backbone="test_resnet", batch_size=16, epochs=4, early_stop_patience=9)


class Interrupted(Exception):
    pass


def interrupted_run(prepared: Path, out: Path, name: str) -> Path:
    def stop(row) -> None:
        if row["epoch"] == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(load_prepared(prepared), CONFIG, out, name, on_epoch=stop)
    return out / name


@pytest.fixture(scope="module")
def cut(prepared, tmp_path_factory) -> Path:
    """A run that was interrupted in its fourth and last epoch."""
    return interrupted_run(prepared, tmp_path_factory.mktemp("cut"), "cut")


@pytest.fixture
def copy(cut: Path, tmp_path: Path) -> Path:
    return shutil.copytree(cut, tmp_path / "copy")


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory) -> dict[str, torch.Tensor]:
    run = train(load_prepared(prepared), CONFIG, tmp_path_factory.mktemp("whole"))
    return state(run)


def state(run: Run) -> dict[str, torch.Tensor]:
    return torch.load(run.folder.weights, weights_only=True)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def content(epoch: int) -> dict:
    parts = {name: [] for name in ("optimizer_states", "lr_schedulers", "loops")}
    return {"epoch": epoch, "state_dict": nn.Linear(2, 1).state_dict(), "callbacks": {"Checkpoints": {}}, **parts}


def damage_none(path: Path) -> None:
    pass


def damage_truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def damage_flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def damage_remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "left"),
    [(damage_none, LAST), (damage_truncate, PREVIOUS), (damage_flip, PREVIOUS), (damage_remove, BEST)],
)
def test_whatever_checkpoint_is_left_a_resumed_run_ends_with_the_same_weights(copy, whole, caplog, damage, left):
    folder = copy / "checkpoints"
    damage(folder / LAST)
    if left == BEST:
        damage(folder / PREVIOUS)
    with caplog.at_level(logging.WARNING):
        assert same(state(resume(copy)), whole)
    assert (f"training continues from {left}" in caplog.text) is (left != LAST)
    assert [path.name for path in copy.rglob("*") if path.suffix in (".part", ".lock") or path.name == "lock"] == []


def test_where_no_checkpoint_can_be_used_the_message_says_how_to_go_on(copy, whole, caplog):
    for name in (LAST, PREVIOUS, BEST):
        damage_truncate(copy / "checkpoints" / name)
    with pytest.raises(RunFolderError, match=r"no checkpoint(.|\n)*truncated(.|\n)*hint: to train again"):
        resume(copy)
    shutil.rmtree(copy / "checkpoints")
    assert same(state(resume(copy)), whole)
    assert "training starts again" in caplog.text


class Payload:
    """A pickle that makes a folder when it is loaded the usual way."""

    def __init__(self, victim: Path):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize(
    "save", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))], ids=["pt", "pkl"]
)
def test_no_checkpoint_runs_code_when_a_run_is_resumed(copy, tmp_path, save):
    victim = tmp_path / "victim"
    pickle.loads(pickle.dumps(Payload(victim)))  # the payload works
    victim.rmdir()
    for name in (LAST, PREVIOUS, BEST):
        save({**content(1), "evil": Payload(victim)}, copy / "checkpoints" / name)
    with pytest.raises(RunFolderError, match="no checkpoint of the run can be used"):
        resume(copy)
    assert not victim.exists()


def test_a_finished_training_whose_best_checkpoint_is_hostile_runs_nothing(copy, tmp_path):
    """All epochs are done, so the best checkpoint alone is still to be read."""
    last = torch.load(copy / "checkpoints" / LAST, weights_only=True)
    assert last["epoch"] == 2
    victim = tmp_path / "victim"
    torch.save({**content(1), "evil": Payload(victim)}, copy / "checkpoints" / BEST)
    config = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(config.replace("epochs = 4", "epochs = 3"))
    with pytest.raises(RunFolderError, match=r"more than tensors(.|\n)*best.ckpt(.|\n)*nothing of it was run"):
        resume(copy)
    assert not victim.exists()


def test_a_checkpoint_of_an_earlier_version_or_of_another_network_is_refused(copy):
    last = copy / "checkpoints" / LAST
    old = torch.load(last, weights_only=True)
    for name in (PREVIOUS, BEST):
        (copy / "checkpoints" / name).unlink()
    torch.save({**old, "callbacks": {"ModelCheckpoint{}": {}}}, last)
    with pytest.raises(RunFolderError, match=r"earlier version(.|\n)*ggcam train --config"):
        resume(copy)
    torch.save({**old, "state_dict": {"weight": torch.zeros(2)}}, last)
    with pytest.raises(RunFolderError, match="belongs to another network"):
        resume(copy)
    torch.save({**old, "optimizer_states": [{"state": {}, "param_groups": []}]}, last)
    with pytest.raises(RunFolderError, match=r"cannot be restored(.|\n)*last.ckpt"):
        resume(copy)
    torch.save([1, 2], last)
    with pytest.raises(RunFolderError, match="not a checkpoint"):
        resume(copy)


def test_a_moved_run_remembers_its_best_epoch_and_names_no_absolute_path(copy, cut):
    moved = read_checkpoint(copy / "checkpoints" / LAST)
    assert moved["callbacks"]["Checkpoints"]["best"] is not None
    assert str(cut).encode() not in (copy / "checkpoints" / LAST).read_bytes()
    assert same(state(resume(copy)), state(resume(shutil.copytree(copy, copy.with_name("again")))))


def test_a_run_is_trained_by_one_process_at_a_time(copy, monkeypatch):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT_S", 0.0)
    with locks.locked_folder(copy), pytest.raises(BusyError, match="another ggcam command is at work"):
        resume(copy)
    assert not open_run(copy).folder.weights.exists()


def test_an_early_stop_holds_after_an_interruption(prepared, tmp_path, monkeypatch):
    """Killed after the last epoch, before the weights were written."""
    config = TrainConfig(backbone="test_resnet", batch_size=8, epochs=9, early_stop_patience=1)
    monkeypatch.setattr("ggcam.training.losses.macro_auroc", lambda *_: 0.7)
    run = train(load_prepared(prepared), config, tmp_path)
    assert len(run.history) == 2
    run.folder.weights.unlink()
    assert len(resume(run.folder.root).history) == 2


def test_a_write_that_fails_leaves_the_checkpoint_and_no_temporary_file(tmp_path, monkeypatch):
    files, path = CheckpointFiles(), tmp_path / "checkpoints" / LAST
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    files.save_checkpoint(content(0), path)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space") as raised:
            files.save_checkpoint(content(1), path)
    assert raised.value.filename == str(path)
    assert files.load_checkpoint(path)["epoch"] == 0
    files.save_checkpoint(content(1), path)
    assert {p.name: read_checkpoint(p)["epoch"] for p in path.parent.iterdir()} == {LAST: 1, PREVIOUS: 0}
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("fatal", range(3))
def test_killed_between_any_two_changes_to_the_disk_the_newest_whole_checkpoint_is_found(tmp_path, monkeypatch, fatal):
    files, path, module = CheckpointFiles(), tmp_path / LAST, nn.Linear(2, 1)
    for epoch in (0, 1):
        files.save_checkpoint(content(epoch), path)
    changes = iter(range(9))

    def killed_at(change):
        def wrapped(*arguments):
            if next(changes) == fatal:
                raise SystemExit
            return change(*arguments)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed_at(os.replace))
        patch.setattr(os, "fsync", killed_at(os.fsync))
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process cleans nothing up
        with pytest.raises(SystemExit):
            files.save_checkpoint(content(2), path)
    found = find_checkpoint(tmp_path, module)
    assert found is not None
    assert read_checkpoint(found)["epoch"] == 1
