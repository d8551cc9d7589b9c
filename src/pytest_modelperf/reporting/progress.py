"""The live line of a terminal while a sweep runs: test, case, round, time left.

It is written between timed blocks, by the thread that calls it, so it costs next to nothing while it is silent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from .words import duration

# Between two writes: fast enough for an eye, slow enough for the terminal on the same CPUs not to be measured.
SECONDS_BETWEEN = 0.2

# What stands on the line already (pytest's name of the file) stays: its end is saved, and returned to.
_SAVE = "\x1b7"
_BACK = "\x1b8\x1b[K"

Write = Callable[[str], object]


class Progress(Protocol):
    """What is told how far a sweep has come."""

    def show(self, test: str, case: str, turn: int, turns: int, seconds_left: float) -> None:
        """Round `turn` of `turns` (0: not yet in rounds) of `case` in `test`; `seconds_left` for the whole test."""
        ...

    def clear(self) -> None:
        """Leave an empty line for what is printed next."""
        ...


class ProgressLine:
    """The live line. `write` puts text on the terminal, flushed; `room` tells the columns left on the line."""

    def __init__(self, write: Write, room: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._room, self._clock = write, room, clock
        self._next = float("-inf")
        self._shown = False

    @staticmethod
    def for_terminal(
        write: Callable[[str], object],
        room: Callable[[], int],
        isatty: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> Progress:
        """A live line, or what shows nothing where the output is no terminal."""
        return ProgressLine(write, room, clock) if isatty else NoProgress()

    def show(self, test: str, case: str, turn: int, turns: int, seconds_left: float) -> None:
        """Write the line anew, unless that was done just now."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + SECONDS_BETWEEN
        start = _BACK if self._shown else _SAVE
        self._shown = True
        rounds = f", round {turn}/{turns}, {duration(max(seconds_left, 0.0))} left" if turns else ""
        self._write(start + _fit(test, f" {case}{rounds}", self._room() - 1))

    def clear(self) -> None:
        """Leave the terminal as it was, if the line was written."""
        if self._shown:
            self._shown = False
            self._next = float("-inf")
            self._write(_BACK)


class NoProgress:
    """Shows nothing."""

    def show(self, test: str, case: str, turn: int, turns: int, seconds_left: float) -> None:
        """Nothing."""

    def clear(self) -> None:
        """Nothing."""


def _fit(test: str, end: str, width: int) -> str:
    # A line that reaches the last column makes some terminals wrap. Of a test's name the end tells most.
    room = width - _cells(end)
    if _cells(test) <= room:
        return test + end
    if room > 1:
        return "…" + _tail(test, room - 1) + end
    return _head(end.strip(), width)


def _head(text: str, width: int) -> str:
    while text and _cells(text) > width:
        text = text[:-1]
    return text


def _tail(text: str, width: int) -> str:
    return _head(text[::-1], width)[::-1]


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)
