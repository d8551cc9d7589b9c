"""Our child processes: whether they have ended or stopped, found out without reaping them.

Until we reap a process, its id and the id of the group that it leads are nobody else's: signals may be sent to them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import psutil

# macOS has it from Python 3.13 on.
_HAS_WAITID = hasattr(os, "waitid")
# A stop takes effect at once; where nothing tells of it, we do not look for it longer than this.
_STOPPING_SECONDS = 1.0
# So it is looked for this often at first: a turn has two of them, and takes half a millisecond beside its calls.
_GLANCES, _GLANCE_SECONDS = 40, 0.00005
_LONGEST_PAUSE_SECONDS = 0.05


def ended(process: subprocess.Popen[Any]) -> bool:
    """Whether it has ended, or is gone. It is not reaped by this.

    One whose main thread is gone has ended: until its last thread is gone, too, the system does not let us reap it.
    """
    if process.returncode is not None:
        return True
    if os.name == "nt":
        return process.poll() is not None
    try:
        if _HAS_WAITID and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
            return True
        return psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    except (ChildProcessError, psutil.NoSuchProcess):
        # Somebody else has reaped it; this has Popen know so too.
        return process.poll() is not None


def wait_ended(process: subprocess.Popen[Any], timeout_s: float, meanwhile: Callable[[], object] | None = None) -> bool:
    """Wait until it has ended, and do `meanwhile` now and then; False when it has not in this time."""
    return _becomes(lambda: ended(process), timeout_s, meanwhile)


def descendants(pid: int) -> list[psutil.Process]:
    """The processes that a process has started, and those that these have: in whatever group or session they are."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Kill those that are still there; an id that has become another's is left alone."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def wait_stopped(process: subprocess.Popen[Any], timeout_s: float) -> bool:
    """Wait until a process that was told to stop has stopped, or has ended; False when it has not in this time.

    One that waits for a disk or a driver, and cannot be interrupted there, does neither.
    """
    if process.returncode is not None:
        return True
    if _HAS_WAITID:
        return any(_glances(lambda: _stopped(process))) or _becomes(lambda: _stopped(process), timeout_s)
    with contextlib.suppress(psutil.NoSuchProcess):
        known = psutil.Process(process.pid)
        _becomes(lambda: known.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE), _STOPPING_SECONDS)
    return True


def _stopped(process: subprocess.Popen[Any]) -> bool:
    """Whether it has stopped, or ended, or is gone."""
    try:
        found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return True
    return found is not None


def _glances(true: Callable[[], bool]) -> Iterator[bool]:
    """What it is now, and for a little while whenever one looks again."""
    for _ in range(_GLANCES):
        yield true()
        time.sleep(_GLANCE_SECONDS)


def _becomes(true: Callable[[], bool], timeout_s: float, meanwhile: Callable[[], object] | None = None) -> bool:
    deadline, pause = time.monotonic() + timeout_s, 0.0005
    while not true():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if meanwhile is not None:
            meanwhile()
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS, left)
        time.sleep(pause)
    return True
