"""Compilation without a compiler; tests/training/test_train.py compares a compiled with a plain training run."""

from __future__ import annotations

import pytest
import torch
from torch._inductor import config as inductor
from torch._inductor.utils import fresh_cache

from ggcam.errors import ConfigError
from ggcam.models.compiling import compile_network


def test_a_missing_compiler_raises_an_error_with_a_hint():
    broken = inductor.patch({"cpp.cxx": (None, "/no/such/compiler")})
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())
    with fresh_cache(), broken, pytest.raises(ConfigError, match=r"(?s)could not be compiled.*leave the option out"):
        compile_network(network)(torch.rand(2, 3))
