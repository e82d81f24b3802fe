"""The run folder before training, and damaged run folders."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path

import pytest

from ggcam.errors import RunFolderError
from ggcam.run_folder import create_run_folder, open_run_folder, random_code
from ggcam.utils.atomic import atomic_write

SETTINGS = {"data": Path("some/DATA"), "train": {"epochs": 3, "weights": None, "augment": {"zoom": 0.1}}}
DESCRIPTION = {"net": "CAMClassifier", "type": "hf/resnet18", "class_names": ("a", "b")}


def created(tmp_path: Path, name: str | None = "mine"):
    return create_run_folder(tmp_path, name, {**SETTINGS, "data": tmp_path / "some/DATA"}, DESCRIPTION)


def test_a_new_run_has_its_names_and_settings(tmp_path):
    run = created(tmp_path)
    assert run.root == tmp_path / "mine"
    assert run.results.parent == run.root
    assert run.results.name.startswith("CAMClassifier_hf_resnet18_")
    assert len(run.results.name.rsplit("_", 1)[1]) == 5
    assert json.loads((run.root / "params_NetLearn_.txt").read_text())["epochs"] == 3
    assert json.loads((run.root / "params_CAMClassifier_.txt").read_text())["class_names"] == ["a", "b"]
    settings = tomllib.loads((run.root / "config.toml").read_text())
    assert settings["data"] == "../some/DATA"
    assert settings["train"] == {"epochs": 3, "augment": {"zoom": 0.1}}


def test_opening_finds_what_was_created(tmp_path):
    run, opened = created(tmp_path), open_run_folder(tmp_path / "mine")
    assert opened == run
    assert opened.data_root == tmp_path / "some/DATA"
    assert opened.model_settings["type"] == "hf/resnet18"


def test_absolute_paths_are_recorded_only_if_they_are_wanted(tmp_path):
    train = {**SETTINGS["train"], "weights": Path("/home/me/net.pt")}
    run = create_run_folder(tmp_path, "short", {"data": Path("/else/where"), "train": train}, DESCRIPTION)
    assert (run.settings["data"], run.settings["train"]["weights"]) == ("", "net.pt")
    with pytest.raises(RunFolderError, match=r"does not record where its data are(.|\n)*--data"):
        _ = run.data_root
    settings = {"data": Path("/else/where"), "train": {**train, "keep_paths": True}}
    run = create_run_folder(tmp_path, "long", settings, DESCRIPTION)
    assert run.data_root == Path("/else/where")
    assert run.settings["train"]["weights"] == "/home/me/net.pt"


def test_unnamed_runs_get_names_of_their_own(tmp_path):
    names = {created(tmp_path, None).root.name for _ in range(5)}
    assert len(names) == 5
    assert all(len(name) == 5 for name in names)
    assert len({random_code() for _ in range(100)}) == 100


def test_an_empty_folder_may_become_a_run(tmp_path):
    (tmp_path / "mine").mkdir()
    created(tmp_path)


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".", "/a", ".."])
def test_an_invalid_name_is_refused(tmp_path, name):
    with pytest.raises(RunFolderError):
        create_run_folder(tmp_path / "in", name, SETTINGS, DESCRIPTION)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_is_refused_and_left_alone(tmp_path):
    run = created(tmp_path)
    before = sorted(run.root.rglob("*"))
    with pytest.raises(RunFolderError, match=r"already taken(?s:.*)--resume"):
        created(tmp_path)
    assert sorted(run.root.rglob("*")) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="already taken"):
        created(tmp_path, "file")


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="does not exist"):
        open_run_folder(tmp_path / "none")
    with pytest.raises(RunFolderError, match=r"not a run folder(?s:.*)config.toml"):
        open_run_folder(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="does not exist"):
        open_run_folder(tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks data and results and train(?s:.*)got: nothing"),
        ("= 3", "damaged"),
        ('data = "a"\nresults = "b"\n', "lacks train"),
        ('data = 3\nresults = "b"\n[train]\n', "lacks data"),
        ('data = "a"\nresults = "b"\ntrain = 5\n', "lacks train"),
    ],
)
def test_a_damaged_config_is_refused(tmp_path, text, message):
    run = created(tmp_path)
    (run.root / "config.toml").write_text(text)
    with pytest.raises(RunFolderError, match=message):
        open_run_folder(run.root)


def test_a_config_of_bytes_is_refused(tmp_path):
    run = created(tmp_path)
    (run.root / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RunFolderError, match="damaged"):
        open_run_folder(run.root)


def test_writing_leaves_nothing_beside_the_file(tmp_path):
    atomic_write(tmp_path / "a.txt", "one")
    atomic_write(tmp_path / "a.txt", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "two"


@pytest.mark.parametrize("fatal", range(6))
def test_killed_while_it_is_created_a_run_can_be_started_again_under_its_name(tmp_path, monkeypatch, fatal):
    changes = iter(range(20))
    replace = os.replace

    def killed(*arguments):
        if next(changes) == fatal:
            raise KeyboardInterrupt
        replace(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a killed process cleans nothing up
        if fatal < 4:
            with pytest.raises(KeyboardInterrupt):
                created(tmp_path)
            assert not (tmp_path / "mine").exists()
        else:
            created(tmp_path)
            assert open_run_folder(tmp_path / "mine").settings["train"] == {"epochs": 3, "augment": {"zoom": 0.1}}
            return
    assert created(tmp_path).config.is_file()
    for path in tmp_path.glob(".*.partial"):
        os.utime(path, (0, 0))
    created(tmp_path, "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "other"]


def test_of_two_processes_with_one_name_the_first_has_it(tmp_path, monkeypatch):
    write = atomic_write

    def late(path, content):
        if path.name == "config.toml" and not (tmp_path / "mine").exists():
            (tmp_path / "mine").mkdir()
            (tmp_path / "mine" / "config.toml").touch()
        write(path, content)

    monkeypatch.setattr("ggcam.run_folder.atomic_write", late)
    with pytest.raises(RunFolderError, match="already taken"):
        created(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
