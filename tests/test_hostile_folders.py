"""A run, a study or a prepared folder from a stranger runs nothing, and neither reads nor writes outside itself."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from commands.calling import call, refusal
from ggcam.data.prepared import load_prepared
from ggcam.study.folder import StudyFolder, fingerprint
from ggcam.study.plan import plan_study, write_plan
from ggcam.training.config import TrainConfig


class Payload:
    """An object whose pickle makes a folder when it is loaded."""

    def __init__(self, victim: Path):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


def write_pickle(path: Path, victim: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(victim)))


def write_pt(path: Path, victim: Path) -> None:
    torch.save({"weight": Payload(victim)}, path)


def write_npz(path: Path, victim: Path) -> None:
    np.savez(path, case_id=np.array([Payload(victim)], dtype=object), cam=np.array([Payload(victim)], dtype=object))


def write_npy(path: Path, victim: Path) -> None:
    np.save(path, np.array([Payload(victim)], dtype=object))


def write_parquet(path: Path, victim: Path) -> None:
    """A column of an extension type that old versions of pyarrow unpickled."""
    kind = {b"ARROW:extension:name": b"arrow.py_extension_type"}
    kind[b"ARROW:extension:metadata"] = pickle.dumps(Payload(victim), protocol=0)
    schema = pa.schema([pa.field("case_id", pa.binary(), metadata=kind)], metadata={b"pandas": pickle.dumps(1)})
    pq.write_table(pa.table([pa.array([b"a"])], schema=schema), path)


WRITERS: dict[str, tuple[Callable[[Path, Path], None], ...]] = {
    ".pt": (write_pt, write_pickle),
    ".ckpt": (write_pt,),
    ".npz": (write_npz, write_pickle),
    ".npy": (write_npy,),
    ".parquet": (write_parquet, write_pickle),
}


@pytest.mark.parametrize("write", [write_pickle, write_pt, write_npz, write_npy])
def test_the_payloads_work(tmp_path, write):
    path, victim = tmp_path / "file", tmp_path / "victim"
    with path.open("wb") as file:
        write(file if write in (write_npz, write_npy) else path, victim)
    if write is write_pickle:
        pickle.loads(path.read_bytes())
    elif write is write_pt:
        torch.load(path, weights_only=False)
    else:
        found = np.load(path, allow_pickle=True)
        assert not isinstance(found, np.lib.npyio.NpzFile) or found["case_id"] is not None
    assert victim.is_dir()


def test_no_file_of_a_run_runs_anything(trained, simulated, tmp_path, capsys):
    victim, run = tmp_path / "victim", tmp_path / "run"
    shutil.copytree(trained, run)
    (next(run.glob("*/NET.pt")).parent / "NET.onnx").touch()
    image = next((simulated / "files").rglob("*.dcm"))
    commands = {
        "evaluate": ("evaluate", run),
        "predict": ("predict", run, image, "--out", tmp_path / "out"),
        "report": ("report", run),
        "export": ("export", run, "--format", "original", "--out", tmp_path / "out.pt"),
        "resume": ("train", "--resume", run),
    }
    readers = {
        "config.toml": commands,
        "params_CAMClassifier_.txt": commands,
        "NET.pt": ("evaluate", "predict", "export"),
        "NET.onnx": ("predict",),
        "best.ckpt": ("resume",),
        "last.ckpt": ("resume",),
    }
    for path in sorted(path for path in run.rglob("*") if path.is_file() and "logs" not in path.parts):
        original = path.read_bytes()
        for write in WRITERS.get(path.suffix, (write_pickle,)):
            write(path, victim)
            weights = next(run.glob("*/NET.pt"))
            for name in readers.get(path.name, ("report",)):
                if name == "resume":
                    weights.rename(tmp_path / "NET.pt")
                called = call(capsys, *commands[name])
                if name == "resume":
                    shutil.move(tmp_path / "NET.pt", weights)
                assert called.code in (0, 2), (path, name, called)
                assert "Traceback" not in called.err, (path, name, called)
                assert not victim.exists(), (path, name)
        path.write_bytes(original)


def test_no_file_of_a_prepared_folder_runs_anything(prepared, tmp_path, capsys):
    victim, data = tmp_path / "victim", tmp_path / "DATA"
    shutil.copytree(prepared, data)
    first = load_prepared(data).cases["case_id"][0]
    for name in ("dataset.toml", "cases.parquet", "fixations.parquet", "regions.parquet", f"images/{first}.png"):
        path = data / name
        original = path.read_bytes()
        for write in WRITERS.get(path.suffix, (write_pickle,)):
            write(path, victim)
            refusal(capsys, "inspect", data, "--out", tmp_path / "sheet.png")
            assert not victim.exists(), path
        path.write_bytes(original)


def test_a_hostile_pixel_cache_runs_nothing(prepared, tmp_path):
    from ggcam.data.dataset import PreparedDataset
    from ggcam.errors import GGCamError

    victim, data = tmp_path / "victim", tmp_path / "DATA"
    shutil.copytree(prepared, data)
    whole = PreparedDataset(load_prepared(data), "train", cache="disk").batch([0, 1])
    (cache,) = (data / "pixels").iterdir()
    write_npy(cache, victim)
    try:
        again = PreparedDataset(load_prepared(data), "train", cache="disk").batch([0, 1])
    except (GGCamError, ValueError):
        pass
    else:
        assert torch.equal(again.image, whole.image)
    assert not victim.exists()


def test_no_file_of_a_study_runs_anything(prepared, tmp_path, capsys):
    victim, study = tmp_path / "victim", StudyFolder(tmp_path / "study")
    plan = plan_study(TrainConfig(epochs=1), ["none"], seeds=1)
    study.root.mkdir()
    for path in (study.plan, study.errors, study.summary, study.table):
        write_plan(study.plan, plan, {"root": str(prepared), "sha256": fingerprint(prepared)})
        for write in WRITERS.get(path.suffix, (write_pickle,)):
            write(path, victim)
            refusal(capsys, "report", study.root)
            assert not victim.exists(), path


@pytest.mark.parametrize("results", ["/tmp", "../elsewhere", "..", ".", "", "a/b"])
def test_the_results_of_a_run_are_inside_it(trained, tmp_path, capsys, results):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    lines = (run / "config.toml").read_text().splitlines()
    lines = [f'results = "{results}"' if line.startswith("results") else line for line in lines]
    (run / "config.toml").write_text("\n".join(lines))
    message = refusal(capsys, "evaluate", run)
    assert "the results folder of the run must be inside the run folder" in message
    assert not (tmp_path / "elsewhere").exists()


def test_a_link_out_of_a_run_or_a_prepared_folder_is_refused(trained, prepared, tmp_path, capsys):
    secret = tmp_path / "secret"
    secret.mkdir()
    run, data = shutil.copytree(trained, tmp_path / "run"), shutil.copytree(prepared, tmp_path / "DATA")
    (run / "predictions.parquet").unlink()
    (run / "predictions.parquet").symlink_to(secret / "any.parquet")
    (data / "pixels").symlink_to(secret)
    for command in (("report", run), ("evaluate", run), ("inspect", data), ("train", data)):
        assert "a link leads out of the folder" in refusal(capsys, *command)
    assert list(secret.iterdir()) == []


def test_an_arm_of_a_study_is_no_path(prepared, tmp_path, capsys):
    study = StudyFolder(tmp_path / "study")
    study.root.mkdir()
    plan = plan_study(TrainConfig(epochs=1), ["../../elsewhere"], seeds=1)
    write_plan(study.plan, plan, {"root": str(prepared), "sha256": fingerprint(prepared)})
    assert "whose names are file names" in refusal(capsys, "report", study.root)
