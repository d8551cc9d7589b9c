"""The child's side of a peer: connects to the parent, and never outlives it.

The parent writes its address and a fresh key as one line to the child's standard input. The child connects, and keeps
the other end of that pipe open: it ends when the pipe does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Client
from typing import Any

from .channel import Channel
from .peer import ENDING_SECONDS

_PR_SET_PDEATHSIG = 1
_NOT_ITS_CHILD = (
    f"pytest-modelperf: {sys.executable} is not the child of the process that has started it; where a script starts "
    "it, write `exec` before the command there\n"
)


def connect(incoming: Any) -> Channel[Any]:
    """Read where to connect from standard input, connect, and end when the parent does."""
    if hasattr(os, "setpgid"):
        # A group of its own: it is stopped and killed with all it started, and a Ctrl-C is the parent's to handle.
        os.setpgid(0, 0)
    lifeline = os.dup(0)
    line = json.loads(_read_line(lifeline))
    _die_with(line["parent"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True, name="modelperf-lifeline").start()
    return Channel(Client(line["address"], authkey=bytes.fromhex(line["key"])), incoming)


def _read_line(descriptor: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            raise SystemExit("this process is started by pytest-modelperf, not by hand")
        line += byte
    return line


def _die_with(parent: int) -> None:
    """Have the kernel kill us when the parent dies: a stopped process cannot see the end of its pipe.

    To the kernel the parent is the *thread* that has started us (prctl(2)): who starts peers must live as long as they
    may, as the main thread does and none of a pool.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # Where it has died there is nobody to tell.
        if os.path.exists(f"/proc/{parent}"):
            with suppress(OSError):
                os.write(2, _NOT_ITS_CHILD.encode())
        os._exit(1)


def _end_with(lifeline: int) -> None:
    os.read(lifeline, 1)
    # Leave the main thread the time to end by itself: the end of the line may be an orderly farewell.
    time.sleep(ENDING_SECONDS)
    os._exit(1)
