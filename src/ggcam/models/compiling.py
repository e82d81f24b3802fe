"""Compilation of networks by torch: slow in the first step, faster in every later one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from ggcam.errors import ConfigError

Output = TypeVar("Output")


def compile_network(model: Callable[[Tensor], Output]) -> Callable[[Tensor], Output]:
    """Compile a network on its first call.

    Args:
        model: function of a batch of images; a module keeps its parameters and their names.

    Returns:
        The compiled function. Its first call takes a minute or more, and raises ConfigError if the network cannot be
        compiled on this machine.
    """
    compiled = torch.compile(model)

    def forward(image: Tensor) -> Output:
        try:
            return compiled(image)
        except TorchDynamoException as error:
            lines = str(error).strip().splitlines()
            raise ConfigError(
                "the network could not be compiled on this machine",
                where="--compile",
                got=lines[0][:300] if lines else type(error).__name__,
                hint="on a CPU, install a C++ compiler (g++ or clang), or leave the option out",
            ) from error

    return forward
