from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from pytest_modelperf.measuring import processes

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and zombies are POSIX")
PATIENCE_SECONDS = 20.0

Process = subprocess.Popen[bytes]


@pytest.fixture(params=[True, False], ids=["waitid", "no waitid"], autouse=True)
def has_waitid(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no waitid before Python 3.13."""
    if request.param and not hasattr(os, "waitid"):
        pytest.skip("there is no waitid here")
    monkeypatch.setattr(processes, "_HAS_WAITID", request.param)
    if not request.param:
        monkeypatch.delattr(os, "waitid", raising=False)


@pytest.fixture
def process() -> Iterator[Process]:
    """One that sleeps."""
    found = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield found
    found.kill()
    found.wait()


def test_who_has_ended_is_not_reaped(process: Process) -> None:
    assert not processes.ended(process)
    assert not processes.wait_ended(process, 0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert processes.wait_ended(process, PATIENCE_SECONDS)
    assert processes.ended(process)
    assert process.returncode is None
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert process.wait() == -signal.SIGKILL
    assert processes.ended(process)


def test_whom_somebody_else_has_reaped_has_ended(process: Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
    os.waitpid(process.pid, 0)
    assert processes.wait_stopped(process, PATIENCE_SECONDS)
    assert processes.ended(process)
    assert process.returncode is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a process as ended before its last thread has")
def test_whose_last_threads_are_still_ending_has_ended() -> None:
    code = """if True:
        import ctypes, threading, time

        threading.Thread(target=time.sleep, args=(600,)).start()
        ctypes.CDLL(None).pthread_exit(None)
        """
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            assert processes.wait_ended(process, PATIENCE_SECONDS)
            assert process.poll() is None
        finally:
            process.kill()


def test_something_is_done_while_waiting(process: Process) -> None:
    assert processes.wait_ended(process, PATIENCE_SECONDS, lambda: os.kill(process.pid, signal.SIGKILL))


def test_who_is_told_to_stop_is_waited_for(process: Process) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    assert processes.wait_stopped(process, PATIENCE_SECONDS)
    assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
    assert not processes.ended(process)


def test_the_dead_do_not_stop(process: Process) -> None:
    os.kill(process.pid, signal.SIGKILL)
    assert processes.wait_stopped(process, PATIENCE_SECONDS)
    assert processes.wait_ended(process, PATIENCE_SECONDS)
    process.wait()
    assert processes.wait_stopped(process, PATIENCE_SECONDS)


def test_who_does_not_stop_is_not_waited_for_for_ever(process: Process) -> None:
    if not processes._HAS_WAITID:
        pytest.skip("nothing tells of a stop")
    assert not processes.wait_stopped(process, 0.01), "nobody has told it to"


def test_without_waitid_a_stop_is_not_waited_for_for_ever(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    if processes._HAS_WAITID:
        pytest.skip("waitid tells of every stop")
    monkeypatch.setattr(processes, "_STOPPING_SECONDS", 0.01)
    start = time.monotonic()
    assert processes.wait_stopped(process, 10 * PATIENCE_SECONDS)
    assert time.monotonic() - start < PATIENCE_SECONDS
