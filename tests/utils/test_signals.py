"""SIGTERM as an exception."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ggcam.utils.signals import Terminated, sigterm_handler_kept, sigterm_raises


def test_sigterm_raises_inside_the_block_and_the_former_handler_is_back_after_it():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as raised, sigterm_raises():
        os.kill(os.getpid(), signal.SIGTERM)
    assert raised.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_library_does_not_replace_the_handler():
    with sigterm_raises():
        ours = signal.getsignal(signal.SIGTERM)
        with sigterm_handler_kept():
            signal.signal(signal.SIGTERM, lambda *_: None)
        assert signal.getsignal(signal.SIGTERM) is ours


def test_in_another_thread_the_block_runs_as_it_is():
    ran = []

    def work() -> None:
        with sigterm_raises():
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [True]
