from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from pytest_modelperf.plugin.terminated import Terminated

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


@pytest.fixture(autouse=True)
def _default() -> Iterator[None]:
    """The handler that a process begins with."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_first_interrupts_and_the_next_do_nothing() -> None:
    terminated = Terminated()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    terminated.pytest_unconfigure()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_after_ctrl_c_it_does_nothing() -> None:
    Terminated().pytest_keyboard_interrupt()
    signal.raise_signal(signal.SIGTERM)


def test_the_handler_of_another_stays() -> None:

    def other(number: int, frame: object) -> None: ...

    signal.signal(signal.SIGTERM, other)
    Terminated().pytest_unconfigure()
    assert signal.getsignal(signal.SIGTERM) is other


def test_beside_the_main_thread_nothing_is_set() -> None:
    thread = threading.Thread(target=Terminated)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
