"""Find out whether the host waits for a GPU: by asking the GPU, or, on a CPU, by the operations that would make it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = {
    "_local_scalar_dense",  # item(), float(), tolist(), `if tensor`
    "equal",
    "is_nonzero",
    "lift_fresh",  # torch.tensor(numbers): on a GPU, a copy that is waited for
    "masked_select",
    "nonzero",
    "unique_consecutive",
    "unique_dim",
    "_unique2",
    "_linalg_check_errors",  # of torch.linalg.inv and the like
}
"""Operations whose result, or the shape of it, the host needs at once."""


class HostWaitError(AssertionError):
    """An operation that would make the host wait for a GPU."""


class _Watch(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name.startswith("index") and any(
            isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8)
            for index in (args[1] if len(args) > 1 and isinstance(args[1], list | tuple) else ())
        )
        if name in WAITING or by_mask:
            raise HostWaitError(str(func))
        return func(*args, **(kwargs or {}))


@contextmanager
def no_host_waits(device: str) -> Iterator[None]:
    """Raise an error where the host waits for a GPU inside the block; on a CPU, where it would."""
    if device == "cpu":
        with _Watch():
            yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


class NoHostWaits(lightning.Callback):
    """Watches every training step but the first, in which Lightning sets up what it logs."""

    def __init__(self, device: str):
        self._device = device
        self._watching: Any = None
        self.steps = 0

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx > 0:
            self._watching = no_host_waits(self._device)
            self._watching.__enter__()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.steps += self._watching is not None
        self._stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._watching is not None:
            self._watching.__exit__(None, None, None)
            self._watching = None
