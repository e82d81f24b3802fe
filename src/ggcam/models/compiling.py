"""A network compiled by torch: a minute or more at the first step, less time at every later one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from ggcam.errors import ConfigError

Output = TypeVar("Output")


def compile_network(model: Callable[[Tensor], Output]) -> Callable[[Tensor], Output]:
    """The same function of an image, whose first call compiles it. A module keeps its parameters and its names.

    Raises (at the first call):
        ConfigError: this machine cannot compile it.
    """
    quick = torch.compile(model)

    def forward(image: Tensor) -> Output:
        try:
            return quick(image)
        except TorchDynamoException as error:
            lines = str(error).strip().splitlines()
            raise ConfigError(
                "the network could not be compiled on this machine",
                where="--compile",
                got=lines[0][:300] if lines else type(error).__name__,
                hint="on a CPU install a C++ compiler (g++ or clang); or leave the option out",
            ) from error

    return forward
