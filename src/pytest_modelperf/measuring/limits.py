"""Limits on a process that does what nobody can foresee: how long it may take, and how much memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
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


class Watch:
    """A peer that is at work within limits from now on."""

    def __init__(self, peer: Peer[Any], limits: Limits) -> None:
        self._peer, self._limits = peer, limits
        self._deadline = time.monotonic() + limits.seconds

    def fileno(self) -> int:
        """What tells that it has said something, or is gone."""
        return self._peer.fileno()

    def extend(self, seconds: float) -> None:
        """Give it so many seconds more: it was stopped for as long."""
        self._deadline += seconds

    def wait(self) -> None:
        """Return when the peer has said something, or is gone. Raises Lost, with the peer killed, beyond its limits."""
        while not wait([self.fileno()], _LOOK_SECONDS):
            if self._taken > self._limits.memory_bytes:
                raise self._grown(self._taken)
            if self._is_late:
                raise self._peer.hung(self._limits.seconds, self._limits.remedy)

    @property
    def is_over(self) -> bool:
        """Whether it is beyond its limits."""
        return self._is_late or self._taken > self._limits.memory_bytes

    @property
    def _taken(self) -> int:
        return resident_bytes(self._peer.pid)

    @property
    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _grown(self, taken: int) -> Lost:
        self._peer.kill()
        most = format_quantity(self._limits.memory_bytes, "B")
        what = f"took {format_quantity(taken, 'B')} of memory, where {most} are free, and was killed"
        return Lost(self._peer.name, Fate(what, out_of_memory=True))


def first(watches: Sequence[Watch]) -> Watch:
    """Of those that work side by side one that need not be waited for any longer: it has said something, is gone, or is
    beyond its limits."""
    while True:
        said = wait([watch.fileno() for watch in watches], _LOOK_SECONDS)
        for watch in watches:
            if watch.fileno() in said or watch.is_over:
                return watch


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
