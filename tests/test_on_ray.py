"""`ggcam prepare`, `train` and `predict` on a Ray cluster that loses a machine in the middle: the same output."""

from __future__ import annotations

import filecmp
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from commands.calling import refusal
from ggcam.data.prepare import on_ray as prepare_module
from ggcam.data.prepare.config import PrepareConfig
from ggcam.data.prepare.pipeline import prepare_source
from ggcam.data.prepared import load_prepared
from ggcam.data.sources import egd_cxr
from ggcam.dicom_output.options import DicomOptions
from ggcam.dicom_output.writer import DicomWriter
from ggcam.errors import ConfigError
from ggcam.inference import on_ray as predict_module
from ggcam.inference.predict import predict
from ggcam.inference.run_onnx import onnx_from_run
from ggcam.training import on_ray
from ggcam.training.config import TrainConfig
from ggcam.training.run import open_run
from ggcam.training.train import train
from ggcam.utils import ray_data, ray_machines
from ggcam.utils.ray_cluster import ray_cluster
from ggcam.utils.ray_data import Workers, map_on_ray
from ggcam.utils.ray_machines import Surroundings

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error:.*will be removed in Ray"),
    pytest.mark.timeout(600),
]

HEALTH_CHECK = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5}
"""A lost machine is noticed in 5 seconds, not in 15."""

KillNode = Callable[[], None]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that does no work, and one machine with a core."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'ggcam[ray]'")
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")
    started = Cluster()
    try:
        started.add_node(num_cpus=0, include_dashboard=False, _system_config=HEALTH_CHECK)
        started.add_node(num_cpus=1)
        yield started
    finally:
        started.shutdown()
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


@pytest.fixture
def kill_node(cluster: Any) -> KillNode:
    """A second machine; the function kills its processes, once."""
    nodes = [cluster.add_node(num_cpus=1)]
    return lambda: cluster.remove_node(nodes.pop(), allow_graceful=False) if nodes else None


def assert_same_folders(found: Path, expected: Path) -> None:
    names = sorted(path.relative_to(expected) for path in expected.rglob("*") if path.is_file())
    assert sorted(path.relative_to(found) for path in found.rglob("*") if path.is_file()) == names
    assert filecmp.cmpfiles(found, expected, names, shallow=False) == (names, [], [])


def test_a_prepared_folder_has_the_same_bytes(cluster, kill_node, simulated, prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_module, "BATCH_CASES", 3)
    config = PrepareConfig(size="64x64", split_file=simulated / "split.csv", ray=cluster.address)
    counts: list[int] = []
    journal = tmp_path / "out.partial" / "done.jsonl"
    recorded: list[str] = []

    def progress(done: int, total: int) -> None:
        counts.append(done)
        if done == 6:
            kill_node()
        if done == total:
            recorded.extend(json.loads(line)["case_id"] for line in journal.read_text().splitlines())

    prepare_source(egd_cxr.read(simulated), tmp_path / "out", config, progress)
    assert counts == list(range(61))
    assert len(set(recorded)) == len(recorded) == 60
    assert_same_folders(tmp_path / "out", prepared)


def test_predictions_are_the_same_files(cluster, kill_node, trained, simulated, tmp_path, monkeypatch):
    network = tmp_path / "NET.onnx"
    network.write_bytes(onnx_from_run(open_run(trained)).content)
    images = sorted((simulated / "files").rglob("*.dcm"))[:30]
    images.append(tmp_path / "broken.png")
    images[-1].write_bytes(b"\x89PNG\r\n\x1a\n")

    def run(name: str, **options: Any) -> DicomWriter:
        writer = DicomWriter(network, tmp_path / name / "objects", DicomOptions(("sr",)))
        (tmp_path / name).mkdir()
        predict(network, images, tmp_path / name / "out", batch_size=2, writer=writer, **options)
        return writer

    expected = run("here")
    monkeypatch.setattr(predict_module, "PASSES", 1)
    found = run("there", ray=cluster.address, progress=lambda done, _: kill_node() if done == 6 else None)
    table = pd.read_csv(tmp_path / "there" / "out" / "predictions.csv")
    assert table["image"].tolist() == list(map(str, images[:-1]))
    assert_same_folders(tmp_path / "there" / "out", tmp_path / "here" / "out")
    names = [sorted(path.name for path in (tmp_path / name / "objects").iterdir()) for name in ("here", "there")]
    assert names[0] == names[1]
    assert found.written + found.kept == expected.written == 30


def test_a_training_goes_on_from_its_last_checkpoint(
    cluster, kill_node, prepared, tmp_path, monkeypatch, caplog, request
):
    """Without batch norm, in float32, two processes compute what one does, but for the order of sums."""
    monkeypatch.setattr(on_ray, "_POLL_S", 0.02)
    data = load_prepared(prepared)
    config = TrainConfig(backbone="test_vit", batch_size=8, epochs=10, precision="32", accelerator="cpu")
    expected = train(data, config, tmp_path, "one process")
    printed: list[float] = []

    def on_epoch(row: dict[str, float]) -> None:
        printed.append(row["epoch"])
        if row["epoch"] == 1:
            kill_node()
            another = cluster.add_node(num_cpus=1)
            request.addfinalizer(lambda: cluster.remove_node(another, allow_graceful=False))

    found = on_ray.train_on_ray(cluster.address, 2, data, config, tmp_path, "two machines", on_epoch=on_epoch)
    assert "a process of the training was lost" in caplog.text
    assert "restart 1 of at most 3" in caplog.text
    assert printed == found.history["epoch"].tolist() == list(range(10))
    times = ["seconds", "data_wait_fraction"]
    pd.testing.assert_frame_equal(found.history.drop(columns=times), expected.history.drop(columns=times), rtol=1e-3)
    weights = [torch.load(run.folder.weights, weights_only=True) for run in (found, expected)]
    torch.testing.assert_close(*weights, rtol=1e-2, atol=1e-4)
    names = [{path.name for path in run.folder.root.iterdir()} - {run.folder.results.name} for run in (found, expected)]
    assert names[0] == names[1]
    assert found.config == expected.config


@pytest.mark.parametrize("keep", [False, True])
def test_work_that_loses_its_process_each_time_is_an_error(cluster, tmp_path, monkeypatch, keep):
    monkeypatch.setattr(ray_data, "RETRIES", 1)
    options: dict[str, Any] = {"out": tmp_path, "files": [], "packages": ["ggcam"], "workers": Workers(keep=keep)}
    with (
        ray_cluster(cluster.address) as ray,
        pytest.raises(ConfigError, match=r"(?s)ended its process, or its machine was lost, each time.*2 times"),
    ):
        list(map_on_ray(ray, os._exit, [1], **options))
    assert not list(tmp_path.iterdir())


def test_other_versions_on_a_machine_are_an_error(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_machines, "versions", lambda *names: dict.fromkeys(names, "0.0"))
    with ray_cluster(cluster.address) as ray, pytest.raises(ConfigError) as raised:
        list(map_on_ray(ray, len, [[1]], out=tmp_path, files=[], packages=["ggcam"]))
    message = str(raised.value)
    assert "a machine of the cluster has other versions" in message
    assert "expected: ggcam 0.0" in message
    assert not list(tmp_path.iterdir())


def test_a_machine_that_does_not_see_the_files_is_an_error(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'ggcam[ray]'")
    monkeypatch.chdir(tmp_path)  # as it is afterwards; this process returns to its own folder
    with pytest.raises(ConfigError, match=r"(?s)does not see the files.*nowhere.*at the same path"):
        Surroundings((tmp_path / "nowhere",), (), str(tmp_path), ()).set_up()


def test_a_cluster_that_does_not_answer_is_an_error(simulated, tmp_path, capsys):
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'ggcam[ray]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        refused = refusal(capsys, "prepare", simulated, tmp_path / "out", "--size", "64x64", "--ray", address)
    assert "the Ray cluster cannot be reached" in refused
    assert address in refused


def test_a_missing_ray_is_an_error(simulated, prepared, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for command in (
        ("prepare", simulated, tmp_path / "data", "--size", "64x64"),
        ("predict", trained, simulated / "files", "--out", tmp_path / "out"),
        ("train", prepared, "--out", tmp_path / "runs"),
    ):
        assert "pip install 'ggcam[ray]'" in refusal(capsys, *command, "--ray", "auto")
    both = refusal(capsys, "prepare", simulated, tmp_path / "data", "--workers", "2", "--ray", "auto")
    assert "--ray for a cluster" in both
