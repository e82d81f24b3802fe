"""Runs and data that cannot be evaluated: each is refused in words, or the data can be named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ggcam.data.prepared import load_prepared
from ggcam.data.schema import CASES
from ggcam.errors import ConfigError, MissingFileError, PreparedFolderError, RunFolderError
from ggcam.evaluation.evaluate import evaluate
from ggcam.run_folder import open_run_folder


def moved_away(run: Path, elsewhere: Path) -> None:
    """Let the run believe that its data lie elsewhere."""
    config = run / "config.toml"
    old = open_run_folder(run).settings["data"]
    config.write_text(config.read_text().replace(old, str(elsewhere)))


def test_data_that_have_moved_can_be_named(run, prepared, tmp_path):
    moved_away(run, tmp_path / "gone")
    with pytest.raises(PreparedFolderError, match=r"data of the run do not exist(?s:.*)gone(?s:.*)--data DATA"):
        evaluate(run)
    evaluate(run, prepared).save()
    assert json.loads((run / "metrics.json").read_text())["data"] == str(prepared.resolve())


def copied(prepared: Path, folder: Path, old: str, new: str) -> Path:
    """The prepared folder, as a copy with another text in its dataset.toml."""
    shutil.copytree(prepared, folder)
    text = (folder / "dataset.toml").read_text()
    assert old in text
    (folder / "dataset.toml").write_text(text.replace(old, new))
    return folder


def test_data_of_other_classes_or_another_frame_are_refused(trained, prepared, tmp_path):
    classes = copied(prepared, tmp_path / "classes", "CHF", "COPD")
    with pytest.raises(RunFolderError, match=r"different classes(?s:.*)CHF(?s:.*)COPD"):
        evaluate(trained, classes)
    frame = copied(prepared, tmp_path / "frame", "width_px = 64", "width_px = 96")
    with pytest.raises(RunFolderError, match=r"different frame(?s:.*)64x64(?s:.*)64x96"):
        evaluate(trained, frame)


def test_a_split_without_cases_is_refused(trained, prepared, tmp_path):
    folder = Path(shutil.copytree(prepared, tmp_path / "data"))
    cases = pd.read_parquet(folder / "cases.parquet")
    cases["split"] = cases["split"].replace("test", "train")
    data = replace(load_prepared(folder), cases=cases)
    pq.write_table(pa.Table.from_pandas(data.cases, preserve_index=False).cast(CASES), folder / "cases.parquet")
    with pytest.raises(PreparedFolderError, match="no test cases"):
        evaluate(trained, folder)


def test_an_unfinished_run_is_refused(run):
    open_run_folder(run).weights.unlink()
    with pytest.raises(RunFolderError, match="no trained network yet"):
        evaluate(run)


def test_damaged_weights_are_refused(run):
    network = open_run_folder(run).weights
    network.write_bytes(network.read_bytes()[:1000])
    with pytest.raises(RunFolderError, match=r"weights cannot be loaded(?s:.*)NET.pt"):
        evaluate(run)


def test_a_damaged_config_is_refused(run):
    config = run / "config.toml"
    config.write_text(config.read_text().replace("batch_size = 8", "batch_sise = 8"))
    with pytest.raises(ConfigError, match="unknown key batch_sise"):
        evaluate(run)


def test_a_device_that_is_not_there_is_refused(trained):
    with pytest.raises(ConfigError, match="no device 'gpux'"):
        evaluate(trained, device="gpux")


def test_a_folder_that_is_no_run_or_none_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises((RunFolderError, MissingFileError), match="run folder"):
            evaluate(folder)
