"""Restore the state of the process after a run, so that the next run meets what it would meet in a new process."""

from __future__ import annotations

import gc
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def restored_process_state() -> Iterator[None]:
    """Restore, when the block ends, what code of a run may have changed for the whole process.

    The states of the global random generators, environment variables, the filters of warnings and which of them were
    shown, and torch's settings: number of threads, default data type, deterministic algorithms, and cuDNN's. What the
    run does not need any more is freed.
    """
    import torch

    cudnn, flags = torch.backends.cudnn, ("enabled", "benchmark", "deterministic", "allow_tf32")
    generators = random.getstate(), np.random.get_state()  # noqa: NPY002  (what other code draws from)
    environment, paths = dict(os.environ), list(sys.path)
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    settings = {name: getattr(cudnn, name) for name in flags}
    try:
        # A changed filter makes Python forget which warnings it has shown.
        with warnings.catch_warnings(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(generators[0])
        np.random.set_state(generators[1])  # noqa: NPY002
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = paths
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        for name, value in settings.items():
            setattr(cudnn, name, value)
        gc.collect()  # trainer and network refer to each other
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
