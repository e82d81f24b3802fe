"""A run leaves the process as it found it."""

from __future__ import annotations

import os
import random
import sys
import warnings

import numpy as np
import pytest
import torch

from ggcam.study.process_state import restored_process_state


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def change_everything() -> None:
    draws()
    torch.manual_seed(5)
    os.environ["GGCAM_TEST_CHANGED"] = "1"
    os.environ.pop("PATH")
    sys.path.insert(0, "elsewhere")
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    warnings.simplefilter("ignore")


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_run_changes_in_the_process_is_restored(fails):
    def state() -> tuple:
        torch_state = (torch.get_num_threads(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled())
        return dict(os.environ), list(sys.path), list(warnings.filters), torch.backends.cudnn.benchmark, *torch_state

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    expected = draws()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    before = state()
    try:
        with restored_process_state():
            change_everything()
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert fails
    assert state() == before
    assert draws() == expected


def test_each_run_shows_its_warnings():
    """Python shows a warning of a line once for each process."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        for _ in range(2):
            with restored_process_state():
                for _ in range(2):
                    warnings.warn("of this run", UserWarning, stacklevel=1)
    assert len(shown) == 2
