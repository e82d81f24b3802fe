"""A machine that cannot compile says so; that a compiled network trains as a plain one is in test_fit."""

from __future__ import annotations

import pytest
import torch
from torch._inductor import config as inductor
from torch._inductor.utils import fresh_cache

from ggcam.errors import ConfigError
from ggcam.models.compiling import compiled


def test_without_a_compiler_it_says_what_to_install():
    with fresh_cache(), inductor.patch({"cpp.cxx": (None, "/no/such/compiler")}):
        with pytest.raises(ConfigError, match="could not be compiled") as raised:
            compiled(torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU()))(torch.rand(2, 3))
    assert "leave the option out" in str(raised.value)
