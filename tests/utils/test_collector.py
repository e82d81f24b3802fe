"""The garbage collector, paused during the first imports of a command."""

from __future__ import annotations

import gc
import sys

import pytest

from ggcam.utils.collector import collector_paused


@pytest.fixture(autouse=True)
def as_before():
    yield
    gc.unfreeze()
    gc.enable()


@pytest.fixture
def before_torch(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.mark.usefixtures("before_torch")
def test_nothing_is_collected_inside_and_what_was_created_is_ignored_afterwards():
    with collector_paused():
        assert not gc.isenabled()
        kept = [[number] for number in range(10_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(kept)


@pytest.mark.usefixtures("before_torch")
def test_the_collector_works_again_after_an_error():
    with pytest.raises(ValueError, match="wrong"), collector_paused():
        raise ValueError("wrong")
    assert gc.isenabled()


@pytest.mark.usefixtures("before_torch")
def test_a_collector_that_was_off_stays_off():
    gc.disable()
    with collector_paused():
        pass
    assert not gc.isenabled()


def test_where_torch_has_been_imported_nothing_is_paused():
    import torch  # noqa: F401

    with collector_paused():
        assert gc.isenabled()
    assert gc.get_freeze_count() == 0
