"""Limits on a process that does what nobody can foresee: how long it may take, and how much memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import psutil

from ..domain.units import format_quantity
from .peer import Fate, Lost, Peer

# How often the memory is looked at: what takes several gigabytes in less is left to the system.
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Limits:
    """The seconds that an answer may take, and the resident memory of the process and all that it starts, in bytes.

    `remedy` is what helps against the first.
    """

    seconds: float
    memory_bytes: int
    remedy: str = ""


def wait_within(peer: Peer[Any], limits: Limits) -> None:
    """Return when the peer has said something, or is gone. Raises Lost, with the peer killed, beyond its limits."""
    deadline = time.monotonic() + limits.seconds
    while not wait([peer.fileno()], _LOOK_SECONDS):
        taken = resident_bytes(peer.pid)
        if taken > limits.memory_bytes:
            peer.kill()
            most = format_quantity(limits.memory_bytes, "B")
            what = f"took {format_quantity(taken, 'B')} of memory, where {most} are free, and was killed"
            raise Lost(peer.name, Fate(what, out_of_memory=True))
        if time.monotonic() > deadline:
            raise peer.hung(limits.seconds, limits.remedy)


def resident_bytes(pid: int) -> int:
    """The resident memory of a process and of those that it has started; 0 of one that is gone."""
    try:
        process = psutil.Process(pid)
        return sum(map(_resident, [process, *process.children(recursive=True)]))
    except psutil.Error:
        return 0


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
