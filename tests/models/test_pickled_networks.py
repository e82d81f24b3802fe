"""Networks that were pickled whole are read as data: the same state dict, and no code is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from ggcam.errors import WeightsError
from ggcam.models.pickled_networks import read_pickled_network
from ggcam.models.weight_files import read_state_dict


class Payload:
    def __init__(self, victim: Path):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


def network() -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", num_classes=2)


def same(found: object, expected: nn.Module) -> bool:
    state = expected.state_dict()
    return isinstance(found, dict) and found.keys() == state.keys() and all(found[k].equal(v) for k, v in state.items())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_network_has_its_state_dict(tmp_path, zipped):
    model = network()
    torch.save(model, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    assert same(read_pickled_network(tmp_path / "w.pt"), model)
    assert same(read_state_dict(tmp_path / "w.pt"), model)


@pytest.mark.parametrize("key", ["model", "ema_state_dict", "net", "teacher"])
def test_a_network_inside_a_checkpoint_is_found(tmp_path, key):
    model = network()
    torch.save({"epoch": 3, key: model, "path": tmp_path, "optimizer": None}, tmp_path / "w.pt")
    assert same(read_state_dict(tmp_path / "w.pt"), model)


def test_nested_wrappers_are_opened(tmp_path):
    torch.save({"model": {"state_dict": network().state_dict()}}, tmp_path / "w.pt")
    assert same(read_state_dict(tmp_path / "w.pt"), network())


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_the_file_is_not_run(tmp_path, zipped):
    model = network()
    model.evil = Payload(tmp_path / "victim")
    torch.save(model, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"more than weights(.|\n)*mkdir(.|\n)*nothing of it was run"):
        read_pickled_network(tmp_path / "w.pt")
    with pytest.raises(WeightsError):
        read_state_dict(tmp_path / "w.pt")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    "name", ["torch.hub load_state_dict_from_url", "pathlib Path", "torch load", "argparse _sys.exit"]
)
def test_functions_of_the_allowed_packages_are_not_called_either(tmp_path, name, monkeypatch):
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("called")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", forbidden)
    module, _, function = name.partition(" ")
    call = b"\x80\x02c" + f"{module}\n{function}\n".encode() + b"X\x01\x00\x00\x00x\x85R."
    parts = [torch.serialization.MAGIC_NUMBER, torch.serialization.PROTOCOL_VERSION, {}]
    content = b"".join(pickle.dumps(part, protocol=2) for part in parts) + call + pickle.dumps([], protocol=2)
    (tmp_path / "w.pt").write_bytes(content)
    assert read_pickled_network(tmp_path / "w.pt") == {}


def test_a_network_that_holds_itself_is_damaged(tmp_path):
    model = network()
    model._modules["itself"] = model
    torch.save(model, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"damaged(.|\n)*holds itself"):
        read_pickled_network(tmp_path / "w.pt")


def test_torchscript_is_refused(tmp_path):
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="TorchScript"):
        read_pickled_network(tmp_path / "w.pt")
    with pytest.raises(WeightsError):
        read_state_dict(tmp_path / "w.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_files_are_refused(tmp_path, zipped):
    path = tmp_path / "w.pt"
    torch.save(network(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in range(0, len(whole), len(whole) // 20):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            read_state_dict(path)
