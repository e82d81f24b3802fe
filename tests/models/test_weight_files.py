"""Weight files are read without running code in them, whatever a training script has wrapped around them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ggcam.errors import MissingFileError, WeightsError
from ggcam.models.weight_files import read_state_dict

STATE = nn.Linear(2, 3).state_dict()


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[name], value) for name, value in STATE.items())


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3, "args": argparse.Namespace(lr=0.1)},
        {"model": STATE},
        {"model": {"weight": torch.zeros(1)}, "model_ema": STATE},
        {f"module.{name}": value for name, value in STATE.items()},
        {"state_dict": {f"_orig_mod.module.{name}": value for name, value in STATE.items()}},
    ],
)
def test_a_state_dict_is_found_in_what_training_scripts_write(tmp_path: Path, content):
    torch.save(content, tmp_path / "w.pth")
    assert same(read_state_dict(tmp_path / "w.pth"))


def test_safetensors_are_read(tmp_path: Path):
    save_file(STATE, tmp_path / "w.safetensors")
    assert same(read_state_dict(tmp_path / "w.safetensors"))


class Payload:
    def __init__(self, victim: Path):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


def test_code_in_a_weight_file_is_not_run(tmp_path: Path):
    torch.save({**STATE, "evil": Payload(tmp_path / "victim")}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"more than tensors(.|\n)*mkdir(.|\n)*nothing of it was run"):
        read_state_dict(tmp_path / "w.pth")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_damaged_missing_or_empty_file_is_refused(tmp_path: Path, name: str):
    with pytest.raises(MissingFileError):
        read_state_dict(tmp_path / name)
    (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="damaged"):
        read_state_dict(tmp_path / name)
    torch.save({}, tmp_path / "empty.pth")
    with pytest.raises(WeightsError, match="does not hold weights"):
        read_state_dict(tmp_path / "empty.pth")


def test_a_flipped_byte_is_found_where_checksums_are_asked_for(tmp_path: Path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.full((1000,), 3.0)}, path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.tensor(3.0).numpy().tobytes()) + 400] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged(.|\n)*checksum"):
        read_state_dict(path, checksums=True)
