"""Tests that run on the CPU, and, marked `gpu`, on a GPU where there is one."""

from __future__ import annotations

import os

import pytest
import torch

# Read when the first matrix product runs on a GPU; deterministic algorithms need it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

CUDA = pytest.param(
    "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]
)


@pytest.fixture(params=["cpu", CUDA])
def device(request: pytest.FixtureRequest) -> str:
    """Where to compute."""
    return request.param


@pytest.fixture(params=[CUDA])
def gpu(request: pytest.FixtureRequest) -> str:
    """The GPU, for what would take too long on a CPU or say nothing there."""
    return request.param
