"""A machine that cannot compile says so; that a compiled network trains as a plain one is in test_fit."""

from __future__ import annotations

import pytest
import torch
from torch._inductor import config as inductor
from torch._inductor.utils import fresh_cache

from ggcam.errors import ConfigError
from ggcam.models.compiling import compile_network


def test_without_a_compiler_it_says_what_to_install():
    broken = inductor.patch({"cpp.cxx": (None, "/no/such/compiler")})
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())
    with fresh_cache(), broken, pytest.raises(ConfigError, match=r"(?s)could not be compiled.*leave the option out"):
        compile_network(network)(torch.rand(2, 3))
