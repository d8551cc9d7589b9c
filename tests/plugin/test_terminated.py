"""Each in a process of its own: what it is about would end the tests' own, had it no handler."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")

BEGIN = """
import signal, threading
from pytest_modelperf.plugin.terminated import Terminated
def raised():
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt:
        return True
    return False
"""


def holds(script: str) -> None:
    """Run the script, the assertions of which are to hold."""
    ran = subprocess.run([sys.executable, "-c", BEGIN + script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.returncode}: {ran.stderr}"


def test_the_first_interrupts_and_the_next_do_nothing() -> None:
    holds("""
terminated = Terminated()
assert raised()
assert not raised()
terminated.pytest_unconfigure()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
""")


def test_after_ctrl_c_it_does_nothing() -> None:
    holds("""
Terminated().pytest_keyboard_interrupt()
assert not raised()
""")


def test_the_handler_of_another_stays() -> None:
    holds("""
def other(number, frame): ...
signal.signal(signal.SIGTERM, other)
Terminated().pytest_unconfigure()
assert signal.getsignal(signal.SIGTERM) is other
""")


def test_beside_the_main_thread_nothing_is_set() -> None:
    holds("""
thread = threading.Thread(target=Terminated)
thread.start()
thread.join()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
""")
